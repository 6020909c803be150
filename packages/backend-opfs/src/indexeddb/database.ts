import { emptyIndex } from '../index-file.ts'

/*
 * One database for each store. All that has to be true at once is one transaction, so nothing is ever half there.
 *
 * index   bytes of the index by the byte they begin at: what was appended at a time
 * files   `DataFile` by id
 * chunks  `[id, number]`: a `Blob` of a data file, in order
 * meta    `generation` of the index; `reserve`
 */
export const INDEX = 'index'
export const FILES = 'files'
export const CHUNKS = 'chunks'
export const META = 'meta'

export interface DataFile {
  chunks: number
  /** Bytes. */
  size: number
  /** When it was ended: milliseconds since 1970. */
  modified: number
}

const nameOf = (directory: string): string => `@x/backend-opfs:${directory}`

const VERSION = 1

/** @param create - Else `undefined` is what becomes of one that is not there. */
export async function openDatabase(directory: string, create: boolean): Promise<IDBDatabase | undefined> {
  const request = indexedDB.open(nameOf(directory), VERSION)
  let isAbsent = false
  request.addEventListener('upgradeneeded', () => {
    if (!create) {
      isAbsent = true
      // None is made then.
      request.transaction?.abort()
      return
    }
    const { result: database } = request
    database.createObjectStore(INDEX).put(emptyIndex(), 0)
    database.createObjectStore(FILES)
    database.createObjectStore(CHUNKS)
    database.createObjectStore(META).put(1, 'generation')
  })
  try {
    return await answerOf(request)
  } catch (error) {
    if (isAbsent) return undefined
    throw error
  }
}

/** Whether there is a store in this directory. */
export async function hasDatabase(directory: string): Promise<boolean> {
  const database = await openDatabase(directory, false)
  database?.close()
  return database !== undefined
}

export async function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(failureOf(request.error, 'a request failed')))
  })
}

/**
 * Runs a transaction, and resolves when it has ended: of one that writes, when it is on the disk. Nothing of it is true when it
 * rejects. `work` waits for nothing but its requests.
 */
export async function transact<T>(
  database: IDBDatabase,
  mode: 'readonly' | 'readwrite',
  work: (store: (name: string) => IDBObjectStore) => Promise<T> | T,
): Promise<T> {
  const transaction = database.transaction([INDEX, FILES, CHUNKS, META], mode, { durability: 'strict' })
  const over = new Promise<void>((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('abort', () => reject(failureOf(transaction.error, 'a transaction was stopped')))
  })
  try {
    const result = await work((name) => transaction.objectStore(name))
    await over
    return result
  } catch (error) {
    // What stopped it says more than the request that it stopped.
    const reason: unknown = await stop(transaction, over)
    throw reason ?? error
  }
}

async function stop(transaction: IDBTransaction, over: Promise<void>): Promise<unknown> {
  try {
    transaction.abort()
  } catch {
    // It has ended by itself.
  }
  const isOurs = transaction.error === null
  return over.then(
    () => undefined,
    (reason: unknown) => (isOurs ? undefined : reason),
  )
}

const failureOf = (error: DOMException | null, otherwise: string): DOMException =>
  error ?? new DOMException(otherwise, 'AbortError')
