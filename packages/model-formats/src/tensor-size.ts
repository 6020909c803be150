/**
 * How many elements a tensor of this shape has. `undefined`: more than numbers hold (2^53 - 1). A zero does not hide what
 * else is too large.
 */
export function elementCount(shape: readonly number[]): number | undefined {
  let product = 1
  let empty = false
  for (const size of shape) {
    if (size === 0) empty = true
    else product *= size
    if (product > Number.MAX_SAFE_INTEGER) return undefined
  }
  return empty ? 0 : product
}

/** Bytes that so many elements take, packed. `undefined`: more than numbers hold. */
export function packedBytes(elements: number, bits: number): number | undefined {
  // Both sides are exact: whole bytes first, then what is left of a byte.
  const whole =
    bits >= 8 ? elements * (bits / 8) : Math.floor(elements / 8) * bits + Math.ceil(((elements % 8) * bits) / 8)
  return whole > Number.MAX_SAFE_INTEGER ? undefined : whole
}

/** Bytes of a tensor made of blocks along its innermost dimension. `undefined`: more than numbers hold. */
export function blockBytes(elements: number, blockElements: number, bytes: number): number | undefined {
  const size = Math.ceil(elements / blockElements) * bytes
  return size > Number.MAX_SAFE_INTEGER ? undefined : size
}
