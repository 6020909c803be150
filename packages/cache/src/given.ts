import { cidOf, RAW, verify, type Block, type CID } from '@x/cid'

import type { Content } from './entry.ts'

/** A key is a CID; one given as a block is kept with the entry, so that it can be told later what it was made of. */
export type CacheKey = CID | Block

/** Bytes (filed under their raw CID), a block, or a block with others that belong to it. */
export type CacheValue = Uint8Array | Block | { block: Block; linked: readonly Block[] }

/** What a computation gives. What it throws is not kept. */
export type Computed =
  | { kind: 'value'; value: CacheValue; ttlMs?: number | undefined; keep?: boolean | undefined }
  | { kind: 'absent'; reason: string; ttlMs?: number | undefined; keep?: boolean | undefined }

const isBlock = (value: CacheKey | { block: Block; linked: readonly Block[] }): value is Block => 'cid' in value

export interface Key {
  key: CID
  keyBytes: Uint8Array | undefined
}

/** Unchecked. */
export const cidOfKey = (given: CacheKey): CID => (isBlock(given) ? given.cid : given)

/**
 * With bytes of its own, so that the caller may change theirs.
 *
 * @throws {IntegrityError} A block that does not hash to its CID.
 */
export async function keyOf(given: CacheKey): Promise<Key> {
  if (!isBlock(given)) return { key: given, keyBytes: undefined }
  const { cid, bytes } = await checked(given)
  return { key: cid, keyBytes: bytes }
}

/**
 * What an entry holds: bytes of its own, so that the caller may change theirs.
 *
 * @throws {IntegrityError} A block that does not hash to its CID.
 */
export async function toContent(computed: Computed): Promise<Content> {
  if (computed.kind === 'absent') return { kind: 'absent', reason: computed.reason }
  const { value } = computed
  if (value instanceof Uint8Array) {
    const bytes = value.slice()
    const cid = await cidOf(RAW, bytes)
    return { kind: 'value', cid, blocks: [{ cid, bytes }] }
  }
  const { block, linked } = isBlock(value) ? { block: value, linked: [] } : value
  return { kind: 'value', cid: block.cid, blocks: [await checked(block), ...(await Promise.all(linked.map(checked)))] }
}

async function checked({ cid, bytes }: Block): Promise<Block> {
  const own = bytes.slice()
  await verify(cid, own)
  return { cid, bytes: own }
}

/** A copy for a caller: what it does to its bytes is not to change what the next one is given. */
export function ownContent(content: Content): Content {
  if (content.kind === 'absent') return content
  const [first, ...others] = content.blocks
  return { kind: 'value', cid: content.cid, blocks: [copy(first), ...others.map(copy)] }
}

const copy = ({ cid, bytes }: Block): Block => ({ cid, bytes: bytes.slice() })
