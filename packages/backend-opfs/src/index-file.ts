import { encodeDagCbor, UnsupportedError, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

/*
 * An index file: eight bytes that say what it is, then frames.
 *
 *   0  u32 little-endian   bytes of the payload
 *   4  8 bytes             the first of the payload's SHA-256
 *  12  payload             dag-cbor: a list of changes, all of which hold or none
 */
const MAGIC = new TextEncoder().encode('X-OPFS-1')
const HEAD_BYTES = 12
const CHECK_BYTES = 8

export const emptyIndex = (): Uint8Array => MAGIC.slice()

/** One frame: what is appended at a time. */
export async function encodeFrame(changes: readonly unknown[]): Promise<Uint8Array> {
  const { cid, bytes } = await encodeDagCbor(changes)
  const frame = new Uint8Array(HEAD_BYTES + bytes.length)
  new DataView(frame.buffer).setUint32(0, bytes.length, true)
  frame.set(checkOf(cid), 4)
  frame.set(bytes, HEAD_BYTES)
  return frame
}

const checkOf = (cid: CID): Uint8Array => cid.multihash.digest.subarray(0, CHECK_BYTES)

/** Whether a page was killed while it began an index: what makes it one is written last. Any other one counts, sound or not. */
export const isUnfinished = (bytes: Uint8Array): boolean => bytes.length < MAGIC.length || bytes[0] === 0

function assertIndex(bytes: Uint8Array): void {
  const differs = MAGIC.findIndex((byte, at) => bytes[at] !== byte)
  if (differs === -1) return
  if (differs === MAGIC.length - 1) {
    throw new UnsupportedError('the index is of another version of @x/backend-opfs, and is left as it is')
  }
  throw new BackendError('the index is damaged at its head, and is left as it is', { retryable: false })
}

export interface ReadFrames {
  payloads: Uint8Array[]
  /** Bytes up to the end of the last whole frame. What follows was cut short by a page that was killed. */
  end: number
}

/**
 * @throws {BackendError} It does not begin as an index, or a frame is damaged that others follow: that is no write cut short.
 * @throws {UnsupportedError} It is of another version.
 */
export async function readFrames(bytes: Uint8Array, hash: (payload: Uint8Array) => Promise<CID>): Promise<ReadFrames> {
  assertIndex(bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const payloads: Uint8Array[] = []
  let end = MAGIC.length
  while (end + HEAD_BYTES <= bytes.length) {
    const next = end + HEAD_BYTES + view.getUint32(end, true)
    if (next > bytes.length) break
    const payload = bytes.slice(end + HEAD_BYTES, next)
    const check = checkOf(await hash(payload))
    if (!check.every((byte, at) => bytes[end + 4 + at] === byte)) {
      if (next === bytes.length) break
      throw new BackendError(`the index is damaged at byte ${end}`, { retryable: false })
    }
    payloads.push(payload)
    end = next
  }
  return { payloads, end }
}
