export interface BatchLimits {
  /** Rows of one batch. */
  maxRows: number
  /** Tokens of one batch, padding included: rows times the longest. A single longer row is a batch of its own. */
  maxTokens: number
  /**
   * What a run costs besides its tokens, in tokens: so many of padding are computed rather than run once more. Default 16, as was measured for
   * encoders of 20 to 30 million weights on processors. `Infinity`: as few batches as may be.
   */
  runTokens?: number | undefined
}

export const RUN_TOKENS = 16

/**
 * Cuts rows into batches of like length, the shortest first, so that all together cost least: a run and its tokens, padding included.
 *
 * @param lengths - Tokens of each row.
 * @returns Of each batch the indices into `lengths`; each index is in one.
 */
export function cutBatches(
  lengths: readonly number[],
  { maxRows, maxTokens, runTokens = RUN_TOKENS }: BatchLimits,
): number[][] {
  const lengthOf = (index: number): number => lengths[index] ?? 0
  const sorted = [...lengths.keys()].toSorted((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  /** Of the first so many rows: what they cost, and where their last batch begins. */
  const best = [{ cost: 0, from: 0 }]
  for (const [last, index] of sorted.entries()) {
    const longest = lengthOf(index)
    // One that is as long as a batch without bounds may be is alone, too.
    const fitting = Number.isFinite(longest) ? Math.floor(maxTokens / longest) : 1
    const mostRows = Math.max(1, Math.min(maxRows, last + 1, fitting))
    let chosen = { cost: Infinity, from: last + 1 - mostRows }
    // The largest first: it stays where another is no better.
    for (let from = chosen.from; from <= last; from++) {
      const cost = (best[from]?.cost ?? 0) + runTokens + (last + 1 - from) * longest
      if (cost < chosen.cost) chosen = { cost, from }
    }
    best.push(chosen)
  }
  const batches: number[][] = []
  for (let end = sorted.length; end > 0;) {
    const from = best[end]?.from ?? 0
    batches.unshift(sorted.slice(from, end))
    end = from
  }
  return batches
}
