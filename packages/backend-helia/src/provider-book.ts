import type { CID } from '@x/cid'

import type { Provider } from './provider.ts'
import { createStanding, type Standing } from './standing.ts'

/** Looks for providers; who it finds turns up in the book. */
export interface Finder {
  /** For messages: `peer /ip4/…`, `router https://…`. */
  readonly name: string
  /** Whether it stands for one peer that was named: who is connected has been asked. */
  readonly isNamed?: boolean
  /** Resolves when the search is over, whatever it found. @throws Whatever kept it from searching; its message says who. */
  find(cid: CID, options: FindOptions): Promise<void>
}

interface FindOptions {
  signal: AbortSignal
  /** Hears of gateways that may have it. */
  onGateway: (base: URL) => void
}

/** Who may have blocks, now. */
export interface ProviderBook {
  readonly standings: ReadonlyMap<Provider, Standing>
  add(provider: Provider): void
  remove(provider: Provider): void
  /** Runs all finders. Resolves to why those failed that did, by their names. */
  search(cid: CID, options: FindOptions): Promise<Map<string, unknown>>
  readonly finders: readonly Finder[]
  /** Somebody came, went, or can be asked for more. */
  changed(): void
  /** Calls `listener` at each change. Returns what ends that. */
  onChange(listener: () => void): () => void
}

export function createProviderBook(finders: readonly Finder[]): ProviderBook {
  const standings = new Map<Provider, Standing>()
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }

  return {
    standings,
    finders,
    changed,
    add(provider) {
      standings.set(provider, createStanding())
      changed()
    },
    remove(provider) {
      if (standings.delete(provider)) changed()
    },
    async search(cid, options) {
      const failures = new Map<string, unknown>()
      await Promise.all(
        finders.map(async (finder) => {
          try {
            await finder.find(cid, options)
          } catch (error) {
            failures.set(finder.name, error)
          }
        }),
      )
      return failures
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
