import { fromHalf } from '@x/infer-core'

/** The numbers of a tensor of the library in float32; `undefined`: it is of another type. Of float16 there are bits, or an array of its own where there is one. */
export function numbersOf({ type, data }: { type?: unknown; data: unknown }): Float32Array | undefined {
  if (data instanceof Float32Array) return data
  if (type !== 'float16' || !ArrayBuffer.isView(data)) return undefined
  return Float32Array.from(new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2), fromHalf)
}
