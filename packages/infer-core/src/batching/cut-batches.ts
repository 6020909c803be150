export interface BatchLimits {
  /** Rows of one batch. */
  maxRows: number
  /** Tokens of one batch, padding included: rows times the longest. A single longer row is a batch of its own. */
  maxTokens: number
  /** Most tokens with padding for one without. Padding is computed like any token; above 1.25, the default, a second run costs less. */
  maxPadding?: number | undefined
}

const MAX_PADDING = 1.25

/**
 * Cuts rows into batches of like length, the shortest first.
 *
 * @param lengths - Tokens of each row.
 * @returns Of each batch the indices into `lengths`; each index is in one.
 */
export function cutBatches(
  lengths: readonly number[],
  { maxRows, maxTokens, maxPadding = MAX_PADDING }: BatchLimits,
): number[][] {
  const sorted = [...lengths.keys()].toSorted((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b)
  const batches: number[][] = []
  let batch: number[] = []
  let tokens = 0
  for (const index of sorted) {
    const length = lengths[index] ?? 0
    const padded = length * (batch.length + 1)
    const fits = batch.length < maxRows && padded <= maxTokens && padded <= (tokens + length) * maxPadding
    if (batch.length > 0 && !fits) {
      batches.push(batch)
      batch = []
      tokens = 0
    }
    batch.push(index)
    tokens += length
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
