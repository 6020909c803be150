import { CID, type Outboard } from '@x/cid'
import {
  assertPartialKey,
  BackendError,
  NoSpaceError,
  type AbortOptions,
  type ContentStore,
  type PartialFile,
  type PartialInfo,
  type PartialKey,
  type PartialSpan,
  type PartialStore,
} from '@x/storage-core'
import { profileOfOutboard, rootsOfHeld } from '@x/storage-core/backend'

import { openSpans, type SpanFolder } from './span-folder.ts'

export interface OpfsPartialsOptions {
  /** Where the storage lies; the partial files lie beside it. Default `x-store`. */
  directory?: string | undefined
}

/** What was not gone on with for so long is removed. Milliseconds. */
const ABANDONED_MS = 30 * 24 * 3_600_000

/** Bytes of one piece on the way into the store. */
const PIECE_BYTES = 1024 * 1024

/**
 * Partial files in the origin's private file system: each run of bytes that was checked is a file of its own there, so that what a page had when it
 * was closed or killed is there the next time. A file that is whole is added to the store, and lies twice until that has ended.
 *
 * @throws {BackendError} The file system fails.
 */
export async function openOpfsPartials(
  store: ContentStore,
  { directory = 'x-store' }: OpfsPartialsOptions = {},
): Promise<PartialStore> {
  const name = `${directory}.partials`
  const spans = openSpans(name)
  let isClosed = false

  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError(`${name}: the partial files were closed`, { retryable: false })
  }

  async function heldRoot(key: PartialKey, options: AbortOptions): Promise<CID | undefined> {
    const noted = await spans.noted(idOf(key))
    for (const root of rootsOfHeld(key, noted === undefined ? undefined : CID.parse(noted))) {
      if (await store.has(root, options)) return root
    }
    return undefined
  }

  async function commit(key: PartialKey, folder: SpanFolder, outboard: Outboard, options: AbortOptions): Promise<void> {
    const { root } = outboard
    const isPinned = (await store.has(root, options)) && (await isPinnedIn(store, root))
    const source = {
      type: 'file' as const,
      size: key.size,
      async *open() {
        for (let offset = 0; offset < key.size; offset += PIECE_BYTES) {
          yield await folder.read(offset, Math.min(PIECE_BYTES, key.size - offset))
        }
      },
    }
    await store.add(source, { profile: profileOfOutboard(outboard), expected: root, pin: true, ...options })
    await spans.note(idOf(key), root.toString(), { isOurs: !isPinned })
    await folder.remove()
  }

  async function sweep(): Promise<void> {
    for (const info of await spans.list()) {
      if (info.idleMs < ABANDONED_MS) continue
      // Not of one that another tab goes on with just now.
      await spans.ifFree(info.id, () => spans.remove(info.id))
    }
  }

  await sweep()
  return {
    name,
    async open(key, { signal, onWaiting } = {}) {
      assertPartialKey(key)
      enter({ signal })
      const id = idOf(key)
      const release = await spans.lock(id, { signal, onWaiting })
      try {
        const held = await heldRoot(key, { signal })
        if (held) {
          release()
          return { held }
        }
        return toPartial(key, await spans.open(id, key.size), release)
      } catch (error) {
        release()
        throw error
      }
    },
    async assertRoom(keys, options) {
      enter(options)
      for (const key of keys) assertPartialKey(key)
      const recorded = new Map((await spans.list()).map(({ id, recordedBytes }) => [id, recordedBytes]))
      const needed = keys.reduce((sum, key) => sum + Math.max(0, key.size - (recorded.get(idOf(key)) ?? 0)), 0)
      // The largest lies twice while it is added.
      const twice = Math.max(0, ...keys.map(({ size }) => size))
      const { usage = 0, quota = 0 } = await navigator.storage.estimate()
      const free = Math.max(0, quota - usage)
      if (needed + twice <= free) return
      throw new NoSpaceError(
        `${name}: ${needed + twice} bytes are needed, ${twice} of them for a moment, and the browser has room for ${free}`,
      )
    },
    async *list(options) {
      enter(options)
      for (const { id, recordedBytes, idleMs } of await spans.list()) {
        const cut = id.lastIndexOf('-')
        const isInUse = !(await spans.ifFree(id, async () => undefined))
        const info: PartialInfo = {
          id: id.slice(0, cut),
          size: Number(id.slice(cut + 1)),
          recordedBytes,
          idleMs,
          isInUse,
        }
        yield info
      }
    },
    async release() {
      // Those of a tab that was killed too.
      for (const { root, forget, isOurs } of await spans.notes()) {
        if (isOurs) await store.unpin(CID.parse(root))
        await forget()
      }
    },
    async close() {
      isClosed = true
    },
  }

  function toPartial(key: PartialKey, folder: SpanFolder, release: () => void): PartialFile {
    let isOver = false
    const assertOpen = (): void => {
      if (isOver) throw new BackendError(`${name}: ${key.id} was closed`, { retryable: false })
    }
    const end = (): void => {
      isOver = true
      release()
    }
    return {
      key,
      spans: folder.spans,
      async read(offset, length) {
        assertOpen()
        return folder.read(offset, length)
      },
      async write(span: PartialSpan, bytes) {
        assertOpen()
        await folder.write(span, bytes)
      },
      async clear() {
        assertOpen()
        await folder.clear()
      },
      async commit(outboard, options = {}) {
        assertOpen()
        await commit(key, folder, outboard, options)
        end()
      },
      async discard() {
        if (isOver) return
        await folder.remove()
        end()
      },
      async close() {
        if (!isOver) end()
      },
    }
  }
}

const idOf = ({ id, size }: PartialKey): string => `${id}-${size}`

async function isPinnedIn(store: ContentStore, root: CID): Promise<boolean> {
  for await (const { cid } of store.pins()) if (cid.equals(root)) return true
  return false
}
