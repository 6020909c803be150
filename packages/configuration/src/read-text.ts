import { open } from 'node:fs/promises'

/** What a file of a person's own hand has at most. */
const MOST_BYTES = 65_536

/** Who else may do what with a file. */
export interface Shared {
  /** Others than its owner may read or write it. */
  byOthers: boolean
  /** Anybody may write it. */
  writable: boolean
}

/**
 * @throws The system's error where it cannot be read.
 * @throws {RangeError} It has over 65 536 bytes. @throws {TypeError} It is not UTF-8.
 */
export async function readText(file: string): Promise<{ text: string; shared: Shared }> {
  await using handle = await open(file)
  const found = await handle.stat()
  const isShared = found.isFile() && process.platform !== 'win32'
  if (found.size > MOST_BYTES) throw tooLarge()
  const bytes = await handle.readFile()
  if (bytes.length > MOST_BYTES) throw tooLarge()
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  const { mode } = found
  return { text, shared: { byOthers: isShared && (mode & 0o077) !== 0, writable: isShared && (mode & 0o002) !== 0 } }
}

const tooLarge = (): RangeError => new RangeError(`it has over ${MOST_BYTES} bytes`)

/** Why it could not be read, without a path, which may be something else that was written in its place. */
export function whyUnread(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('code' in error && typeof error.code === 'string' && 'syscall' in error) return error.code
  return error instanceof TypeError ? 'it is not UTF-8' : error.message
}
