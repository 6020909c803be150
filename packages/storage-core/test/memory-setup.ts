import type { CID } from '@x/cid'
import {
  createContentStore,
  createMemoryRecords,
  type Blockstore,
  type ContentStore,
  type Records,
} from '@x/storage-core'
import type { BlockstoreSetup, ContentStoreSetup } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { blockKey } from '../src/block-key.ts'
import { createMapBlockstore, type HeldBlocks } from '../src/memory-blockstore.ts'
import { createVerifiedBlockstore } from '../src/verified-blockstore.ts'

/** What a test can reach behind a store's back. */
interface Inside {
  held: HeldBlocks
  leavesRead: number
}

const insides = new WeakMap<object, Inside>()

function insideOf(store: object): Inside {
  const inside = insides.get(store)
  if (!inside) throw new Error('not opened here')
  return inside
}

function closeLater<T extends { close(): Promise<void> }>(store: T, inside: Inside): T {
  insides.set(store, inside)
  onTestFinished(() => store.close())
  return store
}

function flip({ held }: Inside, cid: CID): void {
  const block = held.get(blockKey(cid))
  if (!block) throw new Error(`there is no ${cid} to damage`)
  const at = block.bytes.length >> 1
  block.bytes[at] = (block.bytes[at] ?? 0) ^ 1
}

export const memoryBlockstore: BlockstoreSetup = {
  async open(): Promise<Blockstore> {
    const held: HeldBlocks = new Map()
    return closeLater(createVerifiedBlockstore(createMapBlockstore('memory', held)), { held, leavesRead: 0 })
  },
  openBroken: () => brokenBlockstore(),
  corrupt: async (store, cid) => flip(insideOf(store), cid),
}

export const memoryContentStore: ContentStoreSetup = {
  async open() {
    const inside: Inside = { held: new Map(), leavesRead: 0 }
    const blocks = createMapBlockstore('memory', inside.held)
    const get: Blockstore['get'] = (cid, options) => {
      if (cid.code === 0x55) inside.leavesRead += 1
      return blocks.get(cid, options)
    }
    const records = createMemoryRecords()
    return closeLater(createContentStore({ name: 'memory', blocks: { ...blocks, get }, records }), inside)
  },
  openBroken: async (): Promise<ContentStore> =>
    createContentStore({ name: 'memory', blocks: failingBlocks, records: brokenRecords() }),
  corrupt: async (store, cid) => flip(insideOf(store), cid),
  leavesRead: (store) => insideOf(store).leavesRead,
}

// Not one of the family: what a driver throws.
const fail = async (): Promise<never> => {
  throw new Error('EIO: i/o error')
}

async function* failToList(): AsyncGenerator<never> {
  yield await fail()
}

const failingBlocks: Blockstore = {
  name: 'memory',
  has: fail,
  get: fail,
  put: fail,
  delete: fail,
  list: failToList,
  close: async () => {},
}

export const brokenBlockstore = async (): Promise<Blockstore> => createVerifiedBlockstore(failingBlocks)

const brokenRecords = (): Records => ({
  root: fail,
  roots: failToList,
  pin: fail,
  pins: failToList,
  name: fail,
  names: failToList,
  commit: fail,
  close: async () => {},
})
