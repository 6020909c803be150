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

import { isAmong } from './is-among.ts'
import { openSpans, type Made, type Note, type SpanFolder } from './span-folder.ts'

export interface OpfsPartialsOptions {
  /** Where the storage lies; the partial files lie beside it. Default `x-store`. */
  directory?: string | undefined
  /** What was not gone on with for so long is removed. Milliseconds. Default: 30 days. */
  abandonedMs?: number | undefined
}

const ABANDONED_MS = 30 * 24 * 3_600_000

/** Bytes of one piece on the way into the store. */
const PIECE_BYTES = 1024 * 1024

/** Whether this browser lets a page write files here: some do not in private windows, Safari before 26 not without a worker. */
export async function canRecord(): Promise<boolean> {
  if (typeof FileSystemFileHandle === 'undefined' || !('createWritable' in FileSystemFileHandle.prototype)) return false
  return navigator.storage.getDirectory().then(
    () => true,
    () => false,
  )
}

/**
 * Partial files in the origin's private file system: each run of bytes that was checked is a file of its own there, so that what a page had when it
 * was closed or killed is there the next time. A file that is whole is added to the store, and lies twice until that has ended.
 *
 * @throws {BackendError} The file system fails.
 */
export async function openOpfsPartials(
  store: ContentStore,
  { directory = 'x-store', abandonedMs = ABANDONED_MS }: OpfsPartialsOptions = {},
): Promise<PartialStore> {
  const name = `${directory}.partials`
  const spans = openSpans(name)
  /** This download. It holds a lock of that name for as long as it goes on. */
  const owner = crypto.randomUUID()
  const letGo = await spans.lock(owner, {})
  let isClosed = false

  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError(`${name}: the partial files were closed`, { retryable: false })
  }

  async function heldRoot(key: PartialKey, options: AbortOptions): Promise<CID | undefined> {
    const noted = (await spans.notes()).find(({ id }) => id === idOf(key))
    for (const root of rootsOfHeld(key, noted && CID.parse(noted.root))) {
      if (await store.has(root, options)) return root
    }
    return undefined
  }

  /** So that it stays while this download needs it, and goes then if it was a download that brought it. */
  async function use(key: PartialKey, root: CID, otherwise: () => Promise<Made>): Promise<Note> {
    const of = root.toString()
    const before = (await spans.notes()).find((note) => note.root === of)
    return spans.note({ id: idOf(key), root: of, made: before?.made ?? (await otherwise()), owner })
  }

  /** Takes back what a download has made of a root, unless another one needs it just now: then that one does. */
  async function takeBack(note: Note): Promise<void> {
    const root = CID.parse(note.root)
    const others = (await spans.notes()).filter((one) => one.root === note.root && one.owner !== note.owner)
    const isWanted = (await Promise.all(others.map((one) => isUnderWay(one.owner)))).includes(true)
    // One that got a name meanwhile is somebody's, and `remove` would take the name too.
    const mayGo = note.made === 'brought' && !(await isAmong(store.names.list(), root))
    if (!isWanted && mayGo) await store.remove(root)
    else if (!isWanted && note.made !== 'found') await store.unpin(root)
    for (const done of isWanted ? [note] : [note, ...others]) await done.forget()
  }

  const isUnderWay = async (download: string): Promise<boolean> =>
    !(await spans.ifFree(download, async () => undefined))

  async function commit(key: PartialKey, folder: SpanFolder, outboard: Outboard, options: AbortOptions): Promise<void> {
    const { root } = outboard
    // Before it is there: a page that is killed meanwhile leaves nothing that nobody knows of.
    const note = await spans.alone(() => use(key, root, () => wouldMake(root, options)))
    const source = {
      type: 'file' as const,
      size: key.size,
      async *open() {
        for (let offset = 0; offset < key.size; offset += PIECE_BYTES) {
          yield await folder.read(offset, Math.min(PIECE_BYTES, key.size - offset))
        }
      },
    }
    try {
      await store.add(source, { profile: profileOfOutboard(outboard), expected: root, pin: true, ...options })
    } catch (error) {
      await note.forget()
      throw error
    }
    await folder.remove()
  }

  async function wouldMake(root: CID, options: AbortOptions): Promise<Made> {
    if (!(await store.has(root, options)) || !(await isAmong(store.roots(), root))) return 'brought'
    return (await isAmong(store.pins(), root)) ? 'found' : 'pinned'
  }

  async function sweep(): Promise<void> {
    // Of downloads that were given up, and nobody went on with.
    for (const note of await spans.notes()) {
      if ((await note.idleMs()) < abandonedMs || (await isUnderWay(note.owner))) continue
      await spans.alone(() => takeBack(note))
    }
    for (const info of await spans.list()) {
      if (info.idleMs < abandonedMs) continue
      // Not of one that another tab goes on with just now.
      await spans.ifFree(info.id, () => spans.remove(info.id))
    }
  }

  try {
    await sweep()
  } catch (error) {
    letGo()
    throw error
  }
  return {
    name,
    async open(key, { signal, onWaiting } = {}) {
      assertPartialKey(key)
      enter({ signal })
      const id = idOf(key)
      const release = await spans.lock(id, { signal, onWaiting })
      try {
        const held = await spans.alone(async () => {
          const found = await heldRoot(key, { signal })
          if (found) await use(key, found, async () => 'found')
          return found
        })
        if (held) {
          // Of a page that was killed when it had put the file into the store.
          await spans.remove(id)
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
      const missing: PartialKey[] = []
      for (const key of keys) if (!(await heldRoot(key, options ?? {}))) missing.push(key)
      const needed = missing.reduce((sum, key) => sum + Math.max(0, key.size - (recorded.get(idOf(key)) ?? 0)), 0)
      // The largest lies twice while it is added.
      const twice = Math.max(0, ...missing.map(({ size }) => size))
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
      // The model has them now. Two that end at once would each leave a root to the other.
      await spans.alone(async () => {
        for (const note of await spans.notes()) if (note.owner === owner) await takeBack(note)
      })
    },
    async close() {
      isClosed = true
      letGo()
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
