import { IntegrityError, type CID } from '@x/cid'
import { BackendError, BlockNotFoundError } from '@x/storage-core'

import { createBell } from './bell.ts'
import { AskLaterError } from './http/ask-later-error.ts'
import { messageOf } from './message-of.ts'
import type { ProviderBook } from './provider-book.ts'
import type { AskOptions, Provider } from './provider.ts'
import { createSessionSearch } from './session-search.ts'
import { isResting, noteAnswered, noteAsked, noteFailure, STRIKES, type Standing } from './standing.ts'

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

/** What came of asking one provider for one block. */
interface Trial {
  askedAt: number
  /** `probed`: asked whether it has it. */
  state: 'probed' | 'asked' | 'lacks' | 'failed'
  error?: unknown
}

/** A provider that gave nothing for this long is helped out by another one. */
const HEDGE_MS = 1500

const MIN_WINDOW_BYTES = 4 * 1024 * 1024
const MAX_WINDOW_BYTES = 16 * 1024 * 1024
const MAX_WINDOW_BLOCKS = 128

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

  const windowOf = ({ rate, failures }: Standing): number => {
    // One is enough to see whether it does better now.
    if (failures > 0) return 1
    const bytes = Math.min(Math.max(rate ?? 0, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)
    return Math.min(Math.max(Math.floor(bytes / blockBytes), 2), MAX_WINDOW_BLOCKS)
  }

  /** The one that should be done first with another block; `'busy'` when whoever may be asked has enough to do. */
  function best(among: readonly (readonly [Provider, Standing])[]): Provider | 'busy' | undefined {
    if (among.length === 0) return undefined
    const fine = among.filter(([, { strikes }]) => strikes < STRIKES)
    const considered = fine.length > 0 ? fine : among
    const top = Math.max(1, ...considered.map(([, { rate }]) => rate ?? 1))
    let chosen: Provider | 'busy' = 'busy'
    let least = Infinity
    for (const [provider, standing] of considered) {
      if (standing.outstanding >= windowOf(standing)) continue
      const cost = (standing.outstanding + 1) / (standing.rate ?? top)
      if (cost < least) [chosen, least] = [provider, cost]
    }
    return chosen
  }

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
    function untried(): (readonly [Provider, Standing])[] {
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
    function probe([provider, standing]: readonly [Provider, Standing]): void {
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
      const running = [...trials].filter(([, { state }]) => state === 'asked')
      const holders = all.filter(([provider]) => roles.get(provider) === 'has')
      const others = all.filter(([provider]) => roles.get(provider) !== 'has')
      const isProbing = [...trials.values()].some(({ state }) => state === 'probed')
      const isHeld = holders.length > 0 || running.some(([provider]) => roles.get(provider) === 'has')
      // Who does not even say whether he has it keeps nobody waiting who does.
      if (running.length === 0 || isLate(running, holders)) {
        const chosen = best(holders)
        if (chosen && chosen !== 'busy') {
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

    function isLate(
      running: readonly [Provider, Trial][],
      holders: readonly (readonly [Provider, Standing])[],
    ): boolean {
      const standings = search.standings()
      const fastest = Math.max(0, ...holders.map(([, { rate }]) => rate ?? 0))
      return running.every(([provider, { askedAt }]) => {
        const standing = standings.get(provider)
        if (!standing) return true
        const silence = Date.now() - Math.max(askedAt, standing.lastDelivery)
        const isSlow = (standing.rate ?? 0) * 4 < fastest && Date.now() - askedAt > hedgeMs
        return silence > hedgeMs || isSlow
      })
    }

    try {
      for (;;) {
        over.signal.throwIfAborted()
        if (found) {
          const standings = search.standings()
          for (const [provider, { state }] of trials) {
            const standing = standings.get(provider)
            if (state === 'asked' && provider !== found.by && standing && roles.get(provider) === 'has')
              standing.strikes += 1
          }
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
        let waitMs = hedgeMs
        // Whoever is left has enough to do.
        if (!isRunning && untried().length === 0) {
          const isOver = Date.now() >= deadline()
          const last = search.last()
          const isInformed = isSearched || (mayOthersCome && (last?.startedAt ?? 0) >= startedAt)
          if (last?.failures && isInformed) {
            const verdict = judge(cid, trials, last.failures)
            const isKnown = !mayOthersCome && !(verdict instanceof BackendError)
            const isHopeless = !mayOthersCome && lastDelivery === undefined
            if (isKnown || isHopeless || isOver) {
              if (isPresence && isKnown) return undefined
              throw mayOthersCome && verdict instanceof BlockNotFoundError
                ? unanswered(cid, trials, last.failures)
                : verdict
            }
          }
          // Only now: a search that takes longer than the pause would be followed by another one for ever.
          if (search.look(cid, { isFirst: !isSearched && (isOver || !mayOthersCome) })) {
            isSearched = true
            continue
          }
          // The end of a search rings.
          if (last?.failures) waitMs = Math.min(waitMs, search.nextInMs())
          if (!isOver) waitMs = Math.min(waitMs, deadline() - Date.now())
        }
        await turn(Math.max(waitMs, 1), over.signal)
      }
    } finally {
      leave()
      unsubscribe()
      for (const stop of stops) stop.removeEventListener('abort', onAbort)
      over.abort(new Error('somebody else gave it'))
    }
  }

  /** That nobody has it, if all say so; that somebody lied, if all others do. */
  function judge(cid: CID, trials: ReadonlyMap<Provider, Trial>, failures: ReadonlyMap<string, unknown>): Error {
    const all = [...trials.values()]
    const lies = all.map(({ error }) => error).filter((error) => error instanceof IntegrityError)
    const [lie] = lies
    const lacking = all.filter(({ state }) => state === 'lacks').length
    const isKnown = failures.size === 0 && notAsked(trials).length === 0 && lacking + lies.length === all.length
    if (isKnown && lie) return lie
    return isKnown && lacking > 0 ? new BlockNotFoundError(cid) : unanswered(cid, trials, failures)
  }

  const notAsked = (trials: ReadonlyMap<Provider, Trial>): (readonly [Provider, Standing])[] =>
    [...search.standings()].filter(([provider]) => !trials.has(provider))

  function unanswered(
    cid: CID,
    trials: ReadonlyMap<Provider, Trial>,
    failures: ReadonlyMap<string, unknown>,
  ): BackendError {
    const tried = [...trials].map(([provider, { state, error }]) =>
      state === 'failed' ? messageOf(error) : `${provider.id}: does not have it`,
    )
    const resting = notAsked(trials).map(([{ id }, { lastError }]) =>
      lastError === undefined ? `${id}: came too late` : `before: ${messageOf(lastError)}`,
    )
    const searched = book.finders.flatMap((finder) => {
      if (failures.has(finder.name)) return [messageOf(failures.get(finder.name))]
      return finder.isNamed ? [] : [`${finder.name}: found nobody else`]
    })
    const said = [...tried, ...resting, ...searched]
    const why = said.length > 0 ? said.join('; ') : 'nobody is connected, and there is nobody to look for'
    return new BackendError(`${name}: get ${cid}: nobody gave it (${why})`, { retryable: true })
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
