/** About how much memory an input takes. Bytes. */
export function bytesOfInput(input: unknown): number {
  if (typeof input === 'string') return 2 * input.length
  if (ArrayBuffer.isView(input)) return input.byteLength
  if (input instanceof Blob) return input.size
  if (Array.isArray(input)) return input.reduce<number>((sum, one) => sum + bytesOfInput(one), 0)
  return typeof input === 'object' && input !== null ? bytesOfInput(Object.values(input)) : 8
}
