import { MalformedError, readVarint, varintOf, writeVarint } from './varint.ts'

/**
 * Messages of Bitswap 1.2.0, as protobuf.
 *
 * @see https://specs.ipfs.tech/bitswap-protocol/#bitswap-1-2-0-wire-format
 */
export interface Message {
  /** The wants are all there are: earlier ones are void. */
  isFull: boolean
  wants: readonly Want[]
  blocks: readonly SentBlock[]
  presences: readonly Presence[]
}

export interface Want {
  /** Bytes of a CID. */
  cid: Uint8Array
  /** The block itself, or whether the other side has it. */
  type: 'block' | 'have'
  /** An earlier want is void. */
  cancel: boolean
  /** Answer also when the block is not there. */
  sendDontHave: boolean
  /** Higher ones first. */
  priority: number
}

export interface SentBlock {
  /** Version, codec, hash function and digest length of the CID, as varints. */
  prefix: Uint8Array
  data: Uint8Array
}

export interface Presence {
  /** Bytes of a CID. */
  cid: Uint8Array
  has: boolean
}

/** The longest message that is sent or taken, in bytes: as in Kubo and helia. */
export const MAX_MESSAGE_BYTES: number = 4 * 1024 * 1024

/** Wants, blocks, answers and what else there may be: more than any peer has reason to send in one message. */
const MAX_FIELDS = 16_384

/** A CID, and a few numbers. */
const MAX_WANT_BYTES = 256

const NOTHING = new Uint8Array()

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** The message with its length before it, in pieces: a block's bytes are not copied. */
export function encodeMessage({
  isFull = false,
  wants = [],
  blocks = [],
  presences = [],
}: Partial<Message>): Uint8Array[] {
  const list: number[] = []
  for (const want of wants) writeField(list, 1, encodeWant(want))
  if (isFull) list.push(2 << 3, 1)
  const head: number[] = []
  if (list.length > 0) writeField(head, 1, list)
  for (const { cid, has } of presences) {
    const presence: number[] = []
    writeField(presence, 1, cid)
    if (!has) presence.push(2 << 3, 1)
    writeField(head, 4, presence)
  }
  const pieces: Uint8Array[] = [Uint8Array.from(head)]
  for (const { prefix, data } of blocks) {
    const inner: number[] = []
    writeField(inner, 1, prefix)
    inner.push((2 << 3) | BYTES)
    writeVarint(inner, data.length)
    const outer: number[] = [(3 << 3) | BYTES]
    writeVarint(outer, inner.length + data.length)
    pieces.push(Uint8Array.from([...outer, ...inner]), data)
  }
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return [varintOf(length), ...pieces]
}

function encodeWant({ cid, type, cancel, sendDontHave, priority }: Want): number[] {
  const out: number[] = []
  writeField(out, 1, cid)
  out.push(2 << 3)
  writeVarint(out, priority)
  if (cancel) out.push(3 << 3, 1)
  if (type === 'have') out.push(4 << 3, 1)
  if (sendDontHave) out.push(5 << 3, 1)
  return out
}

function writeField(out: number[], field: number, bytes: Uint8Array | readonly number[]): void {
  out.push((field << 3) | BYTES)
  writeVarint(out, bytes.length)
  for (const byte of bytes) out.push(byte)
}

/**
 * The message in `bytes`, without a length before it. What it holds are views of `bytes`.
 *
 * @throws {MalformedError} It is none, or much work for nothing.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const wants: Want[] = []
  const blocks: SentBlock[] = []
  const presences: Presence[] = []
  let isFull = false
  let fields = 0
  const count = (byteLength: number, mostBytes: number): void => {
    fields += 1
    if (fields > MAX_FIELDS) throw new MalformedError(`over ${MAX_FIELDS} things in one message`)
    if (byteLength > mostBytes) throw new MalformedError(`a want or answer of ${byteLength} bytes`)
  }
  for (const { field, content } of fieldsOf(bytes)) {
    count(0, 0)
    if (!(content instanceof Uint8Array)) continue
    if (field === 1) {
      for (const inner of fieldsOf(content)) {
        const want = inner.field === 1 && inner.content instanceof Uint8Array ? inner.content : NOTHING
        count(want.length, MAX_WANT_BYTES)
        if (inner.field === 1) wants.push(decodeWant(want))
        else if (inner.field === 2) isFull = inner.content === 1
      }
    } else if (field === 3) blocks.push(decodeBlock(content, () => count(0, 0)))
    else if (field === 4) {
      count(content.length, MAX_WANT_BYTES)
      presences.push(decodePresence(content))
    }
  }
  return { isFull, wants, blocks, presences }
}

function decodeWant(bytes: Uint8Array): Want {
  const want: Want = { cid: NOTHING, priority: 0, cancel: false, type: 'block', sendDontHave: false }
  for (const { field, content } of fieldsOf(bytes)) {
    if (content instanceof Uint8Array) {
      if (field === 1) want.cid = content
    } else if (field === 2) want.priority = content
    else if (field === 3) want.cancel = content !== 0
    else if (field === 4) want.type = content === 1 ? 'have' : 'block'
    else if (field === 5) want.sendDontHave = content !== 0
  }
  return want
}

function decodeBlock(bytes: Uint8Array, onField: () => void): SentBlock {
  const block: SentBlock = { prefix: NOTHING, data: NOTHING }
  for (const { field, content } of fieldsOf(bytes)) {
    onField()
    if (!(content instanceof Uint8Array)) continue
    if (field === 1) block.prefix = content
    if (field === 2) block.data = content
  }
  return block
}

function decodePresence(bytes: Uint8Array): Presence {
  const presence: Presence = { cid: NOTHING, has: true }
  for (const { field, content } of fieldsOf(bytes)) {
    if (field === 1 && content instanceof Uint8Array) presence.cid = content
    if (field === 2 && typeof content === 'number') presence.has = content === 0
  }
  return presence
}

function* fieldsOf(bytes: Uint8Array): Generator<{ field: number; content: number | Uint8Array }> {
  let position = 0
  while (position < bytes.length) {
    const { value: tag, end } = readVarint(bytes, position)
    const field = Math.floor(tag / 8)
    const kind = tag % 8
    if (kind === VARINT) {
      const number = readVarint(bytes, end)
      position = number.end
      yield { field, content: number.value }
      continue
    }
    let start = end
    let length = 0
    if (kind === BYTES) ({ value: length, end: start } = readVarint(bytes, end))
    else if (kind === FIXED64) length = 8
    else if (kind === FIXED32) length = 4
    else throw new MalformedError(`wire type ${kind}`)
    position = start + length
    if (position > bytes.length) throw new MalformedError('a field is cut off')
    yield { field, content: bytes.subarray(start, position) }
  }
}
