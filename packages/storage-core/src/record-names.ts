import type { CID } from '@x/cid'

import type { StoreParts } from './block-content-store.ts'
import type { AbortOptions } from './blockstore.ts'
import { copyMetadata } from './metadata.ts'
import { assertName, type NameRecord, type Names, type SetNameOptions } from './names.ts'
import type { RootRecords } from './root-records.ts'

/** The names of a content store. A name may point to a block that is not held, and to any codec. */
export function createRecordNames(
  { records, enter, alone }: Pick<StoreParts, 'records' | 'enter' | 'alone'>,
  { changesForRoot }: Pick<RootRecords, 'changesForRoot'>,
): Names {
  return {
    async get(name, options = {}) {
      enter(options)
      assertName(name)
      return records.name(name, options)
    },

    async set(name: string, cid: CID, { expected, metadata, signal }: SetNameOptions = {}): Promise<NameRecord> {
      enter({ signal })
      assertName(name)
      const record = { name, cid, metadata: copyMetadata(metadata), updatedAt: new Date().toISOString() }
      await alone(async () => {
        enter({ signal })
        const root = await changesForRoot(cid, { signal })
        await records.commit([...root, { type: 'put-name', record, expected }], { signal })
      }, signal)
      return record
    },

    async delete(name, { expected, signal }: AbortOptions & { expected?: CID | undefined } = {}) {
      enter({ signal })
      assertName(name)
      await alone(async () => {
        enter({ signal })
        await records.commit([{ type: 'delete-name', name, expected }], { signal })
      }, signal)
    },

    async *list({ prefix = '', signal } = {}) {
      enter({ signal })
      for await (const record of records.names({ signal })) {
        if (record.name.startsWith(prefix)) yield record
        enter({ signal })
      }
    },
  }
}
