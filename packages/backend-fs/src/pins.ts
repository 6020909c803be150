import { DAG_PB, IntegrityError, RAW, type CID } from '@x/cid'
import { NotFoundError, type Blockstore, type PinRecord } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { dagParts } from './dag-parts.ts'
import { createDirtyDirectories } from './durable-write.ts'
import type { HeldFiles } from './held-file.ts'
import { withLease } from './lease.ts'
import type { RootRecords } from './root-records.ts'
import type { Tree } from './tree.ts'

export interface PinParts {
  blocks: Blockstore
  held: HeldFiles
  records: RootRecords
  tree: Tree
}

export interface Pins {
  /** Whether every part of the DAG is held. What is damaged is not. */
  isComplete(root: CID, signal: AbortSignal | undefined): Promise<boolean>
  pin(root: CID, signal: AbortSignal | undefined): Promise<void>
  list(): AsyncIterable<PinRecord>
}

/** A pin is a record; making one walks directories and outboards, and reads no file. */
export function createPins(context: StoreContext, { blocks, held, records, tree }: PinParts): Pins {
  const walk = async (root: CID, signal: AbortSignal | undefined): Promise<void> => {
    for await (const _ of dagParts(blocks, held, root, { signal })) signal?.throwIfAborted()
  }
  return {
    isComplete: async (root, signal) => {
      try {
        await walk(root, signal)
        return true
      } catch (cause) {
        if (cause instanceof NotFoundError || cause instanceof IntegrityError) return false
        throw cause
      }
    },
    pin: async (root, signal) => {
      context.assertWritable(`pin ${root}`)
      await withLease(context, `pin ${root}`, signal, async () => {
        await walk(root, signal)
        const dirty = createDirtyDirectories()
        const now = new Date().toISOString()
        if (!(await records.isPinned(root))) await records.pin({ cid: root, pinnedAt: now }, dirty)
        if (isContent(root) && !(await records.get(root))) {
          const { type, size } = await tree.stat(root, { signal })
          await records.put({ cid: root, type, size, addedAt: now, metadata: {} }, dirty)
        }
        await dirty.sync()
      })
    },
    list: async function* () {
      for await (const pin of records.pins()) {
        // Without the root's record the add that wrote the pin was killed before it was done.
        if (!isContent(pin.cid) || (await records.has(pin.cid))) yield pin
      }
    },
  }
}

/** A dag-cbor block can be pinned, and is no file or directory. */
const isContent = (cid: CID): boolean => cid.code === RAW || cid.code === DAG_PB
