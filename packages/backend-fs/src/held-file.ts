import { readFile, stat } from 'node:fs/promises'

import {
  createOutboard,
  IntegrityError,
  MAX_BLOCK_BYTES,
  RAW,
  SHA2_256,
  readOutboard,
  verifyLeaf,
  type CID,
  type Outboard,
} from '@x/cid'
import { NotFoundError } from '@x/storage-core'

import type { PlaceReader } from './catalogue/places.ts'
import type { StoreContext } from './context.ts'
import { ifThere } from './disk-error.ts'
import { keyOf } from './layout.ts'
import type { OpenFile, OpenFiles } from './open-files.ts'
import { readInto } from './packs/read-pack.ts'
import { plainBytes } from './plain-bytes.ts'
import type { Damage, Quarantine } from './quarantine.ts'
import { stampOf } from './stamp.ts'

/** Bytes that are held whole, open for reading. What is read is checked; what does not match goes to quarantine. */
export interface HeldFile {
  readonly outboard: Outboard
  /** On disk. */
  readonly path: string
  /** Where the bytes start in that file: not at 0 in a pack. */
  readonly start: number
  /** The file on disk holds these bytes and nothing else. */
  readonly isWhole: boolean
  /** The file is as it was when all of it was last hashed. Never of a pack. */
  readonly isAsStored: boolean
  readonly inode: bigint
  readonly device: bigint
  readonly descriptor: number
  /**
   * The bytes of a leaf, and its block; the same ones unless the leaf is wrapped.
   *
   * @param into - To read into; long enough.
   */
  readLeaf(index: number, into?: Uint8Array): Promise<{ bytes: Uint8Array; block: Uint8Array }>
  /** Bytes that are not checked. */
  readUnchecked(offset: number, length: number): Promise<Uint8Array>
  /** Puts the file away and resolves to the error to throw. */
  condemn(index: number, actual: CID | undefined): Promise<IntegrityError>
  close(): Promise<void>
}

export interface HeldFiles {
  /**
   * `undefined` when no such file is held.
   *
   * @throws {IntegrityError} Its size or outboard does not match the CID, or it is in quarantine.
   */
  open(cid: CID): Promise<HeldFile | undefined>
  /** Like `open`, without reading bytes or keeping the file open. */
  outboardOf(cid: CID): Promise<Outboard | undefined>
}

/** Where the bytes of a root lie, as the index says. */
interface Place {
  /** Of the bytes. */
  key: CID
  path: string
  start: number
  bytes: number
  source: 'store' | 'reference' | 'pack'
  stamp: string | undefined
}

const CACHED_OUTBOARDS = 64
/** Of them together, but for the last one. */
const CACHED_LEAVES = 256 * 1024

export interface HeldParts {
  places: PlaceReader
  files: OpenFiles
  quarantine: Quarantine
}

export function createHeldFiles(context: StoreContext, { places, files, quarantine }: HeldParts): HeldFiles {
  const { layout } = context
  // A checked outboard is right for ever: it is what its CID says.
  const cache = new Map<string, Outboard>()

  const remember = (key: string, outboard: Outboard): Outboard => {
    cache.delete(key)
    cache.set(key, outboard)
    let leaves = 0
    for (const { leafCount } of cache.values()) leaves += leafCount
    for (const [oldest, { leafCount }] of cache) {
      if (cache.size === 1 || (cache.size <= CACHED_OUTBOARDS && leaves <= CACHED_LEAVES)) break
      cache.delete(oldest)
      leaves -= leafCount
    }
    return outboard
  }

  const placeOf = (cid: CID): Place | undefined => {
    // The key of a long file is a DAG of its own only where it was asked for.
    const key = places.keyOfRoot(cid) ?? (isLeaf(cid) ? cid : undefined)
    if (!key) return undefined
    const file = places.file(key)
    if (file && file.path === undefined) {
      return { ...file, path: layout.fileOf(keyOf(key)), start: 0, source: 'store' }
    }
    const packed = key.code === RAW ? places.packed(key) : undefined
    if (packed) {
      const { pack, offset, length } = packed
      return { key, path: layout.packOf(pack), start: offset, bytes: length, source: 'pack', stamp: undefined }
    }
    // Last: what is the user's may go at any time.
    return file?.path === undefined ? undefined : { ...file, path: file.path, start: 0, source: 'reference' }
  }

  const loadOutboard = async (cid: CID, { key, bytes }: Place): Promise<Outboard> => {
    const known = cache.get(keyOf(cid))
    if (known) return remember(keyOf(cid), known)
    // A file of one raw block is its own outboard.
    if (cid.code === RAW) return singleLeaf(cid, bytes)
    const path = layout.outboardOf(keyOf(cid), keyOf(key))
    const encoded = await ifThere(`read ${path}`, readFile(path))
    if (encoded) return remember(keyOf(cid), await readOutboard(cid, plainBytes(encoded), { fileBytes: bytes }))
    if (bytes > MAX_BLOCK_BYTES) throw new IntegrityError('its outboard is missing', { cid, offset: 0 })
    return singleLeaf(cid, bytes)
  }

  const assertSound = async (cid: CID): Promise<void> => {
    await quarantine.assertSound(places.keyOfRoot(cid) ?? cid)
  }

  const openAt = ({ path, source }: Place): Promise<OpenFile | undefined> => files.open(path, source === 'pack')

  const openFile = async (cid: CID): Promise<HeldFile | undefined> => {
    let place = placeOf(cid)
    let opened = place && (await openAt(place))
    if (place && !opened) {
      // A collector may have moved it to another pack.
      place = placeOf(cid)
      opened = place && (await openAt(place))
    }
    if (!place || !opened) {
      await assertSound(cid)
      if (place?.source === 'reference') {
        const message = `not found: ${cid}: ${place.path}, where it was left, is gone`
        throw new NotFoundError(cid.toString(), { cid, message })
      }
      return undefined
    }
    try {
      const file = await openHeld(cid, place, opened)
      if (!file) opened.release()
      return file
    } catch (cause) {
      opened.release()
      throw cause
    }
  }

  const openHeld = async (
    cid: CID,
    place: Place,
    { handle, info, release }: OpenFile,
  ): Promise<HeldFile | undefined> => {
    const { key, path, start, bytes, source } = place
    const condemn: Condemn = (reason, details) =>
      quarantine.condemn({ cid, key, path, inode: info.ino, source, start, reason, ...details })
    const fileBytes = Number(info.size)
    const hasSize = source === 'pack' ? start + bytes <= fileBytes : fileBytes === bytes
    if (!hasSize) {
      const offset = Math.min(fileBytes, bytes)
      throw await condemn(`the file has ${fileBytes} bytes instead of ${bytes}`, { offset })
    }
    const outboard = await soundOutboard(cid, place)
    if (!outboard) return undefined
    const missing = outboard.leafCount === 1 && cid.code !== RAW ? ', or its outboard is missing' : ''
    const condemnLeaf = (index: number, actual: CID | undefined, cause?: unknown): Promise<IntegrityError> => {
      const { cid: leaf, offset, length } = outboard.leaf(index)
      const reason = `the leaf of ${length} bytes at ${offset} does not match${missing}`
      return condemn(reason, { leaf, offset, actual, cause })
    }
    const readFull = async (offset: number, target: Uint8Array): Promise<Uint8Array> => {
      const read = await readInto(handle, path, start + offset, target)
      if (read.length === target.length) return read
      const leaf = outboard.leaf(outboard.leafAt(offset + read.length))
      throw await condemn(`the file ends after ${offset + read.length} bytes`, { leaf: leaf.cid, offset: leaf.offset })
    }
    const readLeaf = async (index: number, target: Uint8Array) => {
      const read = await readFull(outboard.leaf(index).offset, target)
      try {
        return { bytes: read, block: await verifyLeaf(outboard, index, read) }
      } catch (cause) {
        if (!(cause instanceof IntegrityError)) throw cause
        throw await condemnLeaf(index, cause.actual, cause)
      }
    }
    return {
      outboard,
      path,
      start,
      isWhole: source !== 'pack',
      isAsStored: source !== 'pack' && place.stamp === stampOf(info),
      inode: info.ino,
      device: info.dev,
      descriptor: handle.fd,
      readUnchecked: (offset, length) => readFull(offset, new Uint8Array(length)),
      readLeaf: (index, into) => {
        const { length } = outboard.leaf(index)
        return readLeaf(index, into?.subarray(0, length) ?? new Uint8Array(length))
      },
      condemn: condemnLeaf,
      close: async () => release(),
    }
  }

  const looksRight = async ({ path, source, bytes }: Place): Promise<boolean> => {
    if (source !== 'pack') return (await ifThere(`look at ${path}`, stat(path)))?.size === bytes
    const pack = await files.open(path, true)
    pack?.release()
    return pack !== undefined
  }

  /** `undefined`: it was collected meanwhile. */
  const soundOutboard = async (cid: CID, place: Place): Promise<Outboard | undefined> => {
    try {
      return await loadOutboard(cid, place)
    } catch (cause) {
      if (!(cause instanceof IntegrityError)) throw cause
      const { key } = place
      const path = layout.outboardOf(keyOf(cid), keyOf(key))
      const { message: reason, offset = 0 } = cause
      const error = await quarantine.condemnOutboard({ root: cid, key, path, reason, offset, cause })
      if (error) throw error
      return undefined
    }
  }

  return {
    open: openFile,
    outboardOf: async (cid) => {
      const place = placeOf(cid)
      // Whatever is not as it should be is found out by opening it.
      if (place && (await looksRight(place))) {
        const known = cid.code === RAW ? await singleLeaf(cid, place.bytes) : cache.get(keyOf(cid))
        if (known) return known
      }
      const file = await openFile(cid)
      await file?.close()
      return file?.outboard
    },
  }
}

/** An outboard has SHA-256 alone: under another hash it is a block. */
const isLeaf = ({ code, multihash }: CID): boolean => code === RAW && multihash.code === SHA2_256

const singleLeaf = (cid: CID, bytes: number): Promise<Outboard> =>
  createOutboard(
    { cidVersion: cid.version, rawLeaves: cid.code === RAW, chunkBytes: MAX_BLOCK_BYTES, maxLinks: 2 },
    bytes,
    cid.multihash.digest,
  )

type DamageDetails = Pick<Damage, 'leaf' | 'offset' | 'actual' | 'cause'>
type Condemn = (reason: string, details: DamageDetails) => Promise<IntegrityError>
