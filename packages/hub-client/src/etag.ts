/** The text in an entity tag; without `W/`, for the hub marks none of those that name a file. */
export const etagText = (header: string | null): string | undefined =>
  /^(?:W\/)?"?([^"]*)"?$/.exec(header?.trim() ?? '')?.[1] || undefined

/** May be sent in `If-Range`. */
export const isStrong = (header: string | null): header is string => header !== null && /^"[^"]*"$/.test(header)
