import { DAG_PB, MAX_BLOCK_BYTES } from '@x/cid'
import type { Want } from '@x/storage-core/backend'

/** Whether more blocks than this one are likely to be wanted below or right after it. */
export function isMany({ cid, fileBytes, file, from, to }: Want): boolean {
  if (!file) return cid.code === DAG_PB && to > from
  const last = file.start + (fileBytes ?? 0)
  // What holds more than a block can is a node.
  return file.end > last || (fileBytes ?? 0) > MAX_BLOCK_BYTES
}
