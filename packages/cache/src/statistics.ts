/** How often each thing happened. */
export interface Counters {
  memoryHits: number
  diskHits: number
  /** Hits, of either kind, on an entry that says that there is nothing. */
  absentHits: number
  misses: number
  /** Misses because the entry was too old. */
  expired: number
  /** Misses because the bytes were not those of their CID, or the entry's row was not as it was written. */
  damaged: number
  /** Computations begun. */
  computed: number
  /** Callers that were given the result of a computation that was under way. */
  joined: number
  /** Computations that threw. */
  failed: number
  stored: number
  /** Results that are nowhere, for example for lack of room. */
  notKept: number
  /** Entries that went to make room, from memory or disk. */
  evicted: number
}

const NONE: Counters = {
  memoryHits: 0,
  diskHits: 0,
  absentHits: 0,
  misses: 0,
  expired: 0,
  damaged: 0,
  computed: 0,
  joined: 0,
  failed: 0,
  stored: 0,
  notKept: 0,
  evicted: 0,
}

export const noCounters = (): Counters => ({ ...NONE })

const isCounter = (name: string): name is keyof Counters => Object.hasOwn(NONE, name)

export function addCounters(to: Counters, deltas: Readonly<Record<string, number | undefined>>): void {
  for (const [name, delta] of Object.entries(deltas)) if (isCounter(name)) to[name] += delta ?? 0
}
