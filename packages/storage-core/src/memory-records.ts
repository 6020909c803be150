import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import type { PinRecord } from './content-store.ts'
import { ConflictError } from './errors.ts'
import type { NameRecord } from './names.ts'
import type { RecordChange, Records, StoredRoot } from './records.ts'

/** Roots, pins and names in this process's memory. */
export function createMemoryRecords(): Records {
  const roots = new Map<string, StoredRoot>()
  const pins = new Map<string, PinRecord>()
  const names = new Map<string, NameRecord>()

  const checkExpected = (change: RecordChange): void => {
    if (change.type !== 'put-name' && change.type !== 'delete-name') return
    const { expected } = change
    if (expected === undefined) return
    const name = change.type === 'put-name' ? change.record.name : change.name
    const current = names.get(name)?.cid
    const meets =
      expected === null ? current === undefined : current !== undefined && blockKey(current) === blockKey(expected)
    if (meets) return
    const points = current === undefined ? 'is free' : `points to ${current}`
    throw new ConflictError(`name ${JSON.stringify(name)} ${points}`, { current })
  }

  const apply = (change: RecordChange): void => {
    if (change.type === 'put-root') roots.set(blockKey(change.record.cid), change.record)
    else if (change.type === 'delete-root') roots.delete(blockKey(change.cid))
    else if (change.type === 'put-pin') pins.set(blockKey(change.record.cid), change.record)
    else if (change.type === 'delete-pin') pins.delete(blockKey(change.cid))
    else if (change.type === 'put-name') names.set(change.record.name, change.record)
    else names.delete(change.name)
  }

  return {
    root: async (cid) => roots.get(blockKey(cid)),
    roots: (options) => snapshot([...roots.values()], options),
    pin: async (cid) => pins.get(blockKey(cid)),
    pins: (options) => snapshot([...pins.values()], options),
    name: async (name) => names.get(name),
    names: (options) =>
      snapshot(
        [...names.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        options,
      ),
    async commit(changes, { signal } = {}) {
      signal?.throwIfAborted()
      for (const change of changes) checkExpected(change)
      for (const change of changes) apply(change)
    },
    async close() {
      for (const table of [roots, pins, names]) table.clear()
    },
  }
}

/** A copy of the table as it was when the call was made, whatever is written meanwhile. */
async function* snapshot<T>(records: readonly T[], { signal }: AbortOptions = {}): AsyncGenerator<T> {
  for (const record of records) {
    signal?.throwIfAborted()
    yield record
  }
}
