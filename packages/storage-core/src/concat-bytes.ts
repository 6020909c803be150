/**
 * Pieces in an array of their own, each byte copied once.
 *
 * @param byteLength - Of all of them together.
 */
export function concatBytes(pieces: Iterable<Uint8Array>, byteLength: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(byteLength)
  let position = 0
  for (const piece of pieces) {
    whole.set(piece, position)
    position += piece.length
  }
  return whole
}
