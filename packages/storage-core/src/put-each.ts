import type { Block } from '@x/cid'

import type { Blockstore, PutManyOptions } from './blockstore.ts'

/** `putMany` for a store that has none: one block after another. */
export async function putEach(
  store: Pick<Blockstore, 'put'>,
  blocks: AsyncIterable<Block> | Iterable<Block>,
  { onStored, ...options }: PutManyOptions = {},
): Promise<number> {
  let count = 0
  for await (const { cid, bytes } of blocks) {
    await store.put(cid, bytes, options)
    count += 1
  }
  await onStored?.()
  return count
}
