import { buildFile, profileOf, type Block } from '@x/cid'
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
} from '@x/storage-core'
import { changesOfAdd, measureHeld, multihashKey, type HeldFileReader } from '@x/storage-core/backend'
import type { StoreParts } from '@x/storage-core/backend'

import { getHeldBlock, isHeld } from './get-block.ts'
import { createHolds } from './holds.ts'
import { startImport } from './import-blocks.ts'
import type { Bookkeeping } from './records/bookkeeping.ts'
import type { KuboRecords } from './records/kubo-records.ts'
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
 * Builds the DAG here, whatever the daemon's settings, and streams its blocks into one `dag/import`, which pins a hold on the
 * root at its end: no pin of the root itself, which may be somebody else's, is made or taken away before it is recorded. In
 * memory are only the blocks that are being hashed and sent.
 */
export async function addContent(parts: AddParts, source: AddSource, options: AddOptions = {}): Promise<AddResult> {
  const { name, metadata: given, profile, expected, onProgress, onReceipt, signal } = options
  parts.enter(options)
  // All that the caller may have got wrong is found before anything is read.
  if (name !== undefined) assertName(name)
  const metadata = given === undefined ? undefined : copyMetadata(given)
  profileOf(profile)
  const finish = startReceipt('add', parts.name)
  const importing = await startImport(parts.rpc, { what: 'add', pin: true, signal })
  const holds = createHolds(parts.pins)
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
    // The import's lock keeps what is there. Should it go before that is had, the pin at the end fails.
    const held: HeldFileReader = {
      async keep(block, within) {
        if (!(await isHeld(parts.rpc, block, within))) return false
        parts.bookkeeping.disown(block)
        return true
      },
      getBlock: (block, within) => getHeldBlock(parts.rpc, block, within ?? {}),
    }
    const built = await buildSource(toSourceNode(source), {
      profile,
      signal,
      onProgress,
      onBlock: put,
      async buildOneFile(file, fileOptions) {
        const linked = file.held && (await measureHeld(held, file.held, { signal }))
        if (linked) fileOptions.onProgress?.(linked.fileBytes)
        return linked ?? buildFile(file.open({ signal }), { ...fileOptions, onBlock: put })
      },
    })
    await send()
    const { cid, type, size } = built
    assertExpected(cid, expected)
    await importing.finish([await holds.on(cid)])
    await check.repair({ signal })
    await parts.alone(async () => {
      parts.enter({ signal })
      const root = await parts.records.root(cid, { signal })
      // A pin that is there may be that of an add that fails yet: whoever relies on it records it.
      const changes = changesOfAdd(built, { root, isPinned: false }, { ...options, metadata })
      await parts.records.commit(changes, { signal })
    }, signal)
    onReceipt?.(finish({ cid, bytes: size, verified: 'each-leaf' }))
    return { cid, type, size }
  } catch (error) {
    importing.destroy()
    signal?.throwIfAborted()
    throw error
  } finally {
    await holds.release({ signal })
  }
}
