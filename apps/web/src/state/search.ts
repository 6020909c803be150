/** Texts of a person: one for each line, or for each paragraph where there are paragraphs. Without those that are empty. */
export function textsIn(text: string): string[] {
  const parts = /\n\s*\n/.test(text.trim()) ? text.split(/\n\s*\n/) : text.split('\n')
  return parts.map((part) => part.trim().replaceAll(/\s+/g, ' ')).filter((part) => part !== '')
}

export interface Ranked {
  text: string
  /** Of the angle between it and the query: 1 is the same direction, 0 none in common. */
  score: number
}

/** The texts by how near their vectors are to the query's, nearest first. Vectors need not be of length 1. */
export function rank(
  texts: readonly string[],
  vectors: readonly ArrayLike<number>[],
  query: ArrayLike<number>,
): Ranked[] {
  return texts
    .map((text, index) => ({ text, score: cosine(vectors[index] ?? [], query) }))
    .toSorted((a, b) => b.score - a.score)
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0
  let ofA = 0
  let ofB = 0
  for (let index = 0; index < a.length; index++) {
    const [x = 0, y = 0] = [a[index], b[index]]
    product += x * y
    ofA += x * x
    ofB += y * y
  }
  return ofA === 0 || ofB === 0 ? 0 : product / Math.sqrt(ofA * ofB)
}
