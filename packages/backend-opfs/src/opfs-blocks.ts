import { IDENTITY, verify, type Block } from '@x/cid'
import { type Blockstore, type PutManyOptions } from '@x/storage-core'
import { blockKey, stoppable } from '@x/storage-core/backend'

import type { Change } from './change.ts'
import type { StoreContext } from './context.ts'
import { createHold } from './hold.ts'
import { findDamaged, isHeld, stillNew } from './keep-new.ts'
import { createStaging, entriesOf, type Staging } from './staging.ts'

// Blocks of one data file: enough that there are few of them, little enough to write one anew.
const PACK_BYTES = 64 * 1024 * 1024

/** Blocks, of files held whole as well. `close` is the store's. */
export function createOpfsBlocks(
  { name, vault, enter, enterWriting, alone, busy, doomed, room }: StoreContext,
  close: () => Promise<void>,
): Blockstore {
  const { catalogue } = vault

  /** Makes what was staged visible. */
  async function publish(staging: Staging, signal: AbortSignal | undefined): Promise<void> {
    const all = await staging.seal()
    const damaged = await findDamaged(vault, all)
    const makeVisible = async (): Promise<void> => {
      enter({ signal })
      await vault.commit(entriesOf(stillNew(vault, all, damaged)))
    }
    await room.find(0, all.pack?.size ?? 0, () => alone(makeVisible, signal))
  }

  async function putMany(
    blocks: AsyncIterable<Block> | Iterable<Block>,
    { signal, verified, onStored }: PutManyOptions = {},
  ): Promise<number> {
    enterWriting({ signal })
    const hold = createHold(busy)
    let staging = createStaging(vault, room)
    let [count, staged] = [0, 0]
    const publishAll = async (): Promise<void> => {
      try {
        await publish(staging, signal)
      } finally {
        await staging.discard()
      }
      staging = createStaging(vault, room)
      staged = 0
    }
    try {
      for await (const { cid, bytes } of stoppable(blocks, signal)) {
        enter({ signal })
        if (!verified) await verify(cid, bytes)
        count += 1
        if (cid.multihash.code === IDENTITY) continue
        const key = blockKey(cid)
        hold.add(key)
        // Looked at in the moment in which it is marked: a collection that begins later leaves it alone.
        if (!doomed.has(key) && (await isHeld(vault, cid))) continue
        await staging.addBlock({ cid, bytes })
        staged += bytes.length
        if (staged >= PACK_BYTES) await publishAll()
      }
      await publishAll()
      await onStored?.()
      return count
    } finally {
      await staging.discard()
      hold.release()
    }
  }

  return {
    name,
    putMany,
    async has(cid, options) {
      enter(options)
      return cid.multihash.code === IDENTITY || catalogue.blocks.has(blockKey(cid))
    },
    async get(cid, options) {
      enter(options)
      if (cid.multihash.code === IDENTITY) return cid.multihash.digest.slice()
      const bytes = await vault.block(cid)
      enter(options)
      return bytes
    },
    async put(cid, bytes, options = {}) {
      await putMany([{ cid, bytes }], options)
    },
    async delete(cid, options) {
      enterWriting(options)
      await alone(async () => {
        enter(options)
        const changes: Change[] = []
        for (const { container } of catalogue.blocks.get(blockKey(cid))?.locations ?? []) {
          if (container.type !== 'pack') continue
          const { id } = container
          changes.push(container.blocks.size === 1 ? { type: 'drop', id } : { type: 'drop-block', id, cid })
        }
        await vault.commit(changes)
        await vault.sweep(changes.flatMap((change) => (change.type === 'drop' ? [change.id] : [])))
      }, options?.signal)
    },
    async *list(options) {
      enter(options)
      // Those of this moment: what is written meanwhile would be met or not.
      for (const { cid } of Array.from(catalogue.blocks.values())) {
        yield cid
        enter(options)
      }
    },
    close,
  }
}
