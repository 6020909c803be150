import { constants } from 'node:fs'
import { open, readFile, stat, type FileHandle } from 'node:fs/promises'

import { IntegrityError, isStorageError, RAW, type CID } from '@x/cid'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { keyOf } from './layout.ts'
import { decodeOutboard, leafBlock, MAX_BLOCK_BYTES, singleLeafOutboard, type Leaf, type Outboard } from './outboard.ts'
import { plainBytes } from './plain-bytes.ts'
import type { Damage, Quarantine } from './quarantine.ts'

/** A file that is held whole, open for reading. What is read is checked; what does not match goes to quarantine. */
export interface HeldFile {
  readonly outboard: Outboard
  /** On disk. */
  readonly path: string
  readonly inode: bigint
  readonly device: bigint
  /** The bytes of a leaf, and its block; the same ones unless the leaf is wrapped. */
  readLeaf(leaf: Leaf): Promise<{ bytes: Uint8Array; block: Uint8Array }>
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

const CACHED_OUTBOARDS = 64

export function createHeldFiles(context: StoreContext, quarantine: Quarantine): HeldFiles {
  const { layout } = context
  // A checked outboard is right for ever: it is what its CID says.
  const cache = new Map<string, Outboard>()

  const remember = (key: string, outboard: Outboard): Outboard => {
    cache.delete(key)
    cache.set(key, outboard)
    const [oldest] = cache.keys()
    if (cache.size > CACHED_OUTBOARDS && oldest !== undefined) cache.delete(oldest)
    return outboard
  }

  const loadOutboard = async (cid: CID, fileBytes: number): Promise<Outboard> => {
    const key = keyOf(cid)
    const cached = cache.get(key)
    if (cached) {
      if (cached.fileBytes === fileBytes) return remember(key, cached)
      throw new IntegrityError(`the file has ${fileBytes} bytes instead of ${cached.fileBytes}`, {
        cid,
        offset: Math.min(fileBytes, cached.fileBytes),
      })
    }
    const encoded = cid.code === RAW ? undefined : await ifThere('read an outboard', readFile(layout.outboardOf(key)))
    if (encoded) return remember(key, await decodeOutboard(cid, plainBytes(encoded), { fileBytes }))
    if (fileBytes > MAX_BLOCK_BYTES) {
      const why = cid.code === RAW ? `a block cannot have ${fileBytes} bytes` : 'its outboard is missing'
      throw new IntegrityError(why, { cid })
    }
    return singleLeafOutboard(cid, fileBytes)
  }

  const openFile = async (cid: CID): Promise<HeldFile | undefined> => {
    const path = layout.fileOf(keyOf(cid))
    const handle = await ifThere(`open ${path}`, open(path, constants.O_RDONLY))
    if (!handle) {
      await quarantine.assertSound(cid)
      return undefined
    }
    try {
      const { size, ino, dev } = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
      const condemn = (reason: string, details: DamageDetails) =>
        quarantine.condemn({ cid, path, inode: ino, reason, ...details })
      const outboard = await soundOutboard(cid, Number(size), condemn)
      const missing = outboard.leaves.length === 1 && cid.code !== RAW ? ', or its outboard is missing' : ''
      return {
        outboard,
        path,
        inode: ino,
        device: dev,
        readLeaf: (leaf) => readLeaf(handle, leaf, missing, condemn),
        close: () => onDisk(`close ${path}`, handle.close()),
      }
    } catch (cause) {
      await handle.close()
      throw cause
    }
  }

  const soundOutboard = async (cid: CID, fileBytes: number, condemn: Condemn): Promise<Outboard> => {
    try {
      return await loadOutboard(cid, fileBytes)
    } catch (cause) {
      if (!isStorageError(cause) || cause.code !== 'INTEGRITY') throw cause
      const offset = cause instanceof IntegrityError ? cause.offset : undefined
      throw await condemn(cause.message, { offset: offset ?? 0, cause })
    }
  }

  return {
    open: openFile,
    outboardOf: async (cid) => {
      const cached = cache.get(keyOf(cid))
      // A stat tells as much as opening it: the outboard was checked, and only the size is looked at.
      const info = cached && (await ifThere('look at a file', stat(layout.fileOf(keyOf(cid)))))
      if (cached && info?.size === cached.fileBytes) return remember(keyOf(cid), cached)
      const file = await openFile(cid)
      await file?.close()
      return file?.outboard
    },
  }
}

type DamageDetails = Pick<Damage, 'leaf' | 'offset' | 'actual' | 'cause'>
type Condemn = (reason: string, details: DamageDetails) => Promise<IntegrityError>

async function readLeaf(
  handle: FileHandle,
  leaf: Leaf,
  missing: string,
  condemn: Condemn,
): Promise<{ bytes: Uint8Array; block: Uint8Array }> {
  const { offset, length } = leaf
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await onDisk('read', handle.read(bytes, filled, length - filled, offset + filled))
    if (bytesRead === 0) throw await condemn(`the file ends after ${offset + filled} bytes`, { leaf: leaf.cid, offset })
    filled += bytesRead
  }
  try {
    return { bytes, block: await leafBlock(leaf, bytes) }
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const reason = `the leaf of ${length} bytes at ${offset} does not match${missing}`
    throw await condemn(reason, { leaf: leaf.cid, offset, cause, actual: cause.actual })
  }
}
