import type { Provider } from './provider.ts'
import { STRIKES, type Standing } from './standing.ts'

const MIN_WINDOW_BYTES = 4 * 1024 * 1024
const MAX_WINDOW_BYTES = 16 * 1024 * 1024
const MAX_WINDOW_BLOCKS = 128

/** A provider, and how it has done so far. */
export type Candidate = readonly [Provider, Standing]

/** Blocks that one is asked for at a time. */
function windowOf({ rate, failures }: Standing, blockBytes: number): number {
  // One is enough to see whether it does better now.
  if (failures > 0) return 1
  const bytes = Math.min(Math.max(rate ?? 0, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)
  return Math.min(Math.max(Math.floor(bytes / blockBytes), 2), MAX_WINDOW_BLOCKS)
}

/**
 * The one that should be done first with another block; `undefined` when whoever may be asked has enough to do.
 *
 * @param blockBytes - Of a block, about.
 */
export function chooseProvider(among: readonly Candidate[], blockBytes: number): Provider | undefined {
  const fine = among.filter(([, { strikes }]) => strikes < STRIKES)
  const considered = fine.length > 0 ? fine : among
  const top = Math.max(1, ...considered.map(([, { rate }]) => rate ?? 1))
  let chosen: Provider | undefined
  let least = Infinity
  for (const [provider, standing] of considered) {
    if (standing.outstanding >= windowOf(standing, blockBytes)) continue
    const cost = (standing.outstanding + 1) / (standing.rate ?? top)
    if (cost < least) [chosen, least] = [provider, cost]
  }
  return chosen
}

interface Lateness {
  /** `Date.now()`. */
  askedAt: number
  /** Longest silence. Milliseconds. */
  hedgeMs: number
  /** Who could be asked as well. */
  others: readonly Candidate[]
}

/** Whether one that was asked is so silent, or so much slower than others, that one of these is asked too. */
export function isLate(standing: Standing | undefined, { askedAt, hedgeMs, others }: Lateness): boolean {
  // It is gone.
  if (!standing) return true
  const { rate = 0, lastDelivery } = standing
  const fastest = Math.max(0, ...others.map(([, other]) => other.rate ?? 0))
  const isSlow = rate * 4 < fastest && Date.now() - askedAt > hedgeMs
  return isSlow || Date.now() - Math.max(askedAt, lastDelivery) > hedgeMs
}
