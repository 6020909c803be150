const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Turns little-endian items, which files have, into the host's order, in place.
 *
 * @param isSame - Whether the host is little-endian; for tests.
 */
export function toHostOrder(bytes: Uint8Array, itemBytes: number, isSame: boolean = isLittleEndian): void {
  if (isSame || itemBytes === 1) return
  for (let start = 0; start < bytes.length; start += itemBytes) bytes.subarray(start, start + itemBytes).reverse()
}
