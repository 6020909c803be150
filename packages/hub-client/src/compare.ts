const encoder = new TextEncoder()

/** Orders texts by their UTF-8 bytes, as UnixFS orders names. UTF-16, which `<` compares, orders some differently. */
export function compareText(left: string, right: string): number {
  const [a, b] = [encoder.encode(left), encoder.encode(right)]
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
