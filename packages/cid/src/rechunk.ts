import { InvalidInputError } from './errors.ts'

/**
 * Cuts a stream of pieces of any size into chunks of exactly `chunkBytes`, the last one shorter. Copies only what does
 * not fall on a boundary already. Yields nothing for an empty stream.
 *
 * @param takeBuffer - Asked once for each chunk, before any of its bytes is read: a buffer of `chunkBytes` to copy the
 *   chunk to, for a consumer that keeps it while the source goes on and may use its own memory again.
 * @throws {InvalidInputError} A piece is not a `Uint8Array`.
 */
export async function* rechunk(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  chunkBytes: number,
  takeBuffer?: () => Uint8Array | undefined,
): AsyncGenerator<Uint8Array> {
  let partial: Uint8Array | undefined = takeBuffer?.()
  let filled = 0
  for await (const piece of source) {
    // An ArrayBuffer has no length, so it would pass for no bytes at all.
    if (!(piece instanceof Uint8Array)) {
      const kind: unknown = piece
      throw new InvalidInputError('a piece of the source is not bytes (Uint8Array)', { input: typeof kind })
    }
    let rest = piece
    while (rest.length > 0) {
      if (!partial && rest.length >= chunkBytes) {
        yield rest.subarray(0, chunkBytes)
        rest = rest.subarray(chunkBytes)
        partial = takeBuffer?.()
        continue
      }
      const taken = rest.subarray(0, chunkBytes - filled)
      // A small file is one piece: for 10,000 of them, room for a whole chunk each would take longer than the rest.
      if (!partial) partial = new Uint8Array(taken.length)
      else if (filled + taken.length > partial.length) {
        const whole = new Uint8Array(chunkBytes)
        whole.set(partial)
        partial = whole
      }
      partial.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled === chunkBytes) {
        yield partial
        // The consumer may still hold it.
        partial = takeBuffer?.()
        filled = 0
      }
    }
  }
  if (partial && filled > 0) yield partial.subarray(0, filled)
}
