import { randomBytes } from 'node:crypto'

import type { CID } from '@x/cid'

import type { PackedPlace } from '../catalogue/places.ts'
import type { StoreContext } from '../context.ts'
import { createTemp, type DirtyDirectories, type TempFile } from '../durable-write.ts'
import { BLOCK_ENTRY, encodeEntryHead, PACK_HEAD, WRAPPED_ENTRY } from './pack-format.ts'

/** A pack that is being written, under a temporary name. */
export interface PackWriter {
  readonly name: string
  /** Bytes so far. */
  readonly bytes: number
  has(cid: CID): boolean
  /** Where the blocks are. */
  places(): Iterable<{ cid: CID; place: PackedPlace }>
  /** Roots that are wrapped leaves, with the CID of their bytes. */
  wrapped(): Iterable<{ root: CID; key: CID }>
  /** Bytes that were checked. One that is in it already is not written again. */
  add(cid: CID, bytes: Uint8Array): Promise<void>
  addWrapped(root: CID, key: CID): Promise<void>
  /** Writes what is left, and syncs. Nothing can be added any more. */
  seal(): Promise<void>
  /** Gives it its name. */
  publish(dirty: DirtyDirectories): Promise<void>
  discard(): Promise<void>
}

const BUFFER_BYTES = 1024 * 1024

/** Makes no file before something is added. */
export function createPackWriter(context: StoreContext): PackWriter {
  const name = `${randomBytes(8).toString('hex')}.pack`
  const places = new Map<string, { cid: CID; place: PackedPlace }>()
  const wrapped = new Map<string, { root: CID; key: CID }>()
  let temp: TempFile | undefined
  let buffer = Buffer.alloc(0)
  let filled = 0
  let bytes = 0
  // One write after another, in the order of what was added.
  let writing: Promise<void> = Promise.resolve()

  const flush = (): Promise<void> => {
    const full = buffer.subarray(0, filled)
    buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
    filled = 0
    writing = writeAfter(writing, full)
    // Whoever flushes next, or publishes, hears of a failure.
    writing.catch(() => undefined)
    return writing
  }

  const writeAfter = async (before: Promise<void>, full: Uint8Array): Promise<void> => {
    await before
    temp ??= await createTemp(context)
    await temp.write(full)
  }

  const append = async (part: Uint8Array): Promise<void> => {
    bytes += part.length
    for (let rest = part; rest.length > 0;) {
      if (filled === buffer.length) await flush()
      const taken = rest.subarray(0, buffer.length - filled)
      buffer.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
    }
  }

  // Entries must not be mixed: an append that waits for a write lets another begin.
  let last: Promise<void> = Promise.resolve()
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    last = last.then(work)
    return last
  }

  const entry = async (kind: number, cid: CID, body: Uint8Array): Promise<void> => {
    if (bytes === 0) await append(PACK_HEAD)
    await append(encodeEntryHead(kind, cid, body.length))
    if (kind === BLOCK_ENTRY) {
      const place = { pack: name, offset: bytes, length: body.length }
      places.set(mapKey(cid), { cid, place })
    }
    await append(body)
  }

  return {
    name,
    get bytes() {
      return bytes
    },
    has: (cid) => places.has(mapKey(cid)),
    places: () => places.values(),
    wrapped: () => wrapped.values(),
    add: (cid, block) =>
      inTurn(async () => {
        if (!places.has(mapKey(cid))) await entry(BLOCK_ENTRY, cid, block)
      }),
    addWrapped: (root, key) =>
      inTurn(async () => {
        if (wrapped.has(mapKey(root))) return
        wrapped.set(mapKey(root), { root, key })
        await entry(WRAPPED_ENTRY, root, key.toV1().bytes)
      }),
    seal: async () => {
      await last
      if (bytes === 0) return
      await flush()
      await temp?.seal()
    },
    publish: async (dirty) => {
      await temp?.publish(context.layout.packOf(name), dirty)
    },
    discard: async () => {
      await Promise.allSettled([last, writing])
      await temp?.discard()
    },
  }
}

/** Shorter than its text, and made without encoding it. */
const mapKey = (cid: CID): string => Buffer.from(cid.toV1().bytes).toString('latin1')
