import { buildDirectory, CID, IDENTITY, RAW, type Block, type NodeLink } from '@x/cid'
import {
  BackendError,
  createPlannedSession,
  createVerifiedBlockstore,
  type AbortOptions,
  type BlockSource,
  type Blockstore,
  type PutManyOptions,
} from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { fetchBlock, isHeld } from './get-block.ts'
import { createHolds, type Holds } from './holds.ts'
import { importBlocks, MAX_IMPORTED_BYTES, startImport } from './import-blocks.ts'
import { inBatches } from './in-batches.ts'
import type { KnownCodecs } from './known-codecs.ts'
import { putBlock } from './put-block.ts'
import { reachableFrom } from './reachable.ts'
import type { Bookkeeping } from './records/bookkeeping.ts'
import { removeBlock } from './remove-block.ts'
import { createDamageCheck, type DamageCheck, type RepairParts } from './repair.ts'
import { cidOfText, fieldsOf, textOf } from './rpc/values.ts'

export interface KuboBlocksParts extends RepairParts {
  name: string
  /** Look at what the daemon holds, and no further. */
  offline: boolean
  bookkeeping: Bookkeeping
  codecs: KnownCodecs
}

/** What one import of `putMany` holds in memory at most. */
const BATCH_BYTES = 16 * 1024 * 1024
/** Asked for at a time: a daemon writes an answer in pieces of 4 KiB, so that one connection alone is slow. */
const AHEAD_BLOCKS = 8

/** A blockstore with sessions of its own. */
export interface KuboBlockstore extends Blockstore, Required<Pick<BlockSource, 'openSession'>> {}

/** The blocks of a daemon. What it gives is checked, and so is what goes in. */
export function createKuboBlockstore(parts: KuboBlocksParts): KuboBlockstore {
  const blocks = createVerifiedBlockstore(createDaemonBlockstore(parts))
  return {
    ...blocks,
    openSession: (root, options) =>
      createPlannedSession((cid, getOptions) => blocks.get(cid, getOptions), root, {
        aheadBlocks: AHEAD_BLOCKS,
        ...options,
      }),
  }
}

/** It carries its block, which is therefore always there and never listed. */
const isInline = (cid: CID): boolean => cid.multihash.code === IDENTITY

function createDaemonBlockstore(parts: KuboBlocksParts): Blockstore {
  const { name, rpc, offline, pins, bookkeeping, codecs } = parts
  const note = (cid: CID): void => {
    codecs.add(cid)
    bookkeeping.disown(cid)
  }
  const damageCheck = (): DamageCheck => createDamageCheck(parts)

  async function put(cid: CID, bytes: Uint8Array, { signal }: AbortOptions = {}): Promise<void> {
    if (isInline(cid)) return
    const check = damageCheck()
    await check.look([{ cid, bytes }], { signal })
    await putBlock(rpc, cid, bytes, { signal })
    await check.repair({ signal })
    note(cid)
  }

  async function putMany(
    blocks: AsyncIterable<Block> | Iterable<Block>,
    { onStored, signal }: PutManyOptions = {},
  ): Promise<number> {
    return onStored ? putHeld(blocks, onStored, { signal }) : putStreaming(blocks, { signal })
  }

  /** All in one import. */
  async function putStreaming(
    blocks: AsyncIterable<Block> | Iterable<Block>,
    { signal }: AbortOptions,
  ): Promise<number> {
    const started = await startImport(rpc, { what: 'putMany', pin: false, signal })
    const check = damageCheck()
    let count = 0
    try {
      for await (const batch of inBatches(blocks, BATCH_BYTES)) {
        count += batch.length
        const stored = batch.filter(({ cid }) => !isInline(cid))
        await check.look(stored, { signal })
        for (const block of stored) {
          if (block.bytes.length > MAX_IMPORTED_BYTES) await putBlock(rpc, block.cid, block.bytes, { signal })
          else await started.put(block)
        }
        for (const { cid } of stored) note(cid)
      }
      await started.finish([])
    } catch (error) {
      started.destroy()
      throw error
    }
    await check.repair({ signal })
    return count
  }

  /** Each batch held until `onStored` has pinned what all of them are part of. */
  async function putHeld(
    blocks: AsyncIterable<Block> | Iterable<Block>,
    onStored: () => Promise<void>,
    { signal }: AbortOptions,
  ): Promise<number> {
    const holds = createHolds(pins)
    const check = damageCheck()
    let count = 0
    try {
      for await (const batch of inBatches(blocks, BATCH_BYTES)) {
        count += batch.length
        const stored = batch.filter(({ cid }) => !isInline(cid))
        await check.look(stored, { signal })
        if (stored.length > 0) await importHeld(stored, { holds, signal })
        await check.repair({ signal })
      }
      await onStored()
    } finally {
      await holds.release({ signal })
    }
    return count
  }

  /**
   * Imports blocks with a hold on a directory that links them, so that no collection takes them before what they are part
   * of is pinned. The daemon's lock against collections is held for that long alone, not while the source is waited for.
   */
  async function importHeld(
    stored: readonly Block[],
    { holds, signal }: AbortOptions & { holds: Holds },
  ): Promise<void> {
    const large = stored.filter(({ bytes }) => bytes.length > MAX_IMPORTED_BYTES)
    for (const { cid, bytes } of large) await putBlock(rpc, cid, bytes, { signal })
    const holding: Block[] = []
    // As raw blocks: what they link to may not be there yet.
    const links = stored.map(({ cid, bytes }, index): NodeLink => {
      return { name: String(index), cid: CID.createV1(RAW, cid.multihash), dagBytes: bytes.length }
    })
    const directory = await buildDirectory(links, { onBlock: (block) => void holding.push(block) })
    for (const { cid } of holding) bookkeeping.own(cid)
    const roots = [await holds.on(directory.cid)]
    const small = stored.filter(({ bytes }) => bytes.length <= MAX_IMPORTED_BYTES)
    await importBlocks(rpc, [...small, ...holding], { what: 'putMany', roots, signal })
    for (const { cid } of stored) note(cid)
  }

  return {
    name,
    has: (cid, options = {}) => isHeld(rpc, cid, options),
    put,
    putMany,
    get: (cid, { signal } = {}) => fetchBlock(rpc, cid, { offline, signal }),
    async delete(cid, { signal } = {}) {
      if (isInline(cid) || (await bookkeeping.isInUse(cid, { signal })) || (await pins.over(cid, { signal }))) return
      await removeBlock(rpc, cid, { signal })
      codecs.delete(cid)
    },
    async *list({ signal } = {}) {
      const known = await codecsInUse(parts, { signal })
      const own = await bookkeeping.keys({ signal })
      for await (const value of rpc.lines('refs/local', { signal, what: 'list' })) {
        const fields = fieldsOf(value, 'list')
        const error = textOf(fields, 'Err', 'list')
        if (error !== '') throw new BackendError(`kubo: list: ${error}`, { retryable: true })
        const { multihash } = cidOfText(textOf(fields, 'Ref', 'list'), 'list')
        const cid = CID.createV1(RAW, multihash)
        const key = multihashKey(cid)
        // One that is content as well, such as the empty directory.
        if (own.has(key) && !known.has(key)) continue
        const codec = codecs.get(cid) ?? known.get(key)
        yield codec === undefined ? cid : CID.createV1(codec, multihash)
      }
    },
    close: async () => rpc.close(),
  }
}

/** Codecs other than raw, of what is pinned and of what is under the roots here. The daemon files blocks without. */
async function codecsInUse(
  { rpc, pins, bookkeeping }: KuboBlocksParts,
  { signal }: AbortOptions,
): Promise<Map<string, number>> {
  const known = new Map<string, number>()
  const note = (cid: CID): void => {
    if (cid.code !== RAW) known.set(multihashKey(cid), cid.code)
  }
  for await (const { cid } of pins.list({ type: 'all', signal })) note(cid)
  const others: CID[] = []
  for await (const cid of bookkeeping.kept({ signal })) if (!known.has(multihashKey(cid))) others.push(cid)
  for (const cid of (await reachableFrom(rpc, others, { signal, damaged: 'leaf' })).values()) note(cid)
  return known
}
