import { InvalidInputError, type CID } from '@x/cid'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import type { AreaUsage, CacheArea, Cleared, DiskUsage } from './area.ts'
import { isExpired, type Content, type Entry, type EntryInfo } from './entry.ts'
import { keyOf, ownContent, toContent, type CacheKey, type CacheValue, type Computed } from './given.ts'
import { createMemory } from './memory.ts'
import { createSingleFlight } from './single-flight.ts'
import { addCounters, noCounters, type Counters } from './statistics.ts'

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

export interface StoreOptions extends AbortOptions {
  /** How long it counts, in milliseconds from now. */
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

export interface ComputeOptions extends AbortOptions {
  /** `refresh` computes even where there is an entry, and replaces it. Default `use`. */
  mode?: 'use' | 'refresh' | undefined
}

export interface CacheStats {
  /** Since this cache was opened. */
  counters: Counters
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
  get(key: CacheKey, options?: AbortOptions): Promise<CacheHit | undefined>
  /**
   * Replaces what is there. What is too large for either place is in neither; `stored.why` says so.
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
   * the same result; `compute` is aborted when all of them have gone. A disk that cannot be read or written is told
   * through `onProblem`: the result is good without it.
   */
  getOrCompute(
    key: CacheKey,
    compute: (signal: AbortSignal) => Promise<Computed>,
    options?: ComputeOptions,
  ): Promise<Answer>
  /** @returns Whether there was one. */
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

export function createCache({
  memoryBytes = MEMORY_BYTES,
  disk,
  ttlMs,
  absentTtlMs = ABSENT_TTL_MS,
  onProblem = () => undefined,
  now = Date.now,
}: CacheOptions = {}): Cache {
  assertTtl(ttlMs)
  assertTtl(absentTtlMs)
  const memory = createMemory(memoryBytes)
  const flights = createSingleFlight<Pick<Answer, 'stored'> & { entry: Entry; from: Answer['from'] }>()
  const counters = noCounters()
  let closed = false

  const enter = (signal?: AbortSignal): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError('the cache is closed', { retryable: false })
  }
  const count = (deltas: Partial<Counters>): void => {
    addCounters(counters, { ...deltas })
    disk?.count(deltas)
  }

  /** The entry that counts, and where it was. */
  async function find(key: CID): Promise<{ entry: Entry; from: 'memory' | 'disk' } | undefined> {
    const nowMs = now()
    const near = memory.get(key, nowMs)
    const entry = near ?? (await disk?.get(key))
    if (entry === undefined || entry === 'damaged') {
      count({ misses: 1, damaged: entry === 'damaged' ? 1 : 0 })
      return undefined
    }
    if (isExpired(entry, nowMs)) {
      memory.delete(key)
      await disk?.delete(key)
      count({ misses: 1, expired: 1 })
      return undefined
    }
    if (near === undefined) count({ evicted: memory.put(entry, nowMs) ?? 0 })
    disk?.used(key, nowMs)
    const from = near ? 'memory' : 'disk'
    count({ [`${from}Hits`]: 1, absentHits: entry.content.kind === 'absent' ? 1 : 0 })
    return { entry, from }
  }

  async function keep(entry: Entry): Promise<Stored> {
    const nowMs = now()
    const inMemory = memory.put(entry, nowMs)
    let evicted = inMemory ?? 0
    try {
      const kept = await disk?.put(entry, nowMs)
      if (kept?.kept) evicted += kept.evicted
      const stored = {
        memory: inMemory !== undefined,
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

  async function toEntry(given: CacheKey, computed: Computed): Promise<Entry> {
    const storedMs = now()
    const ttl = computed.ttlMs ?? (computed.kind === 'absent' ? absentTtlMs : ttlMs)
    assertTtl(ttl)
    const { key, keyBytes } = await keyOf(given)
    return {
      key,
      keyBytes,
      content: await toContent(computed),
      storedMs,
      expiresMs: ttl === undefined ? undefined : storedMs + ttl,
    }
  }

  const put = async (given: CacheKey, computed: Computed, signal: AbortSignal | undefined): Promise<Stored> => {
    enter(signal)
    return keep(await toEntry(given, computed))
  }

  return {
    async get(given, { signal } = {}) {
      enter(signal)
      const { key } = await keyOf(given)
      const found = await find(key)
      signal?.throwIfAborted()
      if (found === undefined) return undefined
      const { storedMs, expiresMs } = found.entry
      return { ...ownContent(found.entry.content), key, storedMs, expiresMs, from: found.from }
    },
    put: (key, value, { ttlMs: ttl, signal } = {}) => put(key, { kind: 'value', value, ttlMs: ttl }, signal),
    putAbsent: (key, reason, { ttlMs: ttl, signal } = {}) => put(key, { kind: 'absent', reason, ttlMs: ttl }, signal),
    async getOrCompute(given, compute, { mode = 'use', signal } = {}) {
      enter(signal)
      const { key } = await keyOf(given)
      const told = async <T>(work: Promise<T>): Promise<T | undefined> => {
        try {
          return await work
        } catch (error) {
          onProblem({ key, error })
          return undefined
        }
      }
      // One that refreshes is not given what is there, so it cannot join one that may be.
      const flight = `${mode} ${key}`
      const { joined, result } = await flights.run(
        flight,
        async (flightSignal) => {
          const found = mode === 'use' ? await told(find(key)) : undefined
          if (found) return { ...found, stored: undefined }
          count({ computed: 1 })
          const computed = await compute(flightSignal).catch((error: unknown) => {
            count({ failed: 1 })
            throw error
          })
          const entry = await toEntry(given, computed)
          if (computed.keep === false) return { entry, from: 'computed', stored: { ...NOWHERE, why: 'not asked for' } }
          let why: string | undefined
          const stored = await keep(entry).catch((error: unknown) => {
            onProblem({ key, error })
            why = reasonOf(error)
            return undefined
          })
          return {
            entry,
            from: 'computed',
            stored: stored ?? { ...NOWHERE, memory: memory.info(key) !== undefined, why },
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
      const { key } = await keyOf(given)
      const wasNear = memory.delete(key)
      return (await disk?.delete(key)) || wasNear
    },
    async clear() {
      enter()
      const near = memory.clear()
      return (await disk?.clear()) ?? near
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
      return { counters: { ...counters }, memory: memory.usage(), disk: await disk?.usage() }
    },
    async close() {
      if (closed) return
      closed = true
      flights.abort(new BackendError('the cache was closed', { retryable: false }))
      await disk?.close()
    },
  }
}

const TOO_LARGE = 'it is larger than the cache may be'
const NOWHERE: Stored = { memory: false, disk: false, why: undefined }

function assertTtl(ttlMs: number | undefined): void {
  if (ttlMs === undefined || ttlMs > 0) return
  throw new InvalidInputError(`a time to live is a number of milliseconds above 0, not ${ttlMs}`, {
    input: String(ttlMs),
  })
}
