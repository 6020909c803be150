export interface DrawOptions {
  /** By what scores are divided, over 0. */
  temperature: number
  /** So many tokens may be drawn, the likeliest, of those that are equally so the first. Default: all. */
  topK?: number | undefined
  /** The fewest that may be drawn have together as much probability as this, 0 to 1. Default 1: all. */
  topP?: number | undefined
}

/**
 * Draws tokens by the scores that a model gives to each: first the temperature, then `topK`, then `topP`, as the Python library has it.
 *
 * @param random - From 0 to below 1; asked once for a token.
 */
export function createDraw(
  { temperature, topK, topP = 1 }: DrawOptions,
  random: () => number,
): (scores: Float32Array) => number {
  return (scores) => {
    const weights = weightsOf(scores, temperature)
    if (topK !== undefined && topK < weights.length) keepLargest(weights, largest(weights, topK))
    if (topP < 1) keepLargest(weights, likeliest(weights, topP))
    return drawFrom(weights, random())
  }
}

/** In proportion to the probabilities; the largest is 1. */
function weightsOf(scores: Float32Array, temperature: number): Float64Array {
  let best = -Infinity
  for (const score of scores) if (score > best || Number.isNaN(score)) best = score
  if (!Number.isFinite(best)) throw new Error(`the best score that the model gave to a token is ${best}`)
  const weights = new Float64Array(scores.length)
  for (let token = 0; token < weights.length; token++) {
    weights[token] = Math.exp(((scores[token] ?? 0) - best) / temperature)
  }
  return weights
}

/** Up to so many it is quicker to put each into its place than all into order. */
const FEW = 1000

/** So many of the largest, the smallest first. */
function largest(weights: Float64Array, count: number): Float64Array {
  if (count > FEW) return weights.toSorted().subarray(-count)
  const found = new Float64Array(count)
  for (const weight of weights) {
    if (weight <= (found[0] ?? 0)) continue
    let at = 0
    for (; at + 1 < count && (found[at + 1] ?? 0) < weight; at++) found[at] = found[at + 1] ?? 0
    found[at] = weight
  }
  return found
}

/** The fewest of the largest that are together as large a part of all, the smallest first. */
function likeliest(weights: Float64Array, part: number): Float64Array {
  const sum = sumOf(weights)
  // Those below are together less than what is left out.
  const least = ((1 - part) * sum) / weights.length
  const sorted = weights.filter((weight) => weight > 0 && weight >= least).toSorted()
  let [first, together] = [sorted.length, 0]
  while (first > 0 && (together === 0 || together < part * sum)) {
    first -= 1
    together += sorted[first] ?? 0
  }
  return sorted.subarray(first)
}

/** All others become 0; of those that are equal to the smallest as many stay as are named, the first. */
function keepLargest(weights: Float64Array, kept: Float64Array): void {
  const [least = 0] = kept
  let equal = kept.reduce((count, weight) => count + Number(weight === least), 0)
  for (let token = 0; token < weights.length; token++) {
    const weight = weights[token] ?? 0
    if (weight < least || (weight === least && equal-- <= 0)) weights[token] = 0
  }
}

function drawFrom(weights: Float64Array, at: number): number {
  let rest = at * sumOf(weights)
  let last = -1
  for (let token = 0; token < weights.length; token++) {
    const weight = weights[token] ?? 0
    if (weight === 0) continue
    last = token
    rest -= weight
    if (rest < 0) return token
  }
  // What is rounded away at the end.
  return last
}

function sumOf(weights: Float64Array): number {
  let sum = 0
  for (const weight of weights) sum += weight
  return sum
}
