import { ConflictError, type RecordChange, type Records } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

import type { StoreContext } from './context.ts'

/** Roots, pins and names: read from memory, changed through the index. Its `commit` runs in the caller's turn. */
export function createIndexRecords({
  vault,
  enter,
  enterWriting,
}: Pick<StoreContext, 'vault' | 'enter' | 'enterWriting'>): Records {
  const { records } = vault.catalogue

  async function assertExpectation(change: RecordChange): Promise<void> {
    if (change.type !== 'put-name' && change.type !== 'delete-name') return
    const { expected } = change
    if (expected === undefined) return
    const name = change.type === 'put-name' ? change.record.name : change.name
    const current = (await records.name(name))?.cid
    const meets =
      expected === null ? current === undefined : current !== undefined && blockKey(current) === blockKey(expected)
    if (meets) return
    const points = current === undefined ? 'is free' : `points to ${current}`
    throw new ConflictError(`name ${JSON.stringify(name)} ${points}`, { current })
  }

  return {
    ...records,
    async commit(changes, options) {
      if (changes.length === 0) return
      enterWriting(options)
      for (const change of changes) await assertExpectation(change)
      enter(options)
      await vault.commit(changes.map((change) => ({ type: 'record', change })))
    },
  }
}
