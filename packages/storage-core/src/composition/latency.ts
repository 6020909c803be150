export interface LatencyOptions {
  /** Before enough is known. Milliseconds; default 500. */
  initialMs?: number | undefined
  /** Never less: a hedge costs a request. Milliseconds; default 50. */
  leastMs?: number | undefined
  /** Never more. Milliseconds; default 10_000. */
  mostMs?: number | undefined
}

/** How long a backend takes to answer, learnt from its last answers. */
export interface Latency {
  record(durationMs: number): void
  /** What 95 of 100 answers do not take, as far as the last ones tell: after so long another one may be asked too. */
  hedgeAfterMs(): number
}

const KEPT = 64
/** Fewer tell nothing about 95 of 100. */
const FEWEST = 8

/** @see Dean and Barroso, The Tail at Scale (2013): a hedged request after the 95th percentile adds about 5 % of load. */
export function createLatency({ initialMs = 500, leastMs = 50, mostMs = 10_000 }: LatencyOptions = {}): Latency {
  const last: number[] = []
  let at = 0
  return {
    record(durationMs) {
      last[at] = durationMs
      at = (at + 1) % KEPT
    },
    hedgeAfterMs() {
      if (last.length < FEWEST) return initialMs
      const sorted = last.toSorted((one, other) => one - other)
      const p95 = sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.95) - 1)] ?? initialMs
      return Math.min(mostMs, Math.max(leastMs, p95))
    },
  }
}
