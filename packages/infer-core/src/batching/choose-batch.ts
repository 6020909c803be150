import { RUN_TOKENS, type BatchLimits } from './cut-batches.ts'

/**
 * Chooses what shares a run with one row that is to run now: of rows next to it in length those with which a token costs least, the run itself
 * and padding included, and of such runs the one of most rows.
 *
 * @param lengths - Tokens of each row that waits.
 * @param first - Index of the row that is to run.
 * @returns Indices into `lengths`, `first` among them.
 */
export function chooseBatch(
  lengths: readonly number[],
  first: number,
  { maxRows, maxTokens, runTokens = RUN_TOKENS }: BatchLimits,
): number[] {
  const lengthOf = (index: number): number => lengths[index] ?? 0
  const sorted = [...lengths.keys()].toSorted((a, b) => lengthOf(a) - lengthOf(b) || a - b)
  const at = sorted.indexOf(first)
  let best = { cost: Infinity, from: at, end: at + 1 }
  for (let last = at; last < Math.min(sorted.length, at + maxRows); last++) {
    const longest = lengthOf(sorted[last] ?? first)
    let tokens = 0
    for (let from = last; from >= 0 && last - from < maxRows; from--) {
      tokens += lengthOf(sorted[from] ?? first)
      const rows = last + 1 - from
      if (from > at) continue
      if (rows > 1 && rows * longest > maxTokens) break
      const cost = (runTokens + rows * longest) / tokens
      if (cost < best.cost || (cost === best.cost && rows > best.end - best.from)) best = { cost, from, end: last + 1 }
    }
  }
  return sorted.slice(best.from, best.end)
}
