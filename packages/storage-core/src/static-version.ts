import { STATIC_FORMAT, STATIC_VERSION } from './static-layout.ts'

/** Why what is at `STATIC_VERSION_PATH` is not of a folder of the version that is known here. */
export interface OtherStaticVersion {
  /** To be said of the path: `is not JSON`. */
  why: string
  /** A static folder all the same, of another version. */
  isStaticFolder: boolean
  cause?: unknown
}

/** `undefined` where nothing is wrong with it. */
export function otherStaticVersion(bytes: Uint8Array): OtherStaticVersion | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    return { why: 'is not JSON', isStaticFolder: false, cause }
  }
  const { format, version }: { format?: unknown; version?: unknown } = Object(value)
  if (format !== STATIC_FORMAT) return { why: 'is of something else', isStaticFolder: false }
  if (version === STATIC_VERSION) return undefined
  return { why: `is of version ${String(version)}; ${STATIC_VERSION} is known here`, isStaticFolder: true }
}
