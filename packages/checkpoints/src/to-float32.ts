export interface Widenable {
  dtype: 'float16' | 'bfloat16' | 'float32'
  data: Uint16Array | Float32Array
}

/**
 * The numbers of a float16 or bfloat16 tensor, each exactly; of a float32 tensor the array itself. The bits of a NaN are kept.
 */
export function toFloat32(tensor: { dtype: 'float16' | 'bfloat16'; data: Uint16Array }): Float32Array<ArrayBuffer>
export function toFloat32<T extends Float32Array>(tensor: { dtype: 'float32'; data: T }): T
export function toFloat32({ dtype, data }: Widenable): Float32Array {
  if (data instanceof Float32Array) return data
  const bits = new Uint32Array(data.length)
  const widen = dtype === 'bfloat16' ? (half: number) => half << 16 : float16Bits
  for (let index = 0; index < data.length; index++) bits[index] = widen(data[index] ?? 0)
  return new Float32Array(bits.buffer)
}

const FRACTION_BITS = 10
const HIDDEN_BIT = 0x400

/** The bits of a number of 16 bits in one of 32. */
function float16Bits(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = (half >> FRACTION_BITS) & 0x1f
  let fraction = half & 0x3ff
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13)
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13)
  if (fraction === 0) return sign
  // Too small for a hidden bit in 16, and not in 32.
  let shift = 0
  for (; fraction < HIDDEN_BIT; fraction <<= 1) shift++
  return sign | ((113 - shift) << 23) | ((fraction & 0x3ff) << 13)
}
