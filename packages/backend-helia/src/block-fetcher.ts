import type { CID } from '@x/cid'
import { BackendError, BlockNotFoundError } from '@x/storage-core'

import { createBell } from './bell.ts'
import { chooseProvider, isLate, type Candidate } from './choose-provider.ts'
import { AskLaterError } from './http/ask-later-error.ts'
import { judge, unanswered } from './judge.ts'
import type { ProviderBook } from './provider-book.ts'
import type { AskOptions, Provider } from './provider.ts'
import { createSessionSearch } from './session-search.ts'
import { isResting, noteAnswered, noteAsked, noteFailure, STRIKES, type Standing } from './standing.ts'
import type { Trial } from './trial.ts'

export interface BlockFetcherOptions {
  /** For messages. */
  name: string
  book: ProviderBook
  /** Of a gateway that a router names. */
  createGateway: (base: URL) => Provider
  stallTimeoutMs: number
  /** When it aborts, everything is rejected with its reason. */
  closing: AbortSignal
  /** Whether others than those in the book may turn up. Else what none of these has is known to be absent. */
  mayOthersCome: boolean
}

/** Blocks of one DAG from whoever turns out to have them. */
export interface BlockFetcher {
  /**
   * @throws {BlockNotFoundError} Everybody who could be asked says that they do not have it.
   * @throws {IntegrityError} Who had it sent something else, and everybody else says that they do not have it.
   * @throws {BackendError} Nobody gave it within the stall time. The message says who was asked.
   */
  getBlock(cid: CID, options: AskOptions): Promise<Uint8Array>
  /** @throws As `getBlock`, but that an absent block is `false`. */
  hasBlock(cid: CID, options: AskOptions): Promise<boolean>
}

/** A provider that gave nothing for this long is helped out by another one. */
const HEDGE_MS = 1500

/** More are not asked at once whether they have a block. */
const MAX_PROBES = 32

export function createBlockFetcher(options: BlockFetcherOptions): BlockFetcher {
  const { name, book, createGateway, stallTimeoutMs, closing, mayOthersCome } = options
  const hedgeMs = Math.min(HEDGE_MS, stallTimeoutMs / 4)
  /** What each said first: whoever has the root most likely has the rest. */
  const roles = new WeakMap<Provider, 'has' | 'lacks'>()
  const search = createSessionSearch(book, createGateway)
  let blockBytes = 256 * 1024
  /** `Date.now()`. */
  let lastDelivery: number | undefined

  async function find<T>(
    cid: CID,
    given: AbortSignal,
    {
      ask,
      isPresence,
    }: { ask: (provider: Provider, signal: AbortSignal) => Promise<T | undefined>; isPresence: boolean },
  ): Promise<T | undefined> {
    const stops = [given, closing]
    for (const stop of stops) stop.throwIfAborted()
    const over = new AbortController()
    const onAbort = (): void => over.abort(stops.find((stop) => stop.aborted)?.reason)
    for (const stop of stops) stop.addEventListener('abort', onAbort)
    const trials = new Map<Provider, Trial>()
    const bell = createBell()
    const unsubscribe = book.onChange(bell.ring)
    const leave = search.enter()
    let found: { value: T; by: Provider } | undefined
    const startedAt = Date.now()
    let isSearched = false

    /** Nobody who comes later is asked: anybody can come again and again and say nothing. */
    const deadline = (): number => Math.max(startedAt, lastDelivery ?? 0) + stallTimeoutMs

    /** Those who can be asked now: whoever failed has to rest, and whoever lied has had his turn. */
    function untried(): Candidate[] {
      const isOver = Date.now() >= deadline()
      return [...search.standings()].filter(([provider, standing]) => {
        const trial = trials.get(provider)
        const mayAgain = !isOver && trial?.state === 'failed' && isRetryable(trial.error)
        return (!trial || mayAgain) && !isResting(standing) && standing.addedAt <= deadline()
      })
    }

    function start(provider: Provider, standing: Standing, state: 'probed' | 'asked', task: () => Promise<void>): void {
      trials.set(provider, { askedAt: Date.now(), state })
      task()
        .catch((error: unknown) => {
          // Somebody else gave it, or nobody waits any more: no failure of this one.
          if (over.signal.aborted) return
          trials.set(provider, { askedAt: 0, state: 'failed', error })
          if (isRetryable(error)) noteFailure(standing, error, error instanceof AskLaterError ? error.afterMs : 0)
          else {
            standing.strikes = STRIKES
            search.drop(provider)
          }
        })
        .finally(bell.ring)
    }

    const lacks = (provider: Provider): void => {
      trials.set(provider, { askedAt: 0, state: 'lacks' })
      if (!roles.has(provider)) roles.set(provider, 'lacks')
    }

    function request(provider: Provider): void {
      const standing = search.standings().get(provider)
      if (!standing) return
      start(provider, standing, 'asked', async () => {
        noteAsked(standing)
        let byteLength: number | undefined
        try {
          const value = await ask(provider, over.signal)
          if (value === undefined) {
            lacks(provider)
            return
          }
          if (value instanceof Uint8Array) byteLength = value.length
          roles.set(provider, 'has')
          found ??= { value, by: provider }
        } finally {
          noteAnswered(standing, byteLength)
          book.changed()
        }
      })
    }

    /** Asks whether they have it, before one of them is asked to send it. */
    function probe([provider, standing]: Candidate): void {
      start(provider, standing, 'probed', async () => {
        if (!(await provider.hasBlock(cid, { signal: over.signal }))) {
          lacks(provider)
          return
        }
        roles.set(provider, 'has')
        trials.delete(provider)
      })
    }

    /** @returns Whether something was done. */
    function step(): boolean {
      const all = untried()
      if (isPresence) {
        const some = all.slice(0, MAX_PROBES)
        for (const [provider] of some) request(provider)
        return some.length > 0
      }
      const standings = search.standings()
      const running = [...trials].filter(([, { state }]) => state === 'asked')
      const holders = all.filter(([provider]) => roles.get(provider) === 'has')
      const others = all.filter(([provider]) => roles.get(provider) !== 'has')
      const isProbing = [...trials.values()].some(({ state }) => state === 'probed')
      const isHeld = holders.length > 0 || running.some(([provider]) => roles.get(provider) === 'has')
      const areLate = running.every(([provider, { askedAt }]) =>
        isLate(standings.get(provider), { askedAt, hedgeMs, others: holders }),
      )
      // Who does not even say whether he has it keeps nobody waiting who does.
      if (areLate) {
        const chosen = chooseProvider(holders, blockBytes)
        if (chosen) {
          request(chosen)
          return true
        }
      }
      // Who is new is asked what it has. With nobody else, it is asked for the block at once.
      const [only] = others
      if (only && others.length === 1 && !isHeld && running.length === 0 && !isProbing) {
        request(only[0])
        return true
      }
      const toProbe = others.filter(([provider]) => !isHeld || !roles.has(provider)).slice(0, MAX_PROBES)
      for (const other of toProbe) probe(other)
      return toProbe.length > 0
    }

    /** Those who have it and were asked for it, in vain until somebody else gave it. */
    function strike(by: Provider): void {
      const standings = search.standings()
      for (const [provider, { state }] of trials) {
        const standing = standings.get(provider)
        if (state === 'asked' && provider !== by && standing && roles.get(provider) === 'has') standing.strikes += 1
      }
    }

    /**
     * Once all have been asked: looks for others, or gives up.
     *
     * @returns What to do next: ask, or wait for so many milliseconds, or say that nobody has it.
     * @throws What has kept it from being found.
     */
    function lookFurther(): 'ask' | 'absent' | number {
      const isOver = Date.now() >= deadline()
      const last = search.last()
      const isInformed = isSearched || (mayOthersCome && (last?.startedAt ?? 0) >= startedAt)
      if (last?.failures && isInformed) {
        const notAsked = [...search.standings()].filter(([provider]) => !trials.has(provider))
        const evidence = { name, cid, trials, notAsked, finders: book.finders, failures: last.failures }
        const verdict = judge(evidence)
        const isKnown = !mayOthersCome && !(verdict instanceof BackendError)
        const isHopeless = !mayOthersCome && lastDelivery === undefined
        if (isPresence && isKnown) return 'absent'
        if (isKnown || isHopeless || isOver) {
          throw mayOthersCome && verdict instanceof BlockNotFoundError ? unanswered(evidence) : verdict
        }
      }
      // Only now: a search that takes longer than the pause would be followed by another one for ever.
      if (search.look(cid, { isFirst: !isSearched && (isOver || !mayOthersCome) })) {
        isSearched = true
        return 'ask'
      }
      // The end of a search rings.
      const untilSearch = last?.failures ? search.nextInMs() : Infinity
      const untilOver = isOver ? Infinity : deadline() - Date.now()
      return Math.min(hedgeMs, untilSearch, untilOver)
    }

    try {
      for (;;) {
        over.signal.throwIfAborted()
        if (found) {
          strike(found.by)
          if (found.value instanceof Uint8Array) {
            lastDelivery = Date.now()
            search.onDelivery()
            blockBytes += (found.value.length - blockBytes) / 8
          }
          return found.value
        }
        const turn = bell.next()
        if (step()) continue
        const isRunning = [...trials.values()].some(({ state }) => state === 'asked' || state === 'probed')
        // Whoever is left has enough to do.
        const isBusy = isRunning || untried().length > 0
        const next = isBusy ? hedgeMs : lookFurther()
        if (next === 'absent') return undefined
        if (next === 'ask') continue
        await turn(Math.max(next, 1), over.signal)
      }
    } finally {
      leave()
      unsubscribe()
      for (const stop of stops) stop.removeEventListener('abort', onAbort)
      over.abort(new Error('somebody else gave it'))
    }
  }

  return {
    async getBlock(cid, { signal }) {
      const ask = (provider: Provider, within: AbortSignal): Promise<Uint8Array | undefined> =>
        provider.getBlock(cid, { signal: within })
      const bytes = await find(cid, signal, { ask, isPresence: false })
      if (!bytes) throw new BlockNotFoundError(cid)
      return bytes
    },
    async hasBlock(cid, { signal }) {
      const ask = async (provider: Provider, within: AbortSignal): Promise<true | undefined> =>
        (await provider.hasBlock(cid, { signal: within })) || undefined
      return (await find(cid, signal, { ask, isPresence: true })) ?? false
    },
  }
}

const isRetryable = (error: unknown): boolean => error instanceof BackendError && error.retryable
