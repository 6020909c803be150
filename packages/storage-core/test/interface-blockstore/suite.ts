import type { Blockstore } from '@x/storage-core'
import { toInterfaceBlockstore } from '@x/storage-core'
import type { Blockstore as Theirs } from 'interface-blockstore'
import { interfaceBlockstoreTests } from 'interface-blockstore-tests'
import { afterEach, beforeEach, describe, it } from 'vitest'

/** Runs the suite of interface-blockstore-tests against one of our blockstores. Call it at the top of a test file. */
export function interfaceBlockstoreSuite(name: string, open: () => Promise<Blockstore>): void {
  // The suite is written for mocha, which has these as globals.
  Object.assign(globalThis, { afterEach, beforeEach, describe, it })
  const opened = new WeakMap<Theirs, Blockstore>()
  describe(`${name} is a Blockstore of interface-blockstore`, () => {
    interfaceBlockstoreTests({
      async setup() {
        const store = await open()
        const theirs: Theirs = toInterfaceBlockstore(store)
        opened.set(theirs, store)
        return theirs
      },
      teardown: (theirs) => opened.get(theirs)?.close(),
    })
  })
}
