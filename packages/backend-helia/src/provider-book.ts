import type { CID } from '@x/cid'

import type { Provider } from './provider.ts'

/** Looks for providers; who it finds turns up in the book. */
export interface Finder {
  /** For messages: `peer /ip4/…`, `router https://…`. */
  readonly name: string
  /** Resolves when the search is over, whatever it found. @throws Whatever kept it from searching. */
  find(cid: CID, options: { signal: AbortSignal }): Promise<void>
}

/** How a provider has done so far. */
interface Standing {
  /** Blocks it was asked for and has not answered. */
  outstanding: number
  /** Bytes a second while it was asked for something. */
  rate: number | undefined
  /** `Date.now()`. */
  lastDelivery: number
  /** Times in a row that another one was faster with what it was asked for. */
  strikes: number
  windowStart: number
  windowBytes: number
}

/** Who may have blocks, now. */
export interface ProviderBook {
  readonly standings: ReadonlyMap<Provider, Standing>
  add(provider: Provider): void
  remove(provider: Provider): void
  /** Runs all finders. Resolves to why those failed that did, by their names. */
  search(cid: CID, options: { signal: AbortSignal }): Promise<Map<string, unknown>>
  readonly finders: readonly Finder[]
  onAsked(provider: Provider): void
  /** @param byteLength - Of a block that came; `undefined` for any other end. */
  onAnswered(provider: Provider, byteLength: number | undefined): void
  /** Calls `listener` when somebody came, went, or can be asked for more. Returns what ends that. */
  onChange(listener: () => void): () => void
}

/** A rate is taken over at least so long. */
const WINDOW_MS = 100

export function createProviderBook(finders: readonly Finder[]): ProviderBook {
  const standings = new Map<Provider, Standing>()
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }

  return {
    standings,
    finders,
    add(provider) {
      const now = Date.now()
      standings.set(provider, {
        outstanding: 0,
        rate: undefined,
        lastDelivery: 0,
        strikes: 0,
        windowStart: now,
        windowBytes: 0,
      })
      changed()
    },
    remove(provider) {
      if (standings.delete(provider)) changed()
    },
    async search(cid, { signal }) {
      const failures = new Map<string, unknown>()
      await Promise.all(
        finders.map(async (finder) => {
          try {
            await finder.find(cid, { signal })
          } catch (error) {
            failures.set(finder.name, error)
          }
        }),
      )
      return failures
    },
    onAsked(provider) {
      const standing = standings.get(provider)
      if (!standing) return
      if (standing.outstanding === 0) {
        standing.windowStart = Date.now()
        standing.windowBytes = 0
      }
      standing.outstanding += 1
    },
    onAnswered(provider, byteLength) {
      const standing = standings.get(provider)
      if (!standing) return
      standing.outstanding -= 1
      if (byteLength !== undefined) {
        const now = Date.now()
        standing.lastDelivery = now
        standing.strikes = 0
        standing.windowBytes += byteLength
        const elapsed = now - standing.windowStart
        if (elapsed >= WINDOW_MS) {
          const rate = (standing.windowBytes * 1000) / elapsed
          standing.rate = standing.rate === undefined ? rate : 0.6 * standing.rate + 0.4 * rate
          standing.windowStart = now
          standing.windowBytes = 0
        }
      }
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
