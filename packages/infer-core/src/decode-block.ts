import { decodeDagCbor, InvalidInputError, isStorageError } from '@x/cid'

/**
 * What the block of something has, as `read` reads it; the bytes were verified.
 *
 * @param what - `an output`, for messages.
 * @throws {InvalidInputError} It is no dag-cbor, or is not what `read` wants.
 */
export function decodeBlock<T>(what: string, bytes: Uint8Array, read: (value: unknown) => T): T {
  try {
    return read(decodeDagCbor(bytes))
  } catch (cause) {
    if (isStorageError(cause)) throw cause
    // A nest that is too deep for the stack among them.
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`a block of ${bytes.length} bytes is not ${what}: ${why}`, { input: what, cause })
  }
}
