import { walkDag, type CID } from '@x/cid'
import type { ContentStore } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { messageOf } from './message-of.ts'

/** What others may fetch: everything held, what is below a pin, or nothing. */
export type Serve = 'all' | 'pinned' | 'none'

export interface ServePolicyOptions {
  onWarning: (message: string) => void
  /** Ends what is being read. */
  closing: AbortSignal
}

/** The list of pins is read this often, when somebody asks. */
const FRESH_MS = 5000

/** A pin that cannot be read whole is tried again after so long. */
const RETRY_MS = 300_000

interface Pinned {
  /** Multihashes of the blocks that were found. */
  keys: ReadonlySet<string>
  /** When to read it again: `Date.now()`. A whole one never changes. */
  againAt: number
}

/** Whether a block may be given to others. `pinned` remembers the multihash of every block below a pin. */
export function createServePolicy(
  store: Pick<ContentStore, 'pins'> & { blocks: Pick<ContentStore['blocks'], 'get'> },
  serve: Serve,
  { onWarning, closing }: ServePolicyOptions,
): (cid: CID) => Promise<boolean> {
  if (serve === 'all') return async () => true
  if (serve === 'none') return async () => false
  /** By root. */
  const below = new Map<string, Pinned>()
  let readAt = 0
  let reading: Promise<void> | undefined

  async function readPin(root: CID): Promise<Pinned> {
    const keys = new Set<string>()
    try {
      const blocks = walkDag((wanted, options) => store.blocks.get(wanted, options), root, { signal: closing })
      for await (const block of blocks) keys.add(multihashKey(block))
      return { keys, againAt: Infinity }
    } catch (error) {
      closing.throwIfAborted()
      // What is there of it is pinned all the same.
      onWarning(`pin ${root} cannot be read, so not all of it is served: ${messageOf(error)}`)
      return { keys, againAt: Date.now() + RETRY_MS }
    }
  }

  async function read(): Promise<void> {
    try {
      const found = new Set<string>()
      for await (const { cid } of store.pins()) {
        const root = cid.toString()
        found.add(root)
        const known = below.get(root)
        if (!known || Date.now() >= known.againAt) below.set(root, await readPin(cid))
      }
      for (const root of below.keys()) if (!found.has(root)) below.delete(root)
    } catch (error) {
      if (!closing.aborted) onWarning(`the pins cannot be read: ${messageOf(error)}`)
    } finally {
      readAt = Date.now()
    }
  }

  return async (cid) => {
    if (Date.now() - readAt > FRESH_MS) {
      reading ??= read().finally(() => {
        reading = undefined
      })
      await reading
    }
    const key = multihashKey(cid)
    return [...below.values()].some(({ keys }) => keys.has(key))
  }
}
