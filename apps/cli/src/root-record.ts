import type { CID } from '@x/cid'
import {
  NotFoundError,
  type AbortOptions,
  type ContentSource,
  type ContentStore,
  type RootRecord,
} from '@x/storage-core'

/** Both versions of a CID name one root. */
const keyOf = (cid: CID): string => cid.toV1().toString()

/**
 * The record of a root; `undefined` when the CID is none, and of a source, which has no roots. Reads the whole list.
 */
export async function findRoot(
  store: ContentSource | ContentStore,
  cid: CID,
  options: AbortOptions,
): Promise<RootRecord | undefined> {
  if (!('roots' in store)) return undefined
  for await (const record of store.roots(options)) if (keyOf(record.cid) === keyOf(cid)) return record
  return undefined
}

/**
 * The records of CIDs, in their order, each once.
 *
 * @throws {NotFoundError} One of them is not among the records.
 */
export async function recordsOf<T extends { cid: CID }>(
  cids: readonly CID[],
  records: AsyncIterable<T>,
  what: string,
): Promise<T[]> {
  const wanted = new Map<string, T | undefined>(cids.map((cid) => [keyOf(cid), undefined]))
  for await (const record of records) if (wanted.has(keyOf(record.cid))) wanted.set(keyOf(record.cid), record)
  return cids
    .filter((cid, index) => cids.findIndex((other) => keyOf(other) === keyOf(cid)) === index)
    .map((cid) => {
      const record = wanted.get(keyOf(cid))
      if (!record)
        throw new NotFoundError(cid.toString(), { cid, message: `${cid} is not ${what}; nothing was changed` })
      return record
    })
}
