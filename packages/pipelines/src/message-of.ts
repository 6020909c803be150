/** What an error says itself, whatever its cause: `reasonOf` is for those of `fetch`. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
