import { UnsupportedError } from '@x/cid'

import type { Medium } from '../medium.ts'
import { answerOf, CHUNKS, FILES, INDEX, META, openDatabase, transact, type DataFile } from './database.ts'

const RESERVE = 'reserve'

// As much as a store in the file system keeps.
const RESERVE_BYTES = 2 * 1024 * 1024

const isGone = (id: string): DOMException => new DOMException(`there is no data file ${id}`, 'NotFoundError')

/**
 * A medium in IndexedDB, for where there are no sync access handles. A data file is a list of `Blob`s, which browsers keep on
 * the disk, and a `File` of it copies none of them.
 *
 * @returns `undefined` when it is opened to be read and is not there.
 */
export async function openIdbMedium(
  directory: string,
  { readOnly }: { readOnly: boolean },
): Promise<Medium | undefined> {
  const database = await openDatabase(directory, !readOnly)
  if (!database) return undefined
  // What writes has all of it, and a later version of this package waits for nobody.
  database.addEventListener('versionchange', () => database.close())
  const reading = <T>(work: (store: (name: string) => IDBObjectStore) => Promise<T>): Promise<T> =>
    transact(database, 'readonly', work)
  const writing = <T>(work: (store: (name: string) => IDBObjectStore) => Promise<T> | T): Promise<T> => {
    if (readOnly) throw new UnsupportedError('the store was opened to be read, not written')
    return transact(database, 'readwrite', work)
  }

  const medium: Medium = {
    readIndex: () => reading(async (store) => joined(await answerOf<unknown[]>(store(INDEX).getAll()))),
    truncateIndex: (byteLength) => writing((store) => cutIndex(store(INDEX), byteLength)),
    appendIndex: (bytes, at) =>
      writing(async (store) => {
        await cutIndex(store(INDEX), at)
        store(INDEX).put(bytes, at)
      }),
    replaceIndex: (bytes) =>
      writing(async (store) => {
        const generation = Number(await answerOf<unknown>(store(META).get('generation')))
        store(META).put(generation + 1, 'generation')
        store(INDEX).clear()
        store(INDEX).put(bytes, 0)
      }),
    create: (id) =>
      writing((store) => void store(FILES).put({ chunks: 0, size: 0, modified: 0 } satisfies DataFile, id)),
    write: (id, bytes) => {
      const chunk = new Blob([bytes])
      return writing(async (store) => {
        const { chunks, size, modified } = await fileOf(store(FILES), id)
        store(CHUNKS).put(chunk, [id, chunks])
        store(FILES).put({ chunks: chunks + 1, size: size + chunk.size, modified } satisfies DataFile, id)
      })
    },
    seal: (id) =>
      writing(async (store) => {
        const { chunks, size } = await fileOf(store(FILES), id)
        const modified = Date.now()
        store(FILES).put({ chunks, size, modified } satisfies DataFile, id)
        return { size, modified }
      }),
    remove: (id) =>
      writing((store) => {
        store(FILES).delete(id)
        store(CHUNKS).delete(chunksOf(id))
      }),
    list: async () => (await reading((store) => answerOf(store(FILES).getAllKeys()))).map(String),
    file: (id) =>
      reading(async (store) => {
        const { modified } = await fileOf(store(FILES), id)
        const chunks: unknown[] = await answerOf(store(CHUNKS).getAll(chunksOf(id)))
        return new File(
          chunks.filter((chunk) => chunk instanceof Blob),
          id,
          { lastModified: modified },
        )
      }),
    keepReserve: () =>
      writing(async (store) => {
        if ((await answerOf(store(META).count(RESERVE))) > 0) return
        store(META).put(new Blob([new Uint8Array(RESERVE_BYTES).fill(1)]), RESERVE)
      }),
    giveUpReserve: () =>
      writing(async (store) => {
        const isThere = (await answerOf(store(META).count(RESERVE))) > 0
        store(META).delete(RESERVE)
        return isThere
      }),
    async close() {
      database.close()
    },
  }
  if (!readOnly) return medium
  return {
    ...medium,
    async revision() {
      const { generation, bytes } = await reading(revisionOf)
      return { generation, size: bytes.length }
    },
    async readAppended(generation, from) {
      const now = await reading(revisionOf)
      return now.generation === generation && now.bytes.length >= from ? now.bytes.slice(from) : undefined
    },
  }
}

const revisionOf = async (store: (name: string) => IDBObjectStore) => ({
  generation: Number(await answerOf<unknown>(store(META).get('generation'))),
  bytes: joined(await answerOf<unknown[]>(store(INDEX).getAll())),
})

const chunksOf = (id: string): IDBKeyRange => IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER])

async function fileOf(files: IDBObjectStore, id: string): Promise<DataFile> {
  const found = await answerOf<DataFile | undefined>(files.get(id))
  if (!found) throw isGone(id)
  return found
}

/** What is appended at a time begins at a byte; what is cut ends at one. */
async function cutIndex(index: IDBObjectStore, byteLength: number): Promise<void> {
  const before = IDBKeyRange.upperBound(byteLength, true)
  index.delete(IDBKeyRange.lowerBound(byteLength))
  const [begin] = (await answerOf(index.getAllKeys(before))).slice(-1)
  if (begin === undefined) return
  const last: unknown = await answerOf<unknown>(index.get(begin))
  const length = byteLength - Number(begin)
  if (last instanceof Uint8Array && last.length > length) index.put(last.slice(0, length), begin)
}

function joined(parts: unknown[]): Uint8Array {
  const all = parts.filter((part) => part instanceof Uint8Array)
  const bytes = new Uint8Array(all.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of all) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
