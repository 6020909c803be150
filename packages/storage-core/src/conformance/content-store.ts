import type { CID } from '@x/cid'
import { describe } from 'vitest'

import type { Blockstore } from '../blockstore.ts'
import type { ContentStore } from '../content-store.ts'
import { blockstoreConformance } from './blockstore.ts'
import { describeAdding } from './content-adding.ts'
import { describeCar } from './content-car.ts'
import { describeDamage } from './content-damage.ts'
import { describeFailures } from './content-failures.ts'
import { describeHolding } from './content-holding.ts'
import { describeKeeping } from './content-keeping.ts'
import { describeNames } from './content-names.ts'
import { describeReading } from './content-reading.ts'
import { describeWriters } from './content-writers.ts'

export interface ContentStoreSetup {
  /** An empty store, closed with `onTestFinished`. Every call opens another one. */
  open: () => Promise<ContentStore>
  /** One whose medium fails: a directory that is a file, a daemon that is down. Without it those tests are skipped. */
  openBroken?: (() => Promise<ContentStore>) | undefined
  /**
   * Changes one byte or more of a block behind the store's back, wherever the store keeps it: alone or inside a file.
   * Without it those tests are skipped.
   */
  corrupt?: ((store: ContentStore, cid: CID) => Promise<void>) | undefined
  /** Leaves that `store` has read from its medium since it was opened. Without it that test is skipped. */
  leavesRead?: ((store: ContentStore) => number) | undefined
  /** Each another order of what several writers do at once. Default three; a store that is slow may do with fewer. */
  writerSeeds?: readonly number[] | undefined
  /** How much each of them does. Default 24; a store that is slow may do with less. */
  writerSteps?: number | undefined
}

/** The tests that every content store passes, those of its `blocks` included. Call it at the top of a test file. */
export function contentStoreConformance(name: string, setup: ContentStoreSetup): void {
  describe(`${name} is a ContentStore`, () => {
    describeAdding(setup)
    describeReading({
      open: async () => {
        const store = await setup.open()
        const { leavesRead } = setup
        return { origin: store, source: store, leavesRead: leavesRead && (() => leavesRead(store)) }
      },
    })
    describeHolding(setup)
    describeKeeping(setup)
    describeNames(setup)
    describeWriters(setup)
    describeCar(setup)
    describeFailures(setup)
    describe('damage', () => {
      describeDamage(setup)
    })
  })
  const { corrupt, openBroken } = setup
  const storeOf = new WeakMap<Blockstore, ContentStore>()
  blockstoreConformance(`${name}.blocks`, {
    async open() {
      const store = await setup.open()
      storeOf.set(store.blocks, store)
      return store.blocks
    },
    ...(openBroken && { openBroken: async () => (await openBroken()).blocks }),
    ...(corrupt && {
      async corrupt(blocks, cid) {
        const store = storeOf.get(blocks)
        if (store) await corrupt(store, cid)
      },
    }),
  })
}
