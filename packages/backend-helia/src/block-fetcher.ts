import { IntegrityError, type CID } from '@x/cid'
import { BackendError, BlockNotFoundError, isStorageError } from '@x/storage-core'

import { messageOf } from './message-of.ts'
import type { ProviderBook } from './provider-book.ts'
import type { AskOptions, Provider } from './provider.ts'
import { later } from './timers.ts'

export interface BlockFetcherOptions {
  /** For messages. */
  name: string
  book: ProviderBook
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
   * @throws {IntegrityError} Who had it sent something else, and nobody else has it.
   * @throws {BackendError} Nobody gave it within the stall time. The message says who was asked.
   */
  getBlock(cid: CID, options: AskOptions): Promise<Uint8Array>
  /** @throws As `getBlock`, but that an absent block is `false`. */
  hasBlock(cid: CID, options: AskOptions): Promise<boolean>
}

/** What came of asking one provider for one block. */
interface Trial {
  askedAt: number
  state: 'asked' | 'lacks' | 'failed'
  error?: unknown
}

/** A provider that gave nothing for this long is helped out by another one. */
const HEDGE_MS = 1500

/** While nobody is left to ask, new ones are looked for this often. */
const SEARCH_AGAIN_MS = 1000

const MIN_WINDOW_BYTES = 4 * 1024 * 1024
const MAX_WINDOW_BYTES = 16 * 1024 * 1024
const MAX_WINDOW_BLOCKS = 128

/** More are not asked at once whether they have a block. */
const MAX_PROBES = 32

/** With so many strikes a provider is asked when there is no other. */
const STRIKES = 3

export function createBlockFetcher(options: BlockFetcherOptions): BlockFetcher {
  const { name, book, stallTimeoutMs, closing, mayOthersCome } = options
  const hedgeMs = Math.min(HEDGE_MS, stallTimeoutMs / 4)
  /** What each said first: whoever has the root most likely has the rest. */
  const roles = new WeakMap<Provider, 'has' | 'lacks'>()
  let blockBytes = 256 * 1024
  /** `Date.now()`. */
  let lastDelivery: number | undefined

  const windowOf = (rate: number | undefined): number => {
    const bytes = Math.min(Math.max(rate ?? 0, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)
    return Math.min(Math.max(Math.floor(bytes / blockBytes), 2), MAX_WINDOW_BLOCKS)
  }

  /** The one that should be done first with another block; `'busy'` when whoever may be asked has enough to do. */
  function best(among: readonly Provider[]): Provider | 'busy' | undefined {
    const known = among.flatMap((provider) => {
      const standing = book.standings.get(provider)
      return standing ? [{ provider, standing }] : []
    })
    if (known.length === 0) return undefined
    const fine = known.filter(({ standing }) => standing.strikes < STRIKES)
    const considered = fine.length > 0 ? fine : known
    const top = Math.max(1, ...considered.map(({ standing }) => standing.rate ?? 1))
    let chosen: Provider | 'busy' = 'busy'
    let least = Infinity
    for (const { provider, standing } of considered) {
      if (standing.outstanding >= windowOf(standing.rate)) continue
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
    let found: { value: T; by: Provider } | undefined
    let waitingSince = Date.now()
    const seen = new Set<string>()
    let search: { startedAt: number; failures: Map<string, unknown> | undefined } | undefined

    function look(): void {
      const current = { startedAt: Date.now(), failures: undefined }
      search = current
      void searchNow(current)
    }

    async function searchNow(current: NonNullable<typeof search>): Promise<void> {
      current.failures = await book.search(cid, { signal: over.signal })
      bell.ring()
    }

    function start(provider: Provider, task: () => Promise<void>): void {
      trials.set(provider, { askedAt: Date.now(), state: 'asked' })
      // With each that is new there is hope.
      if (!seen.has(provider.id)) waitingSince = Date.now()
      seen.add(provider.id)
      task()
        .catch((error: unknown) => {
          if (over.signal.aborted) return
          trials.set(provider, { askedAt: 0, state: 'failed', error })
        })
        .finally(bell.ring)
    }

    const lacks = (provider: Provider): void => {
      trials.set(provider, { askedAt: 0, state: 'lacks' })
      if (!roles.has(provider)) roles.set(provider, 'lacks')
    }

    function request(provider: Provider): void {
      start(provider, async () => {
        book.onAsked(provider)
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
          book.onAnswered(provider, byteLength)
        }
      })
    }

    /** Asks whether they have it, before one of them is asked to send it. */
    function probe(provider: Provider): void {
      start(provider, async () => {
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
      const all = [...book.standings.keys()]
      const untried = all.filter((provider) => !trials.has(provider))
      if (isPresence) {
        const some = untried.slice(0, MAX_PROBES)
        for (const provider of some) request(provider)
        return some.length > 0
      }
      const running = [...trials].filter(([, { state }]) => state === 'asked')
      const holders = untried.filter((provider) => roles.get(provider) === 'has')
      const others = untried.filter((provider) => roles.get(provider) !== 'has')
      const isHeld = holders.length > 0 || running.some(([provider]) => roles.get(provider) === 'has')
      if (running.length === 0 || isLate(running, holders)) {
        const chosen = best(holders)
        if (chosen && chosen !== 'busy') {
          request(chosen)
          return true
        }
      }
      // Who is new is asked what it has. With nobody else, it is asked for the block at once.
      const [only] = others
      if (only && others.length === 1 && !isHeld && running.length === 0) {
        request(only)
        return true
      }
      const toProbe = others.filter((provider) => !isHeld || !roles.has(provider)).slice(0, MAX_PROBES)
      for (const provider of toProbe) probe(provider)
      return toProbe.length > 0
    }

    function isLate(running: readonly [Provider, Trial][], holders: readonly Provider[]): boolean {
      const fastest = Math.max(0, ...holders.map((provider) => book.standings.get(provider)?.rate ?? 0))
      return running.every(([provider, { askedAt }]) => {
        const standing = book.standings.get(provider)
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
          for (const [provider, { state }] of trials) {
            const standing = book.standings.get(provider)
            if (state === 'asked' && provider !== found.by && standing && roles.get(provider) === 'has')
              standing.strikes += 1
          }
          if (found.value instanceof Uint8Array) {
            lastDelivery = Date.now()
            blockBytes += (found.value.length - blockBytes) / 8
          }
          return found.value
        }
        const turn = bell.next()
        if (step()) continue
        const states = [...trials.values()].map(({ state }) => state)
        const isRunning = states.includes('asked')
        const isBusy = [...book.standings.keys()].some((provider) => !trials.has(provider))
        let waitMs = hedgeMs
        if (!isRunning && !isBusy) {
          const now = Date.now()
          if (search === undefined) {
            look()
            continue
          }
          if (search.failures) {
            const verdict = judge(cid, trials, search.failures)
            const isFinal = verdict instanceof IntegrityError || (!mayOthersCome && lastDelivery === undefined)
            const isKnown = verdict instanceof BlockNotFoundError && !mayOthersCome
            const waitedMs = now - Math.max(waitingSince, lastDelivery ?? 0)
            if (isFinal || isKnown || waitedMs >= stallTimeoutMs) {
              if (isPresence && isKnown) return undefined
              throw mayOthersCome && verdict instanceof BlockNotFoundError
                ? unanswered(cid, trials, search.failures)
                : verdict
            }
            if (now - search.startedAt >= SEARCH_AGAIN_MS) {
              // Who failed may do better now.
              for (const [provider, { state }] of trials) if (state === 'failed') trials.delete(provider)
              look()
              continue
            }
            waitMs = Math.min(SEARCH_AGAIN_MS - (now - search.startedAt), stallTimeoutMs - waitedMs)
          }
        }
        await turn(Math.max(waitMs, 1), over.signal)
      }
    } finally {
      unsubscribe()
      for (const stop of stops) stop.removeEventListener('abort', onAbort)
      over.abort(new Error('somebody else gave it'))
    }
  }

  function judge(cid: CID, trials: ReadonlyMap<Provider, Trial>, failures: ReadonlyMap<string, unknown>): Error {
    const lies = [...trials.values()]
      .map(({ error }) => error)
      .filter((error) => isStorageError(error) && error.code === 'INTEGRITY')
    const [lie] = lies
    if (lie instanceof IntegrityError) return lie
    const states = [...trials.values()].map(({ state }) => state)
    if (failures.size === 0 && states.length > 0 && states.every((state) => state === 'lacks'))
      return new BlockNotFoundError(cid)
    return unanswered(cid, trials, failures)
  }

  function unanswered(
    cid: CID,
    trials: ReadonlyMap<Provider, Trial>,
    failures: ReadonlyMap<string, unknown>,
  ): BackendError {
    const tried = [...trials].map(([provider, { state, error }]) =>
      state === 'failed' ? `${provider.id}: ${messageOf(error)}` : `${provider.id}: does not have it`,
    )
    const searched = book.finders.map((finder) =>
      failures.has(finder.name)
        ? `${finder.name}: ${messageOf(failures.get(finder.name))}`
        : `${finder.name}: found nobody else`,
    )
    const said = [...tried, ...searched]
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

interface Bell {
  ring: () => void
  /** From now on, a ring is not missed by the returned wait. */
  next: () => (timeoutMs: number, signal: AbortSignal) => Promise<void>
}

function createBell(): Bell {
  let rung = 0
  let wake: (() => void) | undefined
  return {
    ring() {
      rung += 1
      wake?.()
    },
    next() {
      const before = rung
      return (timeoutMs, signal) =>
        new Promise((resolve) => {
          const done = (): void => {
            cancel()
            wake = undefined
            signal.removeEventListener('abort', done)
            resolve()
          }
          const cancel = later(done, timeoutMs)
          wake = done
          signal.addEventListener('abort', done)
          if (rung > before || signal.aborted) done()
        })
    },
  }
}
