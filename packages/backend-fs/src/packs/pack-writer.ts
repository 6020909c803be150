import { randomBytes } from 'node:crypto'

import { InvalidInputError, type CID } from '@x/cid'

import type { PackedBlock } from '../catalogue/places.ts'
import type { StoreContext } from '../context.ts'
import { createTemp, type DirtyDirectories, type TempFile } from '../durable-write.ts'
import { BLOCK_ENTRY, encodeEntryHead, MOST_BLOCK_BYTES, PACK_HEAD, WRAPPED_ENTRY } from './pack-format.ts'

/** A pack that is being written, under a temporary name. */
export interface PackWriter {
  readonly name: string
  /** Bytes so far. */
  readonly bytes: number
  has(cid: CID): boolean
  /** Where the blocks are. */
  places(): Iterable<PackedBlock>
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
/** As much is written to the disk while more is added, so that little is left to wait for at the end. */
const EARLY_BYTES = 16 * 1024 * 1024

/** Makes no file before something is added. */
export function createPackWriter(context: StoreContext): PackWriter {
  const name = `${randomBytes(8).toString('hex')}.pack`
  const places = new Map<string, PackedBlock>()
  const wrapped = new Map<string, { root: CID; key: CID }>()
  let temp: TempFile | undefined
  let buffer = Buffer.alloc(0)
  let filled = 0
  /** Bytes that are in the buffer or behind it. */
  let bytes = 0
  /** Bytes of all entries, also of those that wait. */
  let laid = 0
  let synced = 0
  /** What was written and can be filled again. */
  const spare: Buffer<ArrayBuffer>[] = []
  // One write after another, in the order of what was added.
  let writing: Promise<void> = Promise.resolve()
  let syncing: Promise<void> | undefined

  const flush = async (): Promise<void> => {
    const full = buffer
    const length = filled
    const before = writing
    writing = writeAfter(before, full, length)
    // Whoever flushes next, or publishes, hears of a failure.
    writing.catch(() => undefined)
    filled = 0
    // Not more than two on their way: what adds is as slow as the disk.
    await before
    buffer = spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  }

  const writeAfter = async (before: Promise<void>, full: Buffer<ArrayBuffer>, length: number): Promise<void> => {
    await before
    temp ??= await createTemp(context)
    await temp.write(full.subarray(0, length))
    if (full.length > 0) spare.push(full)
    if (syncing || bytes - synced < EARLY_BYTES) return
    synced = bytes
    syncing = temp.sync().finally(() => (syncing = undefined))
    // The temp file remembers it, and `seal` rejects with it.
    syncing.catch(() => undefined)
  }

  /** Whether all of it goes into the buffer; nothing is written where it does not. */
  const appendNow = (head: Uint8Array, body: Uint8Array): boolean => {
    if (filled + head.length + body.length > buffer.length) return false
    buffer.set(head, filled)
    buffer.set(body, filled + head.length)
    filled += head.length + body.length
    bytes += head.length + body.length
    return true
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

  // Entries must not be mixed: while one waits for a write, the next ones wait for it.
  let last: Promise<void> | undefined

  const appendInTurn = async (before: Promise<void> | undefined, head: Uint8Array, body: Uint8Array): Promise<void> => {
    await before
    await append(head)
    await append(body)
  }

  const entry = (kind: number, cid: CID, body: Uint8Array, onPlaced?: (offset: number) => void): Promise<void> => {
    const isFirst = laid === 0
    const head = encodeEntryHead(kind, cid, body.length)
    const whole = isFirst ? Buffer.concat([PACK_HEAD, head]) : head
    onPlaced?.(laid + whole.length)
    laid += whole.length + body.length
    if (!last && appendNow(whole, body)) return DONE
    const mine = appendInTurn(last, whole, body).finally(() => {
      if (last === mine) last = undefined
    })
    // Who added it has `mine`. It fails by a write alone, and of that `seal` hears by `writing`.
    mine.catch(() => undefined)
    last = mine
    return mine
  }

  return {
    name,
    get bytes() {
      return laid
    },
    has: (cid) => places.has(mapKey(cid)),
    places: () => places.values(),
    wrapped: () => wrapped.values(),
    add: (cid, block) => {
      const key = mapKey(cid)
      if (places.has(key)) return DONE
      if (block.length > MOST_BLOCK_BYTES) {
        const message = `the block ${cid} has ${block.length} bytes; ${MOST_BLOCK_BYTES} are the most`
        return Promise.reject(new InvalidInputError(message, { input: cid.toString() }))
      }
      return entry(BLOCK_ENTRY, cid, block, (offset) => {
        places.set(key, { block: cid, offset, length: block.length })
      })
    },
    addWrapped: (root, key) => {
      if (wrapped.has(mapKey(root))) return DONE
      wrapped.set(mapKey(root), { root, key })
      return entry(WRAPPED_ENTRY, root, key.toV1().bytes)
    },
    seal: async () => {
      await last
      if (bytes === 0) return
      await flush()
      await writing
      await syncing
      await temp?.seal()
    },
    publish: async (dirty) => {
      await temp?.publish(context.layout.packOf(name), dirty)
    },
    discard: async () => {
      // What is thrown away may have failed: only its end is waited for.
      await Promise.allSettled([last, writing, syncing])
      await temp?.discard()
    },
  }
}

const DONE = Promise.resolve()

/** Shorter than its text, and made without encoding it. */
const mapKey = (cid: CID): string => Buffer.from(cid.toV1().bytes).toString('latin1')
