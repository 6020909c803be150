import type { Block } from '@x/cid'

const MOST_BLOCKS = 1000

/** Blocks in groups of about so many bytes. */
export async function* inBatches(
  blocks: AsyncIterable<Block> | Iterable<Block>,
  batchBytes: number,
): AsyncGenerator<Block[]> {
  let batch: Block[] = []
  let byteLength = 0
  for await (const block of blocks) {
    batch.push(block)
    byteLength += block.bytes.length
    if (byteLength < batchBytes && batch.length < MOST_BLOCKS) continue
    yield batch
    batch = []
    byteLength = 0
  }
  if (batch.length > 0) yield batch
}
