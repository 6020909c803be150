import { cidOf, encodeDagCbor, RAW, UnsupportedError } from '@x/cid'
import { BackendError } from '@x/storage-core'

/*
 * An index file: eight bytes that say what it is, then frames.
 *
 *    0  u32 little-endian   bytes of the payload
 *    4  8 bytes             the first of the payload's SHA-256
 *   12  4 bytes             the first of the SHA-256 of the twelve bytes before: a length that is damaged is not believed
 *   16  payload             dag-cbor: a list of changes, all of which hold or none
 * 16+n  0xff                the end: a file system that lost its power may keep a length, with zeros for what never came
 */
const MAGIC = new TextEncoder().encode('X-OPFS-3')

/** Of an index that is begun now. Version 2 has no changes of the type `use`, and is else the same. */
export const VERSION = 3
export type Version = 2 | typeof VERSION
const CHECKED_BYTES = 12
const HEAD_BYTES = 16
const END = 0xff

export const emptyIndex = (): Uint8Array => MAGIC.slice()

/** One frame: what is appended at a time. */
export async function encodeFrame(changes: readonly unknown[]): Promise<Uint8Array> {
  const { bytes } = await encodeDagCbor(changes)
  const frame = new Uint8Array(HEAD_BYTES + bytes.length + 1)
  new DataView(frame.buffer).setUint32(0, bytes.length, true)
  frame.set((await digestOf(bytes)).subarray(0, 8), 4)
  frame.set((await digestOf(frame.subarray(0, CHECKED_BYTES))).subarray(0, 4), CHECKED_BYTES)
  frame.set(bytes, HEAD_BYTES)
  frame[frame.length - 1] = END
  return frame
}

const digestOf = async (bytes: Uint8Array): Promise<Uint8Array> => (await cidOf(RAW, bytes)).multihash.digest

async function matches(check: Uint8Array, bytes: Uint8Array): Promise<boolean> {
  const digest = await digestOf(bytes)
  return check.every((byte, at) => byte === digest[at])
}

/** Whether a page was killed while it began an index: what makes it one is written last. Any other one counts, sound or not. */
export const isUnfinished = (bytes: Uint8Array): boolean => bytes.length < MAGIC.length || bytes[0] === 0

function versionOf(bytes: Uint8Array): Version {
  const differs = MAGIC.findIndex((byte, at) => bytes[at] !== byte)
  if (differs === -1) return VERSION
  if (differs === MAGIC.length - 1) {
    if (bytes[differs] === '2'.charCodeAt(0)) return 2
    throw new UnsupportedError(
      'the index is of a version that this @x/backend-opfs does not know, and is left as it is',
    )
  }
  throw new BackendError('the index is damaged at its head, and is left as it is', { retryable: false })
}

export interface ReadFrames {
  payloads: Uint8Array[]
  /** Bytes up to the end of the last whole frame. What follows was cut short by a page that was killed. */
  end: number
}

/**
 * @throws {BackendError} It does not begin as an index, or has a frame that is damaged: that is no write cut short.
 * @throws {UnsupportedError} It is of a version that is not known.
 */
export async function readFrames(bytes: Uint8Array): Promise<ReadFrames & { version: Version }> {
  const version = versionOf(bytes)
  return { version, ...(await readAppended(bytes.subarray(MAGIC.length), MAGIC.length)) }
}

/**
 * What follows the end of a whole frame.
 *
 * @param from - Where `bytes` begin in the index.
 * @throws {BackendError} As `readFrames`.
 */
export async function readAppended(bytes: Uint8Array, from: number): Promise<ReadFrames> {
  const payloads: Uint8Array[] = []
  let end = from
  for (;;) {
    const rest = bytes.subarray(end - from)
    const isBegun = rest.length >= HEAD_BYTES && rest.some((byte) => byte !== 0)
    if (!isBegun) break
    const head = rest.subarray(0, CHECKED_BYTES)
    if (!(await matches(rest.subarray(CHECKED_BYTES, HEAD_BYTES), head))) {
      if (rest.subarray(HEAD_BYTES).every((byte) => byte === 0)) break
      throw damaged(end)
    }
    const last = HEAD_BYTES + new DataView(head.buffer, head.byteOffset).getUint32(0, true)
    const isEnded = last < rest.length && (rest[last] !== 0 || last + 1 < rest.length)
    if (!isEnded) break
    const payload = rest.slice(HEAD_BYTES, last)
    if (!(await matches(head.subarray(4), payload))) {
      if (last + 1 === rest.length && lacksSector(rest, HEAD_BYTES, end)) break
      throw damaged(end)
    }
    payloads.push(payload)
    end += last + 1
  }
  return { payloads, end }
}

/** The least that a disk writes at a time. */
const SECTOR_BYTES = 512

/** Whether a sector never came to the disk while a later one did: no payload has so many zeros. `bytes` begin at `base` of the file. */
function lacksSector(bytes: Uint8Array, from: number, base: number): boolean {
  const first = Math.ceil((base + from) / SECTOR_BYTES) * SECTOR_BYTES - base
  for (let at = first; at + SECTOR_BYTES <= bytes.length; at += SECTOR_BYTES) {
    if (bytes.subarray(at, at + SECTOR_BYTES).every((byte) => byte === 0)) return true
  }
  return false
}

const damaged = (at: number): BackendError =>
  new BackendError(`the index is damaged at byte ${at}, and is left as it is`, { retryable: false })
