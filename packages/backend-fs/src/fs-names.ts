import { parseCid } from '@x/cid'
import { assertName, type AbortOptions, type NameRecord, type Names } from '@x/storage-core'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { assertMetadata } from './json.ts'

/** Names of the port, in the catalogue. Comparing and setting is one turn. */
export function createFsNames(context: StoreContext, catalogue: Catalogue): Names {
  const start = async ({ signal }: AbortOptions): Promise<void> => {
    context.assertOpen()
    signal?.throwIfAborted()
    await context.confirmPresent()
    await catalogue.refresh()
  }
  return {
    get: async (name, options = {}) => {
      assertName(name)
      await start(options)
      return catalogue.name(name)
    },
    set: async (name, cid, options = {}) => {
      assertName(name)
      const { expected, metadata = {}, signal } = options
      assertMetadata(metadata)
      // Else it could not be read back.
      parseCid(cid.toString())
      await start(options)
      context.assertWritable(`set name ${name}`)
      const record: NameRecord = { name, cid, metadata, updatedAt: new Date().toISOString() }
      await catalogue.write(`name ${JSON.stringify(name)}`, signal, (turn) =>
        turn.change({ type: 'put-name', record, expected }),
      )
      return record
    },
    delete: async (name, options = {}) => {
      assertName(name)
      await start(options)
      context.assertWritable(`delete name ${name}`)
      const { expected, signal } = options
      await catalogue.write(`free name ${JSON.stringify(name)}`, signal, (turn) => {
        if (expected === undefined && turn.name(name) === undefined) return
        turn.change({ type: 'delete-name', name, expected })
      })
    },
    list: async function* (options = {}) {
      await start(options)
      for (const record of catalogue.names(options.prefix)) {
        options.signal?.throwIfAborted()
        context.assertOpen()
        yield record
      }
    },
  }
}
