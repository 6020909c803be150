import type { Block, CID } from '@x/cid'

/** What an entry says of its key. */
export type Content =
  /** `blocks` begins with the value's own; the others are those it links to, as its maker chose. */
  | { kind: 'value'; cid: CID; blocks: readonly [Block, ...Block[]] }
  /** That there is nothing, and why: a negative entry. */
  | { kind: 'absent'; reason: string }

export interface Entry {
  key: CID
  /** The block whose CID the key is, where it was given. */
  keyBytes: Uint8Array | undefined
  content: Content
  /** Milliseconds since 1970. */
  storedMs: number
  /** `undefined`: never. */
  expiresMs: number | undefined
}

/** An entry without its bytes. */
export interface EntryInfo {
  key: CID
  keyBytes: Uint8Array | undefined
  kind: Content['kind']
  /** Of the value; `undefined` of a negative entry. */
  value: CID | undefined
  storedMs: number
  expiresMs: number | undefined
  /** When it was last read, to the minute. */
  usedMs: number
  /** What it counts for against the bound, its blocks included, also where another entry shares them. */
  bytes: number
}

// What the index needs for one more row, roughly: so that a bound on bytes bounds the number of tiny entries too.
export const ENTRY_BYTES = 256
export const BLOCK_BYTES = 128
/** The key is in the table, and in the indexes by use, by value and by expiry. */
export const KEY_COPIES = 4
/** The CID of a block is in its table, and in the index of that. */
export const CID_COPIES = 2

/** Of one that is stored once, whoever else has it. */
export const costOfBlock = (cidBytes: number, bytes: number): number => BLOCK_BYTES + CID_COPIES * cidBytes + bytes

/** Of the entry alone. */
export const costOfRow = ({
  key,
  keyBytes,
  reason,
  parts,
}: {
  key: Uint8Array
  keyBytes: Uint8Array | null
  reason: string | null
  /** Names the blocks. */
  parts: { length: number }
}): number =>
  ENTRY_BYTES +
  KEY_COPIES * key.length +
  (keyBytes?.length ?? 0) +
  (reason === null ? 0 : new TextEncoder().encode(reason).length) +
  parts.length

export const reasonOfEntry = ({ content }: Entry): string | null => (content.kind === 'absent' ? content.reason : null)

export const blocksOf = ({ content }: Entry): readonly Block[] => (content.kind === 'value' ? content.blocks : [])

export function costOf(entry: Entry): number {
  const blocks = blocksOf(entry)
  const row = costOfRow({
    key: entry.key.bytes,
    keyBytes: entry.keyBytes ?? null,
    reason: reasonOfEntry(entry),
    parts: { length: blocks.reduce((sum, { cid }) => sum + measuredLength(cid.bytes), 0) },
  })
  return blocks.reduce((sum, { cid, bytes }) => sum + costOfBlock(cid.bytes.length, bytes.length), row)
}

/** Stands before a length of four bytes: an inline CID is as long as what is in it. */
export const LONG = 255

/** Of a CID after its length, as an entry names its blocks. */
export const measuredLength = (cid: Uint8Array): number => cid.length + (cid.length < LONG ? 1 : 5)

// A clock that was set back must not make entries live longer than they were meant to.
const CLOCK_SKEW_MS = 5 * 60_000

export const isExpired = (
  { storedMs, expiresMs }: { storedMs: number; expiresMs: number | undefined },
  nowMs: number,
): boolean => expiresMs !== undefined && (nowMs >= expiresMs || nowMs < storedMs - CLOCK_SKEW_MS)
