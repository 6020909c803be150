/** @throws {TypeError} It is no tensor of numbers. */
export function vectorOf(output: unknown): ArrayLike<number> {
  const { data }: { data?: unknown } = Object(output)
  if (data instanceof Float32Array) return data
  throw new TypeError('the model gave no vector of numbers')
}
