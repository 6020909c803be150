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
const ENTRY_BYTES = 256
const BLOCK_BYTES = 128

export const costOfBlock = (bytes: number): number => BLOCK_BYTES + bytes

/** Of the entry alone. */
export const costOfRow = ({ keyBytes, reason }: { keyBytes: Uint8Array | null; reason: string | null }): number =>
  ENTRY_BYTES + (keyBytes?.length ?? 0) + (reason?.length ?? 0)

export const reasonOfEntry = ({ content }: Entry): string | null => (content.kind === 'absent' ? content.reason : null)

export const blocksOf = ({ content }: Entry): readonly Block[] => (content.kind === 'value' ? content.blocks : [])

export function costOf(entry: Entry): number {
  const row = costOfRow({ keyBytes: entry.keyBytes ?? null, reason: reasonOfEntry(entry) })
  return blocksOf(entry).reduce((sum, { bytes }) => sum + costOfBlock(bytes.length), row)
}

// A clock that was set back must not make entries live longer than they were meant to.
const CLOCK_SKEW_MS = 5 * 60_000

export const isExpired = (
  { storedMs, expiresMs }: { storedMs: number; expiresMs: number | undefined },
  nowMs: number,
): boolean => expiresMs !== undefined && (nowMs >= expiresMs || nowMs < storedMs - CLOCK_SKEW_MS)
