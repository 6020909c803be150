import { lstat, readFile, rm } from 'node:fs/promises'

import {
  cidOf,
  createOutboard,
  encodeOutboard,
  encodeWrappedLeaf,
  IntegrityError,
  leafCid,
  profileOf,
  PROFILES,
  RAW,
  type BalancedOutboard,
  type Block,
  type BuildFileOptions,
  type BuiltFile,
  type CID,
  type FileLeaf,
  type Outboard,
  type Profile,
} from '@x/cid'
import { BackendError, NotFoundError, type FileSource } from '@x/storage-core'
import { verifiedLeavesOf } from '@x/storage-core/backend'

import type { Catalogue, Turn } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { dagBytesOf } from '../dag-bytes.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import {
  createDirtyDirectories,
  createTemp,
  writeWhole,
  type DirtyDirectories,
  type TempFile,
} from '../durable-write.ts'
import type { HeldFiles } from '../held-file.ts'
import { keyOf } from '../layout.ts'
import type { LooseBlocks } from '../loose-blocks.ts'
import { createPackWriter } from '../packs/pack-writer.ts'
import { partsOf } from '../parts-of.ts'
import type { Quarantine } from '../quarantine.ts'
import { writeRecord } from '../record-file.ts'
import { stampOf } from '../stamp.ts'
import { isHeldSound } from '../verify-held.ts'
import { hashLeaves } from '../workers/hash-leaves.ts'
import { createSmallFileReader, type SmallFileReader } from '../workers/read-small-files.ts'
import { createHolder } from './holder.ts'
import { hashPath, under, type AddMode, type HashedFile } from './large-file.ts'
import { createPresence } from './presence.ts'
import { readHead, withHead, writeAndHash } from './stream.ts'
import { writeLeaves } from './write-leaves.ts'

/** Bytes are filed under their root under this profile. */
const KEY_PROFILE = 'unixfs-v1-2025'

/** A file of more is kept as a file of its own; see the README. Bytes. */
export const MOST_PACKED_BYTES: number = 64 * 1024

export interface StagedAddParts {
  catalogue: Catalogue
  held: HeldFiles
  loose: LooseBlocks
  quarantine: Quarantine
}

/** Everything that one add has read, hashed and synced under temporary names; it is published together or not at all. */
export interface StagedAdd {
  /** Takes one file. Bytes that are held and sound are not kept twice. */
  addFile(source: FileSource, options: BuildFileOptions): Promise<BuiltFile>
  /** Takes a file that was written, whose blocks are those of `asked`. */
  adopt(temp: TempFile, asked: Outboard, signal: AbortSignal | undefined): Promise<void>
  /** Takes a file that was written and whose leaves were checked under the profile of the key: nothing is hashed again. */
  take(temp: TempFile, keyed: BalancedOutboard, signal: AbortSignal | undefined): Promise<void>
  /** Takes a checked block of a directory or symlink. */
  addBlock(block: Block): Promise<void>
  /** Bytes that the store will have more. */
  bytes(): number
  /** All that can be done before the turn, such as syncing. */
  seal(): Promise<void>
  /** Gives everything its name, and the index its place. */
  publish(turn: Turn): Promise<void>
  /** Removes what was not published. */
  discard(): Promise<void>
}

interface StagedFile extends HashedFile {
  isHeld: boolean
}

export function createStagedAdd(
  context: StoreContext,
  { catalogue, held, loose, quarantine }: StagedAddParts,
  { mode, lease }: { mode: AddMode; lease: string },
): StagedAdd {
  const { layout } = context
  const staged = new Map<string, StagedFile>()
  const pack = createPackWriter(context)
  const small: SmallFileReader = createSmallFileReader(MOST_PACKED_BYTES)
  const holder = createHolder(catalogue, lease)
  const presence = createPresence(catalogue)
  /** What was held and is not written again, and roots whose link to such bytes is not either. */
  const relied = new Map<string, CID>()
  const reliedLinks = new Map<string, { root: CID; key: CID }>()
  // One has all threads; several at a time would only hold more handles.
  let lastLarge: Promise<unknown> = Promise.resolve()
  const large = <T>(work: () => Promise<T>): Promise<T> => {
    const run = lastLarge.then(work)
    // The next one only waits for its end; who asked for it has `run`, and its failure.
    lastLarge = run.catch(() => undefined)
    return run
  }

  /**
   * Held in the store and sound, and from now on safe from a collector.
   *
   * @param asWhat - What lies in a pack is no file of its own. A file of the user's is not needed where it does.
   */
  const isHeld = async (key: CID, asWhat: 'bytes' | 'file', signal: AbortSignal | undefined): Promise<boolean> => {
    if (!(await presence.isKnown(key))) return false
    const file = catalogue.file(key)
    const isOwnFile = file !== undefined && file.path === undefined
    const isEnough = asWhat === 'bytes' || mode === 'reference'
    // What was left where the user has it can change; a copy cannot.
    const isThere = isOwnFile || (isEnough && catalogue.packed(key)) || (mode === 'reference' && file)
    if (!isThere) return false
    if (!(await holder.hold(key))) return false
    const root = key.code === RAW ? key : catalogue.dagsOver(key)[0]
    if (root === undefined || !(await isHeldSound(() => held.open(root), { signal }))) return false
    relied.set(keyOf(key), key)
    return true
  }

  const stage = async (file: HashedFile, signal: AbortSignal | undefined): Promise<void> => {
    const key = keyOf(file.keyed.root)
    const known = staged.get(key)
    if (known || (await isHeld(file.keyed.root, 'file', signal))) {
      await file.temp?.discard()
      if (!known) staged.set(key, { ...file, temp: undefined, reference: undefined, isHeld: true })
      await quarantine.clear([file.keyed.root])
      return
    }
    // Closes it as well, so that a directory of many files needs no handle for each.
    await file.temp?.seal()
    staged.set(key, { ...file, isHeld: false })
  }

  const addSmall = async (
    bytes: Uint8Array,
    digest: Uint8Array,
    profile: Profile,
    signal: AbortSignal | undefined,
  ): Promise<BuiltFile> => {
    const key = leafCid(PROFILES[KEY_PROFILE], digest)
    const isThere = !pack.has(key) && (await isHeld(key, 'bytes', signal))
    if (!isThere) await pack.add(key, bytes)
    if (profile.rawLeaves) return { cid: key, fileBytes: bytes.length, dagBytes: bytes.length }
    const { cid, bytes: block } = await encodeWrappedLeaf(profile.cidVersion, bytes)
    if (isThere && catalogue.keyOfRoot(cid)?.equals(key)) reliedLinks.set(keyOf(cid), { root: cid, key })
    else await pack.addWrapped(cid, key)
    return { cid, fileBytes: bytes.length, dagBytes: block.length }
  }

  /** What is held whole is linked as it is; `undefined` for what is not. */
  const addHeld = async (root: CID): Promise<BuiltFile | undefined> => {
    const key = catalogue.keyOfRoot(root) ?? (root.code === RAW ? root : undefined)
    if (!key || !(await holder.hold(key))) return undefined
    const outboard = await held.outboardOf(root).catch((cause: unknown) => {
      // Damaged or gone: who adds it gives its bytes again, or hears of it.
      if (cause instanceof IntegrityError || cause instanceof NotFoundError) return undefined
      throw cause
    })
    if (!outboard) return undefined
    relied.set(keyOf(key), key)
    if (root.code !== RAW) reliedLinks.set(keyOf(root), { root, key })
    return { cid: root, fileBytes: outboard.fileBytes, dagBytes: await dagBytesOf(outboard) }
  }

  const addStream = async (source: AsyncIterable<Uint8Array>, options: BuildFileOptions): Promise<BuiltFile> => {
    const { signal, onProgress } = options
    const profile = profileOf(options.profile)
    const pieces = source[Symbol.asyncIterator]()
    try {
      const { bytes, isAll } = await readHead(pieces, MOST_PACKED_BYTES)
      if (isAll) {
        onProgress?.(bytes.length)
        return await addSmall(bytes, (await cidOf(RAW, bytes)).multihash.digest, profile, signal)
      }
      const temp = await createTemp(context)
      try {
        const built = await writeAndHash(withHead(bytes, pieces), { ...options, profile: KEY_PROFILE }, temp)
        const { outboard: keyed, fileBytes } = built
        const at = { descriptor: temp.descriptor, path: temp.path, fileBytes, signal }
        const asked = await under(profile, keyed, at)
        signal?.throwIfAborted()
        await stage({ keyed, asked, bytes: fileBytes, temp, reference: undefined }, signal)
        return builtFrom(asked)
      } catch (cause) {
        await temp.discard()
        throw cause
      }
    } finally {
      await pieces.return?.()
    }
  }

  /** Leaves that were checked are not hashed again: their digests are in their CIDs, and the root follows from them. */
  const addLeaves = async (leaves: AsyncIterable<FileLeaf>, options: BuildFileOptions): Promise<BuiltFile> => {
    const temp = await createTemp(context)
    try {
      const keyed = await writeLeaves(leaves, options, temp)
      await stage({ keyed, asked: keyed, bytes: keyed.fileBytes, temp, reference: undefined }, options.signal)
      return builtFrom(keyed)
    } catch (cause) {
      await temp.discard()
      throw cause
    }
  }

  const addPath = async (path: string, size: number | undefined, options: BuildFileOptions): Promise<BuiltFile> => {
    const { signal, onProgress } = options
    const profile = profileOf(options.profile)
    if (size === undefined || size <= MOST_PACKED_BYTES) {
      const added = await small.read(path, async ({ bytes, digest }) => {
        signal?.throwIfAborted()
        onProgress?.(bytes.length)
        return addSmall(bytes, digest, profile, signal)
      })
      if (added) return added
    }
    signal?.throwIfAborted()
    return large(async () => {
      const file = await hashPath(context, path, mode, profile, { signal, onProgress })
      try {
        await stage(file, signal)
      } catch (cause) {
        await file.temp?.discard()
        throw cause
      }
      return builtFrom(file.asked)
    })
  }

  const publishFile = async (
    turn: Turn,
    dirty: DirtyDirectories,
    { keyed, asked, bytes, temp, reference, isHeld: wasHeld }: StagedFile,
  ) => {
    const key = keyed.root
    const path = layout.fileOf(keyOf(key))
    // Also of a wrapped leaf, whose digest could be found again: that it is a root over these bytes could not.
    if (asked.root.code !== RAW)
      await placeOutboard(turn, layout.outboardOf(keyOf(asked.root), keyOf(key)), asked, dirty)
    const before = turn.file(key)
    // The store's own bytes are not given up for a file that is the user's.
    const hasOwn = (before && before.path === undefined) || turn.packed(key) !== undefined
    if (!wasHeld && !(reference && hasOwn)) {
      if (temp) {
        if (!before || before.path !== undefined) turn.onFailure(() => temp.takeBack?.(path) ?? removeMade(path))
        await temp.publish(path, dirty)
        if (before?.path !== undefined) turn.afterwards(() => removeMade(layout.referenceOf(keyOf(key))))
        const stamp = stampOf(await onDisk(`look at ${path}`, lstat(path, { bigint: true })))
        turn.putFile({ key, bytes, path: undefined, stamp })
        turn.deletePacked(key)
      } else if (reference) {
        const record = layout.referenceOf(keyOf(key))
        if (!before) turn.onFailure(() => removeMade(record))
        await writeRecord(context, record, { ...reference, bytes, key: keyOf(key) }, dirty)
        turn.putFile({ key, bytes, path: reference.path, stamp: reference.stamp })
      }
      turn.afterwards(() => quarantine.clear([key]))
    }
    if (asked.root.code !== RAW) turn.putDag(asked.root, key, partsOf(asked))
  }

  /** One that is there and right stays. */
  const placeOutboard = async (
    turn: Turn,
    path: string,
    outboard: Outboard,
    dirty: DirtyDirectories,
  ): Promise<void> => {
    const encoded = encodeOutboard(outboard)
    const there = await ifThere(`read ${path}`, readFile(path))
    if (there !== undefined && Buffer.compare(there, encoded) === 0) return
    if (there === undefined) turn.onFailure(() => removeMade(path))
    await writeWhole(context, path, encoded, dirty)
  }

  /** A collector leaves it alone, but whoever reads it may have found it damaged meanwhile. */
  const assertStillThere = (turn: Turn): void => {
    const keys = [...relied.values()]
    const known = turn.knownAmong(keys)
    const lost =
      keys.find((_, index) => !known[index]) ??
      [...reliedLinks.values()].find(({ root, key }) => !turn.keyOfRoot(root)?.equals(key))?.root
    if (!lost) return
    throw new BackendError(`fs: ${lost} was held when this add began, and was lost since; add it again`, {
      retryable: true,
    })
  }

  return {
    addFile: async (source, options) => {
      const { localPath, size } = source
      const linked = source.held && (await addHeld(source.held))
      if (linked) {
        options.onProgress?.(linked.fileBytes)
        return linked
      }
      if (localPath !== undefined) return addPath(localPath, size, options)
      const { signal } = options
      const leaves = verifiedLeavesOf(source)
      const isLarge = size !== undefined && size > MOST_PACKED_BYTES
      const isKeyed = profileOf(options.profile).name === KEY_PROFILE
      return leaves && isLarge && isKeyed
        ? addLeaves(leaves({ signal }), options)
        : addStream(source.open({ signal }), options)
    },
    adopt: async (temp, asked, signal) => {
      const { fileBytes } = asked
      const shape = PROFILES[KEY_PROFILE]
      const digests = await hashLeaves({ descriptor: temp.descriptor, path: temp.path, fileBytes, shape, signal })
      const keyed = await createOutboard(shape, fileBytes, digests)
      const isKeyed = asked.root.toV1().equals(keyed.root)
      await stage({ keyed, asked: isKeyed ? keyed : asked, bytes: fileBytes, temp, reference: undefined }, signal)
    },
    take: (temp, keyed, signal) =>
      stage({ keyed, asked: keyed, bytes: keyed.fileBytes, temp, reference: undefined }, signal),
    addBlock: async ({ cid, bytes }) => {
      if (pack.has(cid)) return
      if (catalogue.packed(cid) && (await holder.hold(cid)) && (await isSoundBlock(loose, cid)))
        relied.set(keyOf(cid), cid)
      else await pack.add(cid, bytes)
    },
    bytes: () => [...staged.values()].reduce((sum, file) => sum + (file.temp ? file.bytes : 0), pack.bytes),
    seal: () => pack.seal(),
    publish: async (turn) => {
      assertStillThere(turn)
      const dirty = createDirtyDirectories()
      for (const file of staged.values()) await publishFile(turn, dirty, file)
      if (pack.bytes > 0) {
        turn.onFailure(() => removeMade(layout.packOf(pack.name)))
        await pack.publish(dirty)
        turn.putPack(pack.name, pack.bytes)
        turn.putPacked(pack.name, pack.places())
        turn.afterwards(() => quarantine.clear(Array.from(pack.places(), ({ block }) => block)))
        for (const { root, key } of pack.wrapped()) turn.putDag(root, key, [])
      }
      await dirty.sync()
    },
    discard: async () => {
      for (const { temp } of staged.values()) await temp?.discard()
      await pack.discard()
    },
  }
}

const removeMade = (path: string): Promise<void> => onDisk(`remove ${path}`, rm(path, { force: true }))

const builtFrom = ({ root, fileBytes, dagBytes }: BalancedOutboard): BuiltFile => ({ cid: root, fileBytes, dagBytes })

async function isSoundBlock(loose: LooseBlocks, cid: CID): Promise<boolean> {
  try {
    return (await loose.get(cid)) !== undefined
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}
