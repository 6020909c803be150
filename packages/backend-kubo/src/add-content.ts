import { buildFile, profileOf, type Block, type CID } from '@x/cid'
import {
  assertExpected,
  assertName,
  buildSource,
  copyMetadata,
  startReceipt,
  toSourceNode,
  type AddOptions,
  type AddResult,
  type AddSource,
  type BuiltSource,
  type RecordChange,
} from '@x/storage-core'
import type { StoreParts } from '@x/storage-core/backend'

import { startImport } from './import-blocks.ts'
import { multihashKey } from './multihash-key.ts'
import { isPinOfContent, pinTypeOf, type Pins } from './pins.ts'
import type { Bookkeeping } from './records/bookkeeping.ts'
import type { KuboRecords } from './records/kubo-records.ts'
import type { KeptRoot } from './records/record-shard.ts'
import { createDamageCheck, type RepairParts } from './repair.ts'

export interface AddParts extends Pick<StoreParts, 'name' | 'enter' | 'alone'>, RepairParts {
  records: KuboRecords
  bookkeeping: Bookkeeping
}

/** What is looked up and sent at a time. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_BLOCKS = 64
/** Blocks of which is known that they were sent: about 10 MB. */
const MOST_REMEMBERED = 100_000

/**
 * Builds the DAG here, whatever the daemon's settings, and streams its blocks into one `dag/import`, which pins the root at
 * its end. Nothing is held but the blocks that are being hashed and sent.
 */
export async function addContent(parts: AddParts, source: AddSource, options: AddOptions = {}): Promise<AddResult> {
  const { name, metadata: given, profile, expected, onProgress, onReceipt, signal } = options
  parts.enter(options)
  // All that the caller may have got wrong is found before anything is read.
  if (name !== undefined) assertName(name)
  const metadata = given === undefined ? undefined : copyMetadata(given)
  profileOf(profile)
  const finish = startReceipt('add', parts.name)
  const since = new Date().toISOString()
  const importing = await startImport(parts.rpc, { what: 'add', pin: true, signal })
  /** The root, once the daemon may have begun to pin it. */
  let pinning: CID | undefined
  const check = createDamageCheck(parts)
  const batch: Block[] = []
  let batchBytes = 0
  const sent = new Set<string>()
  try {
    const put = async (block: Block): Promise<void> => {
      // Where content repeats itself, its blocks do: the import has them already.
      const key = multihashKey(block.cid)
      if (sent.has(key)) return
      if (sent.size < MOST_REMEMBERED) sent.add(key)
      parts.bookkeeping.disown(block.cid)
      // Its memory is used again.
      batch.push({ cid: block.cid, bytes: block.bytes.slice() })
      batchBytes += block.bytes.length
      if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_BLOCKS) await send()
    }
    const send = async (): Promise<void> => {
      await check.look(batch, { signal })
      for (const block of batch) await importing.put(block)
      batch.length = 0
      batchBytes = 0
    }
    const built = await buildSource(toSourceNode(source), {
      profile,
      signal,
      onProgress,
      onBlock: put,
      buildOneFile: (file, fileOptions) => buildFile(file.open({ signal }), { ...fileOptions, onBlock: put }),
    })
    await send()
    const { cid, type, size } = built
    assertExpected(cid, expected)
    const wasPinned = await isPinned(parts.pins, cid, signal)
    // One that is there is left alone: to pin it again, a daemon takes the old one away first.
    if (!wasPinned) pinning = cid
    await importing.finish(wasPinned ? [] : [cid])
    await check.repair({ signal })
    await parts.alone(async () => {
      parts.enter({ signal })
      await commit(parts, built, { ...options, metadata, isPinnedHere: !wasPinned })
      // From now on the record keeps it.
      if (options.pin === false && pinning) await dropPin(parts, pinning, since)
    }, signal)
    onReceipt?.(finish({ cid, bytes: size, verified: 'each-leaf' }))
    return { cid, type, size }
  } catch (error) {
    importing.destroy()
    // Without the signal: who gave up must not leave a pin behind.
    if (pinning) await Promise.allSettled([dropPin(parts, pinning, since)])
    signal?.throwIfAborted()
    throw error
  }
}

const isPinned = async (pins: Pins, cid: CID, signal: AbortSignal | undefined): Promise<boolean> =>
  (await pins.of(cid, { signal })).some(isPinOfContent)

/** Takes back the pin of an import, unless somebody has come to want it since. */
async function dropPin({ pins, records }: AddParts, cid: CID, since: string): Promise<void> {
  const isWanted = async (): Promise<boolean> => {
    const { pinnedAt } = (await records.root(cid)) ?? {}
    return pinnedAt !== undefined && pinnedAt >= since
  }
  if (await isWanted()) return
  await pins.unpin(cid)
  // Who came between took this pin for one that stays. What is recorded is kept meanwhile.
  if (await isWanted()) await pins.pin(cid, { type: pinTypeOf(cid) })
}

/** Makes an add visible, all of it at once. */
async function commit(
  { records }: AddParts,
  { cid, type, size }: BuiltSource,
  { name, metadata, pin = true, signal, isPinnedHere }: AddOptions & { isPinnedHere: boolean },
): Promise<void> {
  const now = new Date().toISOString()
  const held = await records.root(cid, { signal })
  const record = {
    cid: held?.cid ?? cid,
    type,
    size,
    addedAt: held?.addedAt ?? now,
    metadata: metadata ?? held?.metadata ?? copyMetadata(),
  }
  const pinned: KeptRoot = pin && isPinnedHere ? { ...record, pinnedAt: now } : record
  const changes: RecordChange[] = [{ type: 'put-root', record: pinned }]
  // A pin that somebody else made may have gone again since.
  if (pin && !isPinnedHere) changes.push({ type: 'put-pin', record: { cid, pinnedAt: now } })
  if (name !== undefined) {
    changes.push({ type: 'put-name', record: { name, cid, metadata: metadata ?? copyMetadata(), updatedAt: now } })
  }
  await records.commit(changes, { signal })
}
