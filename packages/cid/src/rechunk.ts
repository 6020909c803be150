import { InvalidInputError } from './errors.ts'

/**
 * Cuts a stream of pieces of any size into chunks of exactly `chunkBytes`, the last one shorter. Copies only what does
 * not fall on a boundary already. Yields nothing for an empty stream.
 *
 * @throws {InvalidInputError} A piece is not a `Uint8Array`.
 */
export async function* rechunk(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Uint8Array> {
  let partial: Uint8Array | undefined
  let filled = 0
  for await (const piece of source) {
    // An ArrayBuffer has no length, so it would pass for no bytes at all.
    if (!(piece instanceof Uint8Array)) {
      const kind: unknown = piece
      throw new InvalidInputError('a piece of the source is not bytes (Uint8Array)', { input: typeof kind })
    }
    let rest = piece
    while (rest.length > 0) {
      if (filled === 0 && rest.length >= chunkBytes) {
        yield rest.subarray(0, chunkBytes)
        rest = rest.subarray(chunkBytes)
        continue
      }
      partial ??= new Uint8Array(chunkBytes)
      const taken = rest.subarray(0, chunkBytes - filled)
      partial.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled === chunkBytes) {
        yield partial
        // The consumer may still hold it.
        partial = undefined
        filled = 0
      }
    }
  }
  if (partial && filled > 0) yield partial.subarray(0, filled)
}
