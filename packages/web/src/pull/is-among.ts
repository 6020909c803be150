import type { CID } from '@x/cid'

/** Whether one of the records, such as roots, pins or names, is of this root. */
export async function isAmong(records: AsyncIterable<{ cid: CID }>, root: CID): Promise<boolean> {
  for await (const { cid } of records) if (cid.equals(root)) return true
  return false
}
