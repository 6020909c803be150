import { parseCid, type CID } from '@x/cid'
import {
  BackendError,
  exportStatic,
  type AbortOptions,
  type ContentSource,
  type Replica,
  type ReplicaStatus,
  type ReplicaTarget,
  type StaticTarget,
  type StoreStatus,
} from '@x/storage-core'
import { codeOf, concatBytes, createKeyedLock } from '@x/storage-core/backend'

import type { S3Client } from './s3-client.ts'
import { staticObjectsOf } from './static-objects.ts'

export interface BucketTargetOptions {
  bucket: string
  /** Without a slash at its end. Default: the whole bucket. */
  prefix?: string | undefined
  /** Default `s3=<bucket>/<prefix>`. */
  name?: string | undefined
  /** Reads that place by CID; without it nothing proves what is there. Closed with the target. */
  source?: ContentSource | undefined
  /** Of a part of a large file. See `UploadOptions`. */
  partBytes?: number | undefined
}

/** An object there for each root that is to be kept; it says nothing but that, and since when. */
const KEPT = 'kept/'

/**
 * A prefix of a bucket as a place for copies, laid out as a static folder: files lie there whole, with their names for any
 * program, and `openStaticSource` reads them by CID. What was cut off is gone on with, object by object, and within a large file
 * part by part.
 *
 * What `remove` lets go of is deleted as far as no other root there needs it, in an order in which nothing is ever half there.
 * In one process one thing is done at a time. Another process that puts a root just then, some files of which are those of one
 * that goes, may find them gone: to read it back says so, and to put it again mends it.
 *
 * @see docs/static-folder.md
 */
export function createBucketTarget(client: S3Client, options: BucketTargetOptions): ReplicaTarget {
  const { bucket, prefix = '', source, partBytes } = options
  const name = options.name ?? `s3=${bucket}${prefix === '' ? '' : `/${prefix}`}`
  const keyOf = (path: string): string => (prefix === '' ? path : `${prefix}/${path}`)
  const inTurn = createKeyedLock()
  let isClosed = false

  const enter = ({ signal }: AbortOptions): void => {
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError(`${name} is closed`, { retryable: false })
  }

  const folder: StaticTarget = {
    async has(path, given) {
      try {
        await client.head(bucket, keyOf(path), given)
        return true
      } catch (error) {
        if (codeOf(error) === 'NOT_FOUND' && !isNoBucket(error)) return false
        throw error
      }
    },
    async read(path, given) {
      const pieces: Uint8Array[] = []
      for await (const piece of client.read(bucket, keyOf(path), given)) pieces.push(piece)
      return concatBytes(
        pieces,
        pieces.reduce((sum, { length }) => sum + length, 0),
      )
    },
    async put(path, bytes, given) {
      await client.upload(bucket, keyOf(path), bytes, { ...given, partBytes })
    },
  }

  async function* keptRoots(given: AbortOptions): AsyncGenerator<CID> {
    try {
      for await (const { key } of client.list(bucket, { prefix: keyOf(KEPT), ...given })) {
        const root = cidOf(key.slice(keyOf(KEPT).length))
        if (root) yield root
      }
    } catch (error) {
      throw inOurWords(error)
    }
  }

  async function stateOf(root: CID, given: AbortOptions): Promise<ReplicaStatus> {
    if (!(await folder.has(keptOf(root), given))) return { state: 'absent' }
    const { isWhole } = await staticObjectsOf(folder, root, given)
    return isWhole ? { state: 'held' } : { state: 'failed', reason: 'part of it is not there' }
  }

  /** What only this root needs. Nothing of it where another one is not whole: what that needs is not known. */
  async function onlyOf(root: CID, given: AbortOptions): Promise<string[]> {
    const { paths } = await staticObjectsOf(folder, root, given)
    const others = new Set<string>()
    for await (const other of keptRoots(given)) {
      const needed = await staticObjectsOf(folder, other, given)
      if (!needed.isWhole) return []
      for (const path of needed.paths) others.add(path)
    }
    return paths.filter((path) => !others.has(path))
  }

  return {
    name,
    ...(source && { source }),
    async put(root, from, { signal, onProgress } = {}) {
      enter({ signal })
      return inTurn(
        'bucket',
        () =>
          asked(async () => {
            // First: whoever lets go of another root meanwhile sees that this one is wanted.
            const record = { keptSince: new Date().toISOString(), ...(options.name !== undefined && { target: name }) }
            await client.put(bucket, keyOf(keptOf(root)), new TextEncoder().encode(JSON.stringify(record)), {
              ifAbsent: true,
              signal,
            })
            await exportStatic(from, root, folder, { signal, onProgress })
            return { state: 'held' as const }
          }),
        signal,
      )
    },
    async stateOf(root, given = {}) {
      enter(given)
      return asked(() => stateOf(root, given))
    },
    async remove(root, given = {}) {
      enter(given)
      return inTurn(
        'bucket',
        () =>
          asked(async () => {
            const wasKept = await folder.has(keptOf(root), given)
            if (!wasKept) return false
            await client.delete(bucket, keyOf(keptOf(root)), given)
            // What links to something goes before it.
            const going = await onlyOf(root, given)
            for (const path of inOrder(going)) await client.delete(bucket, keyOf(path), given)
            return true
          }),
        given.signal,
      )
    },
    async *list(given = {}): AsyncGenerator<Replica> {
      enter(given)
      for await (const cid of keptRoots(given)) yield { cid, ...(await stateOf(cid, given)) }
    },
    async status(given = {}): Promise<StoreStatus> {
      enter(given)
      const started = performance.now()
      const probed = { name, probedAt: new Date().toISOString() }
      try {
        let kept = 0
        const roots = keptRoots(given)
        while (!(await roots.next()).done) kept += 1
        return { ...probed, available: true, probeMs: performance.now() - started, details: { kept } }
      } catch (error) {
        given.signal?.throwIfAborted()
        const code = codeOf(error)
        if (code !== 'BACKEND' || !(error instanceof Error)) throw error
        return { ...probed, available: false, reason: error.message, probeMs: performance.now() - started, details: {} }
      }
    },
    async close() {
      if (isClosed) return
      isClosed = true
      await source?.close()
    },
  }
}

const keptOf = (root: CID): string => `${KEPT}${root.toV1().toString()}`

/** A bucket that is not there cannot be asked. */
async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw inOurWords(error)
  }
}

/** Blocks first, those of directories above others before these; then outboards, then data. */
function inOrder(paths: readonly string[]): string[] {
  const blocks = paths.filter((path) => path.startsWith('blocks/'))
  const files = paths.filter((path) => !path.startsWith('blocks/'))
  return [...blocks.toReversed(), ...files.filter(isOutboard), ...files.filter((path) => !isOutboard(path))]
}

const inOurWords = (error: unknown): unknown =>
  isNoBucket(error) && error instanceof Error
    ? new BackendError(error.message, { cause: error, retryable: false })
    : error

const isOutboard = (path: string): boolean => path.endsWith('/outboard')

const isNoBucket = (error: unknown): boolean =>
  error instanceof Error && 'what' in error && typeof error.what === 'string' && /^s3:\/\/[^/]+$/.test(error.what)

function cidOf(text: string): CID | undefined {
  try {
    const cid = parseCid(text)
    return cid.toString() === text ? cid : undefined
  } catch {
    // Somebody else's object.
    return undefined
  }
}
