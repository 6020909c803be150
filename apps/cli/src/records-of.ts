import type { CID } from '@x/cid'
import { NotFoundError } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

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
  const wanted = new Map<string, T | undefined>(cids.map((cid) => [blockKey(cid), undefined]))
  for await (const record of records) if (wanted.has(blockKey(record.cid))) wanted.set(blockKey(record.cid), record)
  return cids
    .filter((cid, index) => cids.findIndex((other) => blockKey(other) === blockKey(cid)) === index)
    .map((cid) => {
      const record = wanted.get(blockKey(cid))
      if (!record)
        throw new NotFoundError(cid.toString(), { cid, message: `${cid} is not ${what}; nothing was changed` })
      return record
    })
}
