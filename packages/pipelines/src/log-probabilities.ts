import type { ScoresProcessor } from './sampling.ts'

/** What the scores that a model gave to each token say of its probability. */
export interface LogProbabilities {
  /** Takes the scores of the next token; they are copied, so that whoever comes after may change them. */
  take(scores: Float32Array): void
  /** The natural logarithm, as a float32; `-Infinity` of a token that cannot come. */
  of(token: number): number
  /** So many tokens, the likeliest first, of equal ones that with the lower number; without those that cannot come. */
  likeliest(count: number): number[]
}

export function createLogProbabilities(): LogProbabilities {
  let kept = new Float32Array(0)
  /** By what a score is too large to be the logarithm. */
  let excess = 0
  return {
    take(scores) {
      if (kept.length !== scores.length) kept = new Float32Array(scores.length)
      kept.set(scores)
      let best = -Infinity
      for (const score of kept) if (score > best || Number.isNaN(score)) best = score
      if (!Number.isFinite(best)) throw new Error(`the best score that the model gave to a token is ${best}`)
      let sum = 0
      for (const score of kept) sum += Math.exp(score - best)
      excess = best + Math.log(sum)
    },
    of: (token) => Math.fround((kept[token] ?? -Infinity) - excess),
    likeliest(count) {
      const found: number[] = []
      let least = -Infinity
      for (const [token, score] of kept.entries()) {
        if (count === 0 || score <= least) continue
        let at = found.length
        while (at > 0 && score > (kept[found[at - 1] ?? 0] ?? 0)) at -= 1
        found.splice(at, 0, token)
        if (found.length > count) found.pop()
        if (found.length === count) least = kept[found[count - 1] ?? 0] ?? 0
      }
      return found
    },
  }
}

/** Looks at scores as they are, and leaves them so. */
export const scoresReader =
  (probabilities: LogProbabilities): ScoresProcessor =>
  (_ids, scores) => {
    const { data } = scores
    if (!(data instanceof Float32Array)) throw new TypeError('the scores of tokens are no float32')
    probabilities.take(data)
    return scores
  }
