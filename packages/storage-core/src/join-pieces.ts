import { concatBytes } from './concat-bytes.ts'

/**
 * The pieces of one block in an array of its own, each byte copied once.
 *
 * @param refuse - Makes the error for more than `maxBytes` bytes, or for a piece that is not bytes.
 */
export async function joinPieces(
  pieces: Iterable<unknown> | AsyncIterable<unknown>,
  maxBytes: number,
  refuse: (reason: string) => Error,
): Promise<Uint8Array> {
  const read: Uint8Array[] = []
  let byteLength = 0
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) throw refuse('a piece is not a Uint8Array')
    byteLength += piece.length
    if (byteLength > maxBytes) throw refuse(`more than ${maxBytes} bytes`)
    read.push(piece)
  }
  return concatBytes(read, byteLength)
}

/** 64 MiB. Bitswap peers need not take more than 2 MiB; this keeps a stream without an end out of memory. */
export const DEFAULT_MAX_BLOCK_BYTES: number = 64 * 1024 * 1024
