import type { CID } from '@x/cid'

import type { ProviderBook } from './provider-book.ts'
import type { Provider } from './provider.ts'
import { createStanding, type Standing } from './standing.ts'

/** Who may have the blocks of one session, and the search for more: one at a time, whatever block it is for. */
export interface SessionSearch {
  /** Everybody in the book, and the gateways that were found for this session. They hear of no other. */
  standings(): ReadonlyMap<Provider, Standing>
  /** Forgets a gateway that was found. */
  drop(provider: Provider): void
  /** Somebody waits. Returns what says that they do no more: with the last one a search ends. */
  enter(): () => void
  /** Starts a search, unless one is running or was a short time ago. `isFirst`: however short. Returns whether it did. */
  look(cid: CID, options: { isFirst: boolean }): boolean
  /** A block came, so the next search may follow sooner. */
  onDelivery(): void
  /** Of the last search. `failures`: by the names of finders; `undefined` while it runs. */
  last(): { startedAt: number; failures: ReadonlyMap<string, unknown> | undefined } | undefined
  /** Milliseconds until `look` would start one. */
  nextInMs(): number
}

/** New ones are looked for this often, at first. */
const LEAST_PAUSE_MS = 1000
const MOST_PAUSE_MS = 4000

/** More that routers name are not used. */
const MAX_FOUND = 32

export function createSessionSearch(book: ProviderBook, createGateway: (base: URL) => Provider): SessionSearch {
  const found = new Map<Provider, Standing>()
  let waiting = 0
  let over = new AbortController()
  let pauseMs = LEAST_PAUSE_MS
  let last: { startedAt: number; failures: ReadonlyMap<string, unknown> | undefined } | undefined

  const standings = (): ReadonlyMap<Provider, Standing> =>
    found.size === 0 ? book.standings : new Map([...book.standings, ...found])
  const nextInMs = (): number => (last ? Math.max(0, last.startedAt + pauseMs - Date.now()) : 0)

  function onGateway(base: URL): void {
    const isKnown = [...standings().keys()].some(({ id }) => id === base.href)
    if (isKnown || found.size >= MAX_FOUND) return
    found.set(createGateway(base), createStanding())
    book.changed()
  }

  async function search(cid: CID, current: NonNullable<typeof last>): Promise<void> {
    current.failures = await book.search(cid, { signal: over.signal, onGateway })
    book.changed()
  }

  return {
    standings,
    nextInMs,
    last: () => last,
    drop: (provider) => void found.delete(provider),
    enter() {
      waiting += 1
      return () => {
        waiting -= 1
        if (waiting > 0) return
        over.abort(new Error('nobody waits for it'))
        over = new AbortController()
        if (last && !last.failures) last = undefined
      }
    },
    look(cid, { isFirst }) {
      if (last && !last.failures) return false
      if (!isFirst && nextInMs() > 0) return false
      if (last) pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS)
      last = { startedAt: Date.now(), failures: undefined }
      void search(cid, last)
      return true
    },
    onDelivery() {
      pauseMs = LEAST_PAUSE_MS
    },
  }
}
