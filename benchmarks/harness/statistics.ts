export interface Spread {
  median: number
  min: number
  max: number
}

/** @param values - At least one. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.ceil((sorted.length - 1) / 2)]
  const min = sorted[0]
  const max = sorted.at(-1)
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    throw new Error('no values to take a median of')
  }
  return { median: (low + high) / 2, min, max }
}
