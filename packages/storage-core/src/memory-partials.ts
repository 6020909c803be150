import { type CID, type Outboard } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { ContentStore } from './content-store.ts'
import { BackendError } from './errors.ts'
import { createKeyedLock } from './lock.ts'
import { profileOfOutboard } from './outboard-profile.ts'
import {
  assertPartialKey,
  rootsOfHeld,
  type PartialFile,
  type PartialInfo,
  type PartialKey,
  type PartialSpan,
  type PartialStore,
} from './partial-store.ts'

interface Kept {
  bytes: Uint8Array
  spans: Map<number, PartialSpan>
  isInUse: boolean
  touchedAt: number
}

/**
 * Partial files in this process's memory, for tests and short-lived programs: each takes its whole size. What is committed
 * is added to the store, pinned until it is released.
 */
export function openMemoryPartials(store: ContentStore): PartialStore {
  const kept = new Map<string, Kept>()
  const done = new Map<string, CID>()
  const ours = new Map<string, CID>()
  const lock = createKeyedLock()
  let isClosed = false

  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError('memory: the partial files were closed', { retryable: false })
  }
  async function heldRoot(key: PartialKey, options: AbortOptions): Promise<CID | undefined> {
    for (const root of rootsOfHeld(key, done.get(nameOf(key)))) {
      if (await store.has(root, options)) return root
    }
    return undefined
  }

  async function commit(key: PartialKey, bytes: Uint8Array, outboard: Outboard, options: AbortOptions): Promise<void> {
    const { root } = outboard
    const isPinned = (await store.has(root, options)) && (await isPinnedIn(store, root))
    await store.add(bytes, { profile: profileOfOutboard(outboard), expected: root, ...options })
    if (!isPinned) ours.set(root.toString(), root)
    done.set(nameOf(key), root)
    kept.delete(nameOf(key))
  }

  return {
    name: 'memory',
    async open(key, { signal, onWaiting } = {}) {
      assertPartialKey(key)
      enter({ signal })
      const name = nameOf(key)
      const before = kept.get(name)
      if (before?.isInUse) onWaiting?.(recordedBytes(before))
      const opened = Promise.withResolvers<void>()
      const closed = Promise.withResolvers<void>()
      const turn = lock(
        name,
        async () => {
          opened.resolve()
          await closed.promise
        },
        signal,
      )
      turn.catch(opened.reject)
      await opened.promise
      try {
        const held = await heldRoot(key, { signal })
        if (held) {
          closed.resolve()
          return { held }
        }
      } catch (error) {
        closed.resolve()
        throw error
      }
      const partial = kept.get(name) ?? {
        bytes: new Uint8Array(key.size),
        spans: new Map(),
        isInUse: true,
        touchedAt: 0,
      }
      partial.isInUse = true
      partial.touchedAt = Date.now()
      kept.set(name, partial)
      let isOver = false
      const end = (): void => {
        isOver = true
        partial.isInUse = false
        closed.resolve()
      }
      const assertOpen = (): void => {
        if (isOver) throw new BackendError(`memory: ${key.id} was closed`, { retryable: false })
      }
      const file: PartialFile = {
        key,
        spans: [...partial.spans.values()].toSorted((a, b) => a.offset - b.offset),
        async read(offset, length) {
          assertOpen()
          return partial.bytes.slice(offset, offset + length)
        },
        async write(span, bytes) {
          assertOpen()
          partial.bytes.set(bytes, span.offset)
          partial.spans.set(span.offset, { ...span, sha256: span.sha256.slice() })
          partial.touchedAt = Date.now()
        },
        async clear() {
          assertOpen()
          partial.spans.clear()
        },
        async commit(outboard, options = {}) {
          assertOpen()
          await commit(key, partial.bytes, outboard, options)
          end()
        },
        async discard() {
          if (isOver) return
          kept.delete(name)
          end()
        },
        async close() {
          if (!isOver) end()
        },
      }
      return file
    },
    // Memory is not asked how much it has.
    async assertRoom(keys, options) {
      enter(options)
      for (const key of keys) assertPartialKey(key)
    },
    async *list(options) {
      enter(options)
      for (const [name, partial] of kept) yield infoOf(name, partial)
    },
    async release() {
      for (const root of ours.values()) await store.unpin(root)
      ours.clear()
    },
    async close() {
      isClosed = true
    },
  }
}

const nameOf = ({ id, size }: PartialKey): string => `${id}-${size}`

async function isPinnedIn(store: ContentStore, root: CID): Promise<boolean> {
  for await (const { cid } of store.pins()) if (cid.equals(root)) return true
  return false
}

const recordedBytes = ({ spans }: Kept): number => [...spans.values()].reduce((sum, { length }) => sum + length, 0)

function infoOf(name: string, partial: Kept): PartialInfo {
  const cut = name.lastIndexOf('-')
  return {
    id: name.slice(0, cut),
    size: Number(name.slice(cut + 1)),
    recordedBytes: recordedBytes(partial),
    idleMs: Date.now() - partial.touchedAt,
    isInUse: partial.isInUse,
  }
}
