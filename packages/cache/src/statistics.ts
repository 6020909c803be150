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

export const isCounter = (name: string): name is keyof Counters => Object.hasOwn(NONE, name)

const NAMES = Object.keys(NONE).filter(isCounter)

/** The counters of a cache, and of its groups. */
export interface Tally {
  /** To the whole, and to a group where one is named. */
  add(deltas: Readonly<Partial<Counters>>, group: string | undefined): void
  /** To the whole, or else to a group. */
  addTo(group: string | undefined, deltas: Readonly<Partial<Counters>>): void
  /** Copies. */
  read(): { counters: Counters; groups: Record<string, Counters> }
  /** Each that is not 0; that of the whole has no group. */
  counts(): { group: string | undefined; name: keyof Counters; value: number }[]
}

export function createTally(): Tally {
  const all = new Map<string | undefined, Counters>([[undefined, { ...NONE }]])

  const addTo: Tally['addTo'] = (group, deltas) => {
    const counters = all.get(group) ?? { ...NONE }
    all.set(group, counters)
    for (const name of NAMES) counters[name] += deltas[name] ?? 0
  }

  return {
    addTo,
    add(deltas, group) {
      addTo(undefined, deltas)
      if (group !== undefined) addTo(group, deltas)
    },
    read: () => ({
      counters: { ...NONE, ...all.get(undefined) },
      groups: Object.fromEntries(
        Array.from(all).flatMap(([group, counters]) => (group === undefined ? [] : [[group, { ...counters }]])),
      ),
    }),
    counts: () =>
      Array.from(all).flatMap(([group, counters]) =>
        NAMES.filter((name) => counters[name] !== 0).map((name) => ({ group, name, value: counters[name] })),
      ),
  }
}
