import { InvalidInputError, type CID } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { CHANGED_MEANWHILE, type AreaUsage, type CacheArea, type Cleared, type DiskUsage } from './area.ts'
import { assertBound } from './assert-bound.ts'
import { isExpired, type Content, type Entry, type EntryInfo } from './entry.ts'
import {
  cidOfKey,
  keyOf,
  ownContent,
  toContent,
  type CacheKey,
  type CacheValue,
  type Computed,
  type Key,
} from './given.ts'
import { createMemory } from './memory.ts'
import { createSingleFlight } from './single-flight.ts'
import { createTally, type Counters } from './statistics.ts'
import { createTurns, type Turn } from './turns.ts'

export interface CacheOptions {
  /** For what was used last, in this process. Default 64 MiB; 0 keeps nothing in memory. */
  memoryBytes?: number | undefined
  /** What outlives the process: `openDiskArea` of `@x/cache/disk`. The cache closes it. */
  disk?: CacheArea | undefined
  /** Default of each entry, in milliseconds. Default: for ever. */
  ttlMs?: number | undefined
  /** Default of entries that say that there is nothing. Default one minute. */
  absentTtlMs?: number | undefined
  /** Told of what went wrong without failing a call: a result that could not be kept, a disk that could not be read. */
  onProblem?: ((problem: { key: CID; error: unknown }) => void) | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

export interface CountOptions extends AbortOptions {
  /** Is counted under this name too, in `groups` of `stats`: one for each kind of thing that is kept. Default: under none. */
  group?: string | undefined
}

export interface StoreOptions extends CountOptions {
  /** How long it counts, in milliseconds from now. `Infinity`: for ever. */
  ttlMs?: number | undefined
}

/** What is under a key. Bytes are the caller's own to change. */
export type CacheHit = Content & {
  key: CID
  storedMs: number
  expiresMs: number | undefined
  from: 'memory' | 'disk'
}

/** Where a result is now. */
export interface Stored {
  memory: boolean
  disk: boolean
  /** Why it is not somewhere where it was to be. */
  why: string | undefined
}

export type Answer = Content & {
  key: CID
  /** `joined`: computed for another caller at the same moment. */
  from: 'memory' | 'disk' | 'computed' | 'joined'
  /** `undefined` for a hit. */
  stored: Stored | undefined
}

export interface ComputeOptions extends CountOptions {
  /** `refresh` computes even where there is an entry, and replaces it. Default `use`. */
  mode?: 'use' | 'refresh' | undefined
  /** `alone` shares the computation with no other caller: for one who watches it. Default `shared`. */
  flight?: 'shared' | 'alone' | undefined
}

export interface CacheStats {
  /** Since this cache was opened. */
  counters: Counters
  /** Of these, those of each group that was named. */
  groups: Readonly<Record<string, Counters>>
  memory: AreaUsage
  disk: DiskUsage | undefined
}

export interface Explanation {
  key: CID
  state: 'held' | 'expired' | 'absent'
  memory: EntryInfo | undefined
  disk: EntryInfo | undefined
}

/**
 * Results by key, in memory and on disk. Keys and values are content addresses: a value is checked against its CID each
 * time it comes from the disk, and what does not match is a miss.
 */
export interface Cache {
  /**
   * @returns `undefined`: there is none that counts.
   * @throws {BackendError} The disk cannot be read, so it cannot be told.
   */
  get(key: CacheKey, options?: CountOptions): Promise<CacheHit | undefined>
  /**
   * Replaces what is there. What is too large for either place is in neither; `stored.why` says so. Of several that
   * change a key at the same time, the one that was called last counts.
   *
   * @throws {IntegrityError} A block that does not hash to its CID.
   * @throws {InvalidInputError} A time to live that is no number above 0.
   * @throws {NoSpaceError} The disk is full. Memory has it.
   */
  put(key: CacheKey, value: CacheValue, options?: StoreOptions): Promise<Stored>
  /** Notes that there is nothing under a key, so that it is not asked for again for a while. */
  putAbsent(key: CacheKey, reason: string, options?: StoreOptions): Promise<Stored>
  /**
   * What is there, or else what `compute` gives, which is then kept. Callers that ask for the same key meanwhile are given
   * the same result, but for those that ask after the key was changed; `compute` is aborted when all of them have gone. A result is
   * not kept where its key was changed by what was called later. A disk that cannot be read or written is told
   * through `onProblem`: the result is good without it.
   */
  getOrCompute(
    key: CacheKey,
    compute: (signal: AbortSignal) => Promise<Computed>,
    options?: ComputeOptions,
  ): Promise<Answer>
  /** @returns Whether it removed one; what is put meanwhile stays. */
  delete(key: CacheKey): Promise<boolean>
  clear(): Promise<Cleared>
  /** Those on disk, or in memory where there is no disk; expired ones too. */
  entries(): AsyncIterable<EntryInfo>
  /** What is known of a key, without counting as a use. */
  explain(key: CacheKey): Promise<Explanation>
  stats(): Promise<CacheStats>
  /** Writes what is still to be written. Computations are aborted; any later call rejects. */
  close(): Promise<void>
}

const MEMORY_BYTES = 64 * 2 ** 20
const ABSENT_TTL_MS = 60_000

/** @throws {InvalidInputError} A bound or a time to live that is none. */
export function createCache({
  memoryBytes = MEMORY_BYTES,
  disk,
  ttlMs,
  absentTtlMs = ABSENT_TTL_MS,
  onProblem = () => undefined,
  now = Date.now,
}: CacheOptions = {}): Cache {
  assertBound('memoryBytes', memoryBytes)
  assertTtl(ttlMs)
  assertTtl(absentTtlMs)
  const memory = createMemory(memoryBytes)
  const flights = createSingleFlight<Pick<Answer, 'stored'> & { entry: Entry; from: Answer['from'] }>()
  const turns = createTurns()
  const tally = createTally()
  let lastFlight = 0
  let closed = false

  const enter = (signal?: AbortSignal): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError('the cache is closed', { retryable: false })
  }
  const countIn =
    (group: string | undefined): Count =>
    (deltas) => {
      tally.add(deltas, group)
      disk?.count(deltas, group)
    }

  const hit = (entry: Entry, from: 'memory' | 'disk', nowMs: number, count: Count): Found => {
    disk?.used(entry.key, nowMs)
    count({ [`${from}Hits`]: 1, absentHits: entry.content.kind === 'absent' ? 1 : 0 })
    return { entry, from }
  }

  /** The entry that counts, and where it was. */
  async function find(key: CID, count: Count): Promise<Found | undefined> {
    const nowMs = now()
    const near = memory.get(key, nowMs)
    if (near !== undefined && !isExpired(near, nowMs)) return hit(near, 'memory', nowMs, count)
    if (near !== undefined) memory.delete(key)
    const turn = turns.begin(key.toString())
    try {
      const far = await disk?.get(key)
      if (far !== undefined && far !== 'damaged') {
        if (!isExpired(far, nowMs)) {
          // What has been changed meanwhile must not come back.
          if (turn.isUnchanged()) count({ evicted: memory.put(far, nowMs) ?? 0 })
          return hit(far, 'disk', nowMs, count)
        }
        await disk?.delete(key, { only: far })
      }
      const wasExpired = near !== undefined || (far !== undefined && far !== 'damaged')
      count({ misses: 1, expired: wasExpired ? 1 : 0, damaged: far === 'damaged' ? 1 : 0 })
      return undefined
    } finally {
      turn.end()
    }
  }

  async function keep(entry: Entry, turn: Turn, count: Count): Promise<Stored> {
    if (!turn.isLatest()) {
      count({ notKept: 1 })
      return { ...NOWHERE, why: CHANGED_MEANWHILE }
    }
    turn.change()
    const nowMs = now()
    const inMemory = memory.put(entry, nowMs)
    let evicted = inMemory ?? 0
    try {
      const kept = await disk?.put(entry, nowMs, turn.isLatest)
      if (kept?.kept) evicted += kept.evicted
      const stored = {
        memory: inMemory !== undefined && turn.isLatest(),
        disk: kept?.kept ?? false,
        why: kept ? (kept.kept ? undefined : kept.why) : inMemory === undefined ? TOO_LARGE : undefined,
      }
      count(stored.memory || stored.disk ? { stored: 1, evicted } : { notKept: 1, evicted })
      return stored
    } catch (error) {
      count(inMemory === undefined ? { notKept: 1, evicted } : { stored: 1, evicted })
      throw error
    }
  }

  async function toEntry({ key, keyBytes }: Key, computed: Computed): Promise<Entry> {
    const storedMs = now()
    const ttl = computed.ttlMs ?? (computed.kind === 'absent' ? absentTtlMs : ttlMs)
    assertTtl(ttl)
    return {
      key,
      keyBytes,
      content: await toContent(computed),
      storedMs,
      expiresMs: ttl === undefined ? undefined : endOf(storedMs + ttl),
    }
  }

  /** Who asks for a key from now on is not given what began before it was changed. Who waits for that is given it. */
  const leaveFlights = (key: CID): void => {
    for (const mode of MODES) flights.unlist(`${mode} ${key}`)
  }

  const put = async (given: CacheKey, computed: Computed, { signal, group }: CountOptions): Promise<Stored> => {
    enter(signal)
    const cid = cidOfKey(given)
    const turn = turns.begin(cid.toString())
    try {
      return await keep(await toEntry(await keyOf(given), computed), turn, countIn(group))
    } finally {
      leaveFlights(cid)
      turn.end()
    }
  }

  /** A result is good, whatever becomes of its place. */
  async function keptOrTold(entry: Entry, turn: Turn, count: Count): Promise<Stored> {
    try {
      return await keep(entry, turn, count)
    } catch (error) {
      onProblem({ key: entry.key, error })
      return { ...NOWHERE, memory: memory.info(entry.key) !== undefined, why: reasonOf(error) }
    }
  }

  return {
    async get(given, { signal, group } = {}) {
      enter(signal)
      const { key } = await keyOf(given)
      const found = await find(key, countIn(group))
      signal?.throwIfAborted()
      if (found === undefined) return undefined
      const { storedMs, expiresMs } = found.entry
      return { ...ownContent(found.entry.content), key, storedMs, expiresMs, from: found.from }
    },
    put: (key, value, { ttlMs: ttl, ...options } = {}) => put(key, { kind: 'value', value, ttlMs: ttl }, options),
    putAbsent: (key, reason, { ttlMs: ttl, ...options } = {}) =>
      put(key, { kind: 'absent', reason, ttlMs: ttl }, options),
    async getOrCompute(given, compute, { mode = 'use', flight: sharing = 'shared', signal, group } = {}) {
      enter(signal)
      const count = countIn(group)
      const named = await keyOf(given)
      const { key } = named
      const told = async <T>(work: Promise<T>): Promise<T | undefined> => {
        try {
          return await work
        } catch (error) {
          onProblem({ key, error })
          return undefined
        }
      }
      // One that refreshes is not given what is there, so it cannot join one that may be.
      const flight = sharing === 'alone' ? `${mode} ${key} ${(lastFlight += 1)}` : `${mode} ${key}`
      const { joined, result } = await flights.run(
        flight,
        async (flightSignal) => {
          const turn = turns.begin(key.toString())
          try {
            const found = mode === 'use' ? await told(find(key, count)) : undefined
            if (found) return { ...found, stored: undefined }
            // All who asked may have gone while the disk was read.
            flightSignal.throwIfAborted()
            count({ computed: 1 })
            const computed = await compute(flightSignal).catch((error: unknown) => {
              count({ failed: 1 })
              throw error
            })
            const entry = await toEntry(named, computed)
            if (computed.keep === false) return { entry, from: 'computed', stored: NOWHERE }
            const stored = await keptOrTold(entry, turn, count)
            if (turn.isLatest()) leaveFlights(key)
            return { entry, from: 'computed', stored }
          } finally {
            turn.end()
          }
        },
        signal,
      )
      const { entry, stored } = result
      const wasComputed = result.from === 'computed'
      if (joined) count({ joined: 1 })
      return { ...ownContent(entry.content), key, from: joined && wasComputed ? 'joined' : result.from, stored }
    },
    async delete(given) {
      enter()
      const turn = turns.begin(cidOfKey(given).toString())
      try {
        const { key } = await keyOf(given)
        if (!turn.isLatest()) return false
        turn.change()
        const wasNear = memory.delete(key)
        return (await disk?.delete(key, { isCurrent: turn.isLatest })) || wasNear
      } finally {
        leaveFlights(cidOfKey(given))
        turn.end()
      }
    },
    async clear() {
      enter()
      const end = turns.changeAll()
      try {
        const near = memory.clear()
        return (await disk?.clear()) ?? near
      } finally {
        flights.unlistAll()
        end()
      }
    },
    async *entries() {
      enter()
      if (disk) yield* disk.entries()
      else yield* memory.entries()
    },
    async explain(given) {
      enter()
      const { key } = await keyOf(given)
      const near = memory.info(key)
      const far = await disk?.info(key)
      const known = near ?? far
      const state = known === undefined ? 'absent' : isExpired(known, now()) ? 'expired' : 'held'
      return { key, state, memory: near, disk: far }
    },
    async stats() {
      enter()
      return { ...tally.read(), memory: memory.usage(), disk: await disk?.usage() }
    },
    async close() {
      if (closed) return
      closed = true
      flights.abort(new BackendError('the cache was closed', { retryable: false }))
      await disk?.close()
    },
  }
}

type Count = (deltas: Partial<Counters>) => void

interface Found {
  entry: Entry
  from: 'memory' | 'disk'
}

const MODES: readonly NonNullable<ComputeOptions['mode']>[] = ['use', 'refresh']

const TOO_LARGE = 'the entry is larger than the cache may be'
const NOWHERE: Stored = { memory: false, disk: false, why: undefined }

/** The last moment that a `Date` can be. */
const LAST_DATE_MS = 8.64e15

/** What ends after the last date does not end. */
const endOf = (expiresMs: number): number | undefined => (expiresMs <= LAST_DATE_MS ? Math.ceil(expiresMs) : undefined)

function assertTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || ttlMs > 0) return
  throw new InvalidInputError(`a time to live is a number of milliseconds above 0, not ${ttlMs}`, {
    input: String(ttlMs),
  })
}
