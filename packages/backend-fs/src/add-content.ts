import { IntegrityError, profileOf, type Block, type CID } from '@x/cid'
import {
  assertName,
  buildSource,
  startReceipt,
  toSourceNode,
  type AddOptions,
  type AddResult,
  type AddSource,
  type Names,
} from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { createDirtyDirectories, type DirtyDirectories } from './durable-write.ts'
import type { FileWriter } from './file-writer.ts'
import { assertMetadata } from './json.ts'
import { withLease } from './lease.ts'
import type { LooseBlocks } from './loose-blocks.ts'
import type { RootRecords } from './root-records.ts'
import { stoppable } from './stoppable.ts'

export interface AddParts {
  writer: FileWriter
  loose: LooseBlocks
  records: RootRecords
  names: Names
}

/**
 * Writes and hashes everything under temporary names, then publishes files and directories, syncs, and only then writes
 * the records that make the root visible: pin, root, name. A source that fails or is refused leaves the store as it was;
 * a disk that fails while files are published leaves bytes that no record shows, and `gc` frees them.
 */
export async function addContent(
  context: StoreContext,
  { writer, loose, records, names }: AddParts,
  source: AddSource,
  options: AddOptions,
): Promise<AddResult> {
  const { name, metadata = {}, profile, pin = true, signal, onProgress, onReceipt } = options
  if (name !== undefined) assertName(name)
  assertMetadata(metadata)
  profileOf(profile)
  signal?.throwIfAborted()
  context.assertWritable('add')
  const finish = startReceipt('add', 'fs')

  const result = await withLease(context, 'add', signal, async () => {
    const dirty = createDirtyDirectories()
    const files = writer.begin()
    // Directories and symlinks: small beside the files they name.
    const blocks: Block[] = []
    try {
      const { cid, type, size } = await buildSource(stoppable(toSourceNode(source)), {
        profile,
        signal,
        onProgress,
        buildOneFile: (file, fileOptions) => files.add(file.open({ signal }), fileOptions),
        onBlock: (block) => void blocks.push(block),
      })
      signal?.throwIfAborted()
      await files.publish(dirty, signal)
      for (const block of blocks) await loose.put(block.cid, block.bytes, dirty)
      await dirty.sync()
      signal?.throwIfAborted()
      await record(cid, type, size, dirty)
      return { cid, type, size }
    } finally {
      await files.discard()
    }
  })
  onReceipt?.(finish({ cid: result.cid, bytes: result.size, verified: 'each-leaf' }))
  return result

  async function record(cid: CID, type: AddResult['type'], size: number, dirty: DirtyDirectories): Promise<void> {
    const now = new Date().toISOString()
    const before = await earlier(records, cid)
    const newPin = pin && !(await records.isPinned(cid))
    const kept = options.metadata ?? before?.metadata ?? {}
    try {
      // A killed add may have left a pin without its root.
      if (!pin && before === undefined) await records.unpin(cid)
      // The root's record makes the pin count, so a kill between the two leaves nothing visible.
      if (newPin) await records.pin({ cid, pinnedAt: now }, dirty)
      await records.put({ cid, type, size, addedAt: before?.addedAt ?? now, metadata: kept }, dirty)
      await dirty.sync()
      if (name !== undefined) await names.set(name, cid, { metadata })
    } catch (cause) {
      if (before === undefined) await records.delete(cid)
      if (newPin) await records.unpin(cid)
      throw cause
    }
  }
}

/** A damaged record is replaced, so what it said of an earlier add is lost. */
async function earlier(records: RootRecords, cid: CID): ReturnType<RootRecords['get']> {
  try {
    return await records.get(cid)
  } catch (cause) {
    if (cause instanceof IntegrityError) return undefined
    throw cause
  }
}
