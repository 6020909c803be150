import { open, type FileHandle } from 'node:fs/promises'

import { CID, DAG_PB, RAW, verify } from '@x/cid'

import { ifThere, onDisk } from '../disk-error.ts'
import {
  BLOCK_ENTRY,
  decodeEntryHead,
  MAX_ENTRY_HEAD_BYTES,
  MOST_BLOCK_BYTES,
  PACK_HEAD,
  WRAPPED_ENTRY,
  type EntryHead,
} from './pack-format.ts'

export type PackEntry =
  | { kind: 'block'; cid: CID; offset: number; length: number }
  /** `length`: of the whole entry. What it says is not checked. */
  | { kind: 'wrapped'; root: CID; key: CID; length: number }
  /** What lies there is not what it should be. After it come the entries that can be found again. */
  | { kind: 'damaged'; cid: CID | undefined; offset: number }

/**
 * Everything in a pack. Yields nothing for a pack that is not there.
 *
 * @param isKnown - It was read before: its blocks are not hashed again, up to the first damage.
 */
export async function* readPack(path: string, isKnown = false): AsyncGenerator<PackEntry> {
  const handle = await ifThere(`open ${path}`, open(path, 'r'))
  if (!handle) return
  try {
    const { size } = await onDisk(`look at ${path}`, handle.stat())
    const start = await readAt(handle, path, 0, PACK_HEAD.length)
    if (Buffer.compare(start, PACK_HEAD) !== 0) yield { kind: 'damaged', cid: undefined, offset: 0 }
    /** Bytes hashed in vain since the last sound entry. */
    let wasted = 0
    let isTrusted = isKnown
    for (let position = PACK_HEAD.length; position < size;) {
      const head = decodeEntryHead(await readAt(handle, path, position, MAX_ENTRY_HEAD_BYTES))
      const offset = position + (head?.headBytes ?? 0)
      const entry = head && (await entryAt(handle, path, head, { offset, size, isTrusted }))
      if (entry) {
        yield entry
        position = offset + head.length
        wasted = 0
        continue
      }
      yield { kind: 'damaged', cid: head?.cid, offset: position }
      // What follows may be the inside of a block.
      isTrusted = false
      wasted += head && head.length <= MOST_BLOCK_BYTES ? head.length : 0
      // Within a block that was made to look like entries; none is longer.
      const isTrap = wasted > MOST_WASTED_BYTES
      if (isTrap) wasted = 0
      position = await nextHead(handle, path, position + (isTrap ? MOST_BLOCK_BYTES : 1), size)
    }
  } finally {
    await handle.close()
  }
}

/** How the entries of raw and dag-pb blocks under SHA-256, and of wrapped leaves, begin. */
const SIGNATURES = [BLOCK_ENTRY, WRAPPED_ENTRY].flatMap((kind) =>
  [RAW, DAG_PB].map((codec) => Buffer.from([kind, 36, 1, codec, 0x12, 32])),
)
const WINDOW_BYTES = 64 * 1024
/** A tenth of a second. */
const MOST_WASTED_BYTES = 128 * 1024 * 1024

/** Where something begins that may be an entry; the end of the pack when nothing does. */
async function nextHead(handle: FileHandle, path: string, from: number, size: number): Promise<number> {
  for (let start = from; start < size; start += WINDOW_BYTES) {
    // A little more, for one that begins at the end of the window.
    const window = Buffer.from(await readAt(handle, path, start, WINDOW_BYTES + 8))
    const found = SIGNATURES.map((signature) => window.indexOf(signature)).filter((at) => at >= 0)
    if (found.length > 0) return start + Math.min(...found)
  }
  return size
}

/** `undefined` for what is no sound entry. */
async function entryAt(
  handle: FileHandle,
  path: string,
  { kind, cid, headBytes, length }: EntryHead,
  { offset, size, isTrusted }: { offset: number; size: number; isTrusted: boolean },
): Promise<PackEntry | undefined> {
  if (length > MOST_BLOCK_BYTES || offset + length > size) return undefined
  if (isTrusted && kind === BLOCK_ENTRY) return { kind: 'block', cid, offset, length }
  const bytes = await readAt(handle, path, offset, length)
  try {
    if (kind !== BLOCK_ENTRY) return { kind: 'wrapped', root: cid, key: CID.decode(bytes), length: headBytes + length }
    await verify(cid, bytes)
    return { kind: 'block', cid, offset, length }
  } catch {
    // Other bytes, a hash function that there is not, or no CID.
    return undefined
  }
}

/** Fewer bytes come where the file ends. */
export const readAt = (handle: FileHandle, path: string, offset: number, length: number): Promise<Uint8Array> =>
  readInto(handle, path, offset, new Uint8Array(length))

/** Resolves to what was filled: less where the file ends. */
export async function readInto(
  handle: FileHandle,
  path: string,
  offset: number,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const { length } = bytes
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await onDisk(`read ${path}`, handle.read(bytes, filled, length - filled, offset + filled))
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
