import { open, type FileHandle } from 'node:fs/promises'

import { CID, IntegrityError, isStorageError, verify } from '@x/cid'

import { ifThere, onDisk } from '../disk-error.ts'
import { BLOCK_ENTRY, decodeEntryHead, MAX_ENTRY_HEAD_BYTES, PACK_HEAD } from './pack-format.ts'

export type PackEntry =
  | { kind: 'block'; cid: CID; offset: number; length: number }
  | { kind: 'wrapped'; root: CID; key: CID }
  /** What lies there is not what it should be; nothing after it is given when `isEnd`. */
  | { kind: 'damaged'; cid: CID | undefined; offset: number; isEnd: boolean }

// No block is larger; a head that says otherwise is damaged.
const MOST_BYTES = 4 * 1024 * 1024

/** Everything in a pack, each block hashed. Yields nothing for a pack that is not there. */
export async function* readPack(path: string): AsyncGenerator<PackEntry> {
  const handle = await ifThere(`open ${path}`, open(path, 'r'))
  if (!handle) return
  try {
    const { size } = await onDisk(`look at ${path}`, handle.stat())
    let position = PACK_HEAD.length
    const start = await readAt(handle, path, 0, PACK_HEAD.length)
    if (Buffer.compare(start, PACK_HEAD) !== 0) {
      yield { kind: 'damaged', cid: undefined, offset: 0, isEnd: true }
      return
    }
    while (position < size) {
      const head = decodeEntryHead(await readAt(handle, path, position, MAX_ENTRY_HEAD_BYTES))
      if (!head || head.length > MOST_BYTES || position + head.headBytes + head.length > size) {
        yield { kind: 'damaged', cid: head?.cid, offset: position, isEnd: true }
        return
      }
      const offset = position + head.headBytes
      yield await entryAt(await readAt(handle, path, offset, head.length), head, offset)
      position = offset + head.length
    }
  } finally {
    await handle.close()
  }
}

async function entryAt(
  bytes: Uint8Array,
  { kind, cid, length }: { kind: number; cid: CID; length: number },
  offset: number,
): Promise<PackEntry> {
  try {
    if (kind !== BLOCK_ENTRY) return { kind: 'wrapped', root: cid, key: CID.decode(bytes) }
    await verify(cid, bytes)
    return { kind: 'block', cid, offset, length }
  } catch (cause) {
    if (isStorageError(cause) && !(cause instanceof IntegrityError)) throw cause
    return { kind: 'damaged', cid, offset, isEnd: false }
  }
}

/** Fewer bytes come where the file ends. */
export async function readAt(handle: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await onDisk(`read ${path}`, handle.read(bytes, filled, length - filled, offset + filled))
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
