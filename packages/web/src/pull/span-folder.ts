import { BackendError, NoSpaceError, type AbortOptions, type PartialSpan } from '@x/storage-core'

/** The runs of bytes of one partial file. */
export interface SpanFolder {
  /** As they were when it was opened, hashed then; in the order of the file. */
  readonly spans: readonly PartialSpan[]
  read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>
  write: (span: PartialSpan, bytes: Uint8Array) => Promise<void>
  clear: () => Promise<void>
  remove: () => Promise<void>
}

interface Listed {
  id: string
  recordedBytes: number
  idleMs: number
}

/** What a download has made of a root: it `brought` it, it `pinned` one that was there, or it `found` it, pinned. */
export type Made = 'brought' | 'pinned' | 'found'

/** That a file of a download is whole, and in the store. */
export interface Note {
  id: string
  root: string
  made: Made
  /** The download. */
  owner: string
  idleMs: () => Promise<number>
  forget: () => Promise<void>
}

/** All partial files of a folder of the origin's private file system. A name there says what the file holds: `<offset>-<SHA-256>`. */
export interface Spans {
  open: (id: string, size: number) => Promise<SpanFolder>
  remove: (id: string) => Promise<void>
  list: () => Promise<Listed[]>
  note(given: Pick<Note, 'id' | 'root' | 'made' | 'owner'>): Promise<Note>
  notes(): Promise<Note[]>
  /** Waits while another tab works on it. */
  lock(
    id: string,
    options: AbortOptions & { onWaiting?: ((recordedBytes: number) => void) | undefined },
  ): Promise<() => void>
  /** Of what is done so in any tab, one thing at a time. */
  alone<T>(work: () => Promise<T>): Promise<T>
  /** `false`: another tab works on it, and nothing was done. */
  ifFree(id: string, work: () => Promise<void>): Promise<boolean>
}

const NAME = /^(\d+)-([0-9a-f]{64})$/
/** `<id>.<root>.<made>.<owner>` */
const NOTE = /^([\w-]+)\.(\w+)\.(brought|pinned|found)\.([\w-]+)$/
const NOTES = 'done'
const MADE: readonly Made[] = ['brought', 'pinned', 'found']

export function openSpans(name: string): Spans {
  const folder = async (): Promise<FileSystemDirectoryHandle> =>
    (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true })
  const folderOf = async (id: string): Promise<FileSystemDirectoryHandle> =>
    (await folder()).getDirectoryHandle(id, { create: true })
  const notesFolder = (): Promise<FileSystemDirectoryHandle> => folderOf(NOTES)
  const lockOf = (id: string): string => `@x/web:${name}/${id}`

  async function* files(id: string): AsyncGenerator<{ handle: FileSystemFileHandle; offset: number; sha256: string }> {
    // It is not made, and it may go while it is read: another tab has put the file into the store.
    const directory = await orGone((await folder()).getDirectoryHandle(id))
    if (directory === undefined) return
    for await (const handle of directory.values()) {
      const [, offset, sha256] = NAME.exec(handle.name) ?? []
      if (handle.kind === 'file' && sha256 !== undefined) yield { handle, offset: Number(offset), sha256 }
    }
  }

  async function listOne(id: string): Promise<Listed> {
    let [recordedBytes, youngest] = [0, 0]
    for await (const { handle } of files(id)) {
      const file = await orGone(handle.getFile())
      recordedBytes += file?.size ?? 0
      youngest = Math.max(youngest, file?.lastModified ?? 0)
    }
    return { id, recordedBytes, idleMs: Date.now() - youngest }
  }

  async function remove(id: string): Promise<void> {
    await orGone((await folder()).removeEntry(id, { recursive: true }))
  }

  async function open(id: string, size: number): Promise<SpanFolder> {
    const kept = new Map<number, { file: File; span: PartialSpan }>()
    for await (const { handle, offset, sha256 } of files(id)) {
      const file = await handle.getFile()
      const bytes = await file.arrayBuffer()
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
      const isSound = bytes.byteLength > 0 && offset + bytes.byteLength <= size && hexOf(digest) === sha256
      if (isSound) kept.set(offset, { file, span: { offset, length: bytes.byteLength, sha256: digest } })
      // Of a page that was killed while it wrote it, or of a disk that failed.
      else await (await folderOf(id)).removeEntry(handle.name)
    }
    const inOrder = (): { file: File; span: PartialSpan }[] =>
      [...kept.values()].toSorted((one, other) => one.span.offset - other.span.offset)

    return {
      spans: inOrder().map(({ span }) => span),
      async read(offset, length) {
        const bytes = new Uint8Array(length)
        let at = offset
        for (const { file, span } of inOrder()) {
          const end = span.offset + span.length
          if (span.offset > at || end <= at) continue
          const piece = file.slice(at - span.offset, Math.min(end, offset + length) - span.offset)
          bytes.set(new Uint8Array(await piece.arrayBuffer()), at - offset)
          at = Math.min(end, offset + length)
          if (at === offset + length) return bytes
        }
        throw new BackendError(`${name}/${id}: nothing is recorded at byte ${at}`, { retryable: false })
      },
      async write({ offset, length, sha256 }, bytes) {
        const handle = await (await folderOf(id)).getFileHandle(`${offset}-${hexOf(sha256)}`, { create: true })
        await full(`${name}: bytes ${offset} to ${offset + bytes.length} of ${size}`, async () => {
          // What is written is there, whole, once it is closed.
          const writable = await handle.createWritable()
          await writable.write(Uint8Array.from(bytes))
          await writable.close()
        })
        kept.set(offset, { file: await handle.getFile(), span: { offset, length, sha256: sha256.slice() } })
      },
      async clear() {
        kept.clear()
        await remove(id)
      },
      remove: () => remove(id),
    }
  }

  return {
    open,
    remove,
    async list() {
      const listed: Listed[] = []
      for await (const { kind, name: id } of (await folder()).values()) {
        if (kind === 'directory' && id !== NOTES) listed.push(await listOne(id))
      }
      return listed
    },
    async note(given) {
      const { id, root, made, owner } = given
      const directory = await notesFolder()
      const handle = await directory.getFileHandle(`${id}.${root}.${made}.${owner}`, { create: true })
      return { ...given, ...inFolder(directory, handle) }
    },
    async notes() {
      const found: Note[] = []
      const directory = await notesFolder()
      for await (const handle of directory.values()) {
        const [, id, root, said, owner] = NOTE.exec(handle.name) ?? []
        const made = MADE.find((one) => one === said)
        if (handle.kind !== 'file' || id === undefined || root === undefined || !made || owner === undefined) continue
        found.push({ id, root, made, owner, ...inFolder(directory, handle) })
      }
      return found
    },
    async lock(id, { signal, onWaiting }) {
      const locked = Promise.withResolvers<void>()
      const over = Promise.withResolvers<void>()
      const held = (ifAvailable: boolean): Promise<boolean> =>
        navigator.locks.request(
          lockOf(id),
          { ifAvailable, ...(!ifAvailable && signal && { signal }) },
          async (lock) => {
            if (!lock) return false
            locked.resolve()
            await over.promise
            return true
          },
        )
      const first = held(true)
      first.catch(locked.reject)
      const isTaken = await Promise.race([first.then((was) => !was), locked.promise.then(() => false)])
      if (isTaken) {
        onWaiting?.((await listOne(id)).recordedBytes)
        held(false).catch(locked.reject)
        await locked.promise
      }
      return () => over.resolve()
    },
    alone: (work) => navigator.locks.request(`@x/web:${name}`, work),
    ifFree: (id, work) =>
      navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
        if (lock) await work()
        return lock !== null
      }),
  }
}

const inFolder = (
  directory: FileSystemDirectoryHandle,
  handle: FileSystemFileHandle,
): Pick<Note, 'idleMs' | 'forget'> => ({
  idleMs: async () => Date.now() - ((await orGone(handle.getFile()))?.lastModified ?? Date.now()),
  // Another tab may have done so.
  forget: () => orGone(directory.removeEntry(handle.name)),
})

const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** `undefined`: it is not there, or no more. */
async function orGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined
    throw error
  }
}

/** @param what - What is written. */
async function full(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    // Browsers say that there is more room than they give, so that pages do not know the disk.
    if (cause instanceof DOMException && cause.name === 'QuotaExceededError')
      throw new NoSpaceError(`${what}: the browser gives no room for them: ${why}`, { cause })
    throw new BackendError(`${what}: ${why}`, { cause, retryable: false })
  }
}
