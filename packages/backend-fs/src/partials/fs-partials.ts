import { lstat, readdir, readFile, statfs } from 'node:fs/promises'

import { PROFILES, RAW, type BalancedOutboard, type CID, type Outboard } from '@x/cid'
import {
  assertPartialKey,
  BackendError,
  NoSpaceError,
  type AbortOptions,
  type PartialInfo,
  type PartialKey,
  type PartialStore,
} from '@x/storage-core'
import { rootsOfHeld } from '@x/storage-core/backend'

import { createStagedAdd, MOST_PACKED_BYTES, type StagedAdd, type StagedAddParts } from '../adding/staged-add.ts'
import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import { createDirtyDirectories } from '../durable-write.ts'
import { withLease } from '../lease.ts'
import { isAbandoned } from '../owner-file.ts'
import type { Quota } from '../quota.ts'
import { readNote, writeNote } from './done-note.ts'
import { takeOwnership } from './ownership.ts'
import { openPartialFile, type OpenedPartial } from './partial-file.ts'
import { parsePartialName, partialPaths } from './partial-paths.ts'
import { coveredBytes, decodeEntries, HEAD_BYTES } from './progress-log.ts'

export interface PartialParts extends StagedAddParts {
  quota: Quota
}

const KEY_SHAPE = PROFILES['unixfs-v1-2025']

/**
 * Opens the part of the store where files lie while they are downloaded. Until it is closed, what was committed through it
 * is on hold under a lease of its own.
 */
export async function openFsPartials(context: StoreContext, parts: PartialParts): Promise<PartialStore> {
  const { catalogue, held, quota } = parts
  const closing = Promise.withResolvers<void>()
  const leased = Promise.withResolvers<string>()
  const ended = withLease(context, catalogue, async (lease) => {
    leased.resolve(lease)
    await closing.promise
  })
  ended.catch(leased.reject)
  const lease = await leased.promise
  const files = new Set<OpenedPartial>()
  const committed = new Map<string, { key: PartialKey; root: CID }>()
  let isClosed = false

  const enter = ({ signal }: AbortOptions = {}): void => {
    context.assertOpen()
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError('fs: the downloads were closed', { retryable: false })
  }

  const keyOfBytes = (root: CID): CID | undefined => catalogue.keyOfRoot(root) ?? (root.code === RAW ? root : undefined)

  /** Held, and safe from a collector from now on. */
  const isHeld = async (root: CID, signal: AbortSignal | undefined): Promise<boolean> => {
    const key = keyOfBytes(root)
    if (!key || !catalogue.knownAmong([key])[0]) return false
    if (!(await catalogue.write('rely on a file', signal, (turn) => turn.hold(key, lease)))) return false
    const file = await held.open(root).catch((cause: unknown) => {
      context.warn(`${root} is downloaded again: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
    await file?.close()
    return file !== undefined
  }

  const heldRoot = async (key: PartialKey, signal: AbortSignal | undefined): Promise<CID | undefined> => {
    const note = await readNote(context, key)
    for (const root of rootsOfHeld(key, note?.root)) {
      if (!(await isHeld(root, signal))) continue
      // Of a run that ended before it could say that it was done.
      if (note?.isPending && root === note.root) committed.set(`${key.id}-${key.size}`, { key, root })
      return root
    }
    return undefined
  }

  const publish = async (file: OpenedPartial, outboard: Outboard, { signal }: AbortOptions): Promise<void> => {
    const { key } = file
    const staged = createStagedAdd(context, parts, { mode: 'copy', lease })
    try {
      await stage(staged, file, outboard, signal)
      await staged.seal()
      await quota.makeRoom(staged.bytes(), signal)
      await catalogue.write('take in a download', signal, async (turn) => {
        quota.assertRoom(turn, staged.bytes())
        turn.mustLast()
        await staged.publish(turn)
        const bytesKey = turn.keyOfRoot(outboard.root) ?? outboard.root
        turn.hold(bytesKey, lease)
        const dirty = createDirtyDirectories()
        await writeNote(context, key, { root: outboard.root, isPending: true }, dirty)
        await dirty.sync()
      })
    } finally {
      await staged.discard()
    }
    committed.set(`${key.id}-${key.size}`, { key, root: outboard.root })
  }

  const assertRoomFor = async (bytes: number, what: string, signal: AbortSignal | undefined): Promise<void> => {
    const { bavail, bsize } = await onDisk('ask for free space', statfs(context.layout.directory))
    const free = bavail * bsize
    if (bytes > free) throw new NoSpaceError(`fs: ${what} needs ${bytes} bytes more, and the disk has ${free} free`)
    if (bytes === 0) return
    await quota.makeRoom(bytes, signal)
    await catalogue.write('make room for a download', signal, (turn) => quota.assertRoom(turn, bytes))
  }

  return {
    name: 'fs',
    async open(key, { signal, onWaiting } = {}) {
      assertPartialKey(key)
      enter({ signal })
      context.assertWritable(`download ${key.id}`)
      let told = -1
      const ownership = await takeOwnership(context, catalogue, key, {
        signal,
        onWaiting: async () => {
          const recorded = await recordedIn(context, key)
          if (recorded !== told) onWaiting?.(recorded)
          told = recorded
        },
      })
      try {
        enter({ signal })
        const root = await heldRoot(key, signal)
        if (root) {
          await ownership.end()
          return { held: root }
        }
        const missing = key.size - (await recordedIn(context, key))
        await assertRoomFor(missing, key.id, signal)
        const file: OpenedPartial = await openPartialFile(context, key, {
          signal,
          publish,
          onEnd: async () => {
            files.delete(file)
            await ownership.end()
          },
        })
        files.add(file)
        return file
      } catch (cause) {
        await ownership.end()
        throw cause
      }
    },
    async assertRoom(keys, { signal } = {}) {
      enter({ signal })
      let missing = 0
      for (const key of keys) {
        assertPartialKey(key)
        const note = await readNote(context, key)
        const isThere = rootsOfHeld(key, note?.root).some((root) => {
          const bytes = keyOfBytes(root)
          return bytes !== undefined && catalogue.knownAmong([bytes])[0] === true
        })
        if (!isThere) missing += key.size - (await recordedIn(context, key))
      }
      await assertRoomFor(missing, `a download of ${keys.length} files`, signal)
    },
    async *list(options) {
      enter(options)
      yield* listPartials(context)
    },
    async release() {
      enter()
      const dirty = createDirtyDirectories()
      for (const { key, root } of committed.values()) {
        await writeNote(context, key, { root, isPending: false }, dirty)
      }
      committed.clear()
      await dirty.sync()
    },
    async close() {
      if (isClosed) return
      isClosed = true
      for (const file of files) await file.close()
      closing.resolve()
      await ended
    },
  }
}

/** What is as small as what lies in packs goes there; any other file is moved. */
async function stage(
  staged: StagedAdd,
  file: OpenedPartial,
  outboard: Outboard,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { size } = file.key
  if (size <= MOST_PACKED_BYTES && outboard.leafCount === 1) {
    const bytes = await file.read(0, size)
    const open = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes
    }
    const profile = outboard.root.code === RAW ? 'unixfs-v1-2025' : 'unixfs-v0-2015'
    const built = await staged.addFile({ type: 'file', size, open }, { profile, signal })
    if (built.cid.toV1().equals(outboard.root.toV1())) return
  }
  const temp = file.asTemp()
  if (isKeyed(outboard)) await staged.take(temp, outboard, signal)
  else await staged.adopt(temp, outboard, signal)
}

function isKeyed(outboard: Outboard): outboard is BalancedOutboard {
  const { shape } = outboard
  if (!shape?.rawLeaves || shape.cidVersion !== 1 || !('dagBytes' in outboard)) return false
  if (outboard.leafCount === 1) return outboard.fileBytes <= KEY_SHAPE.chunkBytes
  return shape.chunkBytes === KEY_SHAPE.chunkBytes && shape.maxLinks === KEY_SHAPE.maxLinks
}

/** As far as its log says. */
async function recordedIn(context: StoreContext, key: PartialKey): Promise<number> {
  const log = await ifThere('read the log of a download', readFile(partialPaths(context.layout, key).log))
  return log ? coveredBytes(decodeEntries(log.subarray(HEAD_BYTES), key.size)) : 0
}

export async function* listPartials(context: StoreContext): AsyncGenerator<PartialInfo> {
  const names = await ifThere('read partial files', readdir(context.layout.partials))
  for (const name of names ?? []) {
    const parsed = parsePartialName(name)
    if (parsed?.suffix !== 'part') continue
    const { id, size } = parsed
    const paths = partialPaths(context.layout, parsed)
    const times: number[] = []
    for (const path of [paths.bytes, paths.log]) {
      const info = await ifThere(`look at ${path}`, lstat(path))
      if (info) times.push(info.mtimeMs)
    }
    yield {
      id,
      size,
      recordedBytes: await recordedIn(context, parsed),
      idleMs: Math.max(0, Date.now() - Math.max(0, ...times)),
      isInUse: (await isAbandoned(paths.owner, context.self)) === false,
    }
  }
}
