import type { CID } from '@x/cid'
import { createContentSource, type Blockstore, type ContentSource } from '@x/storage-core'
import { promiseAs } from '@x/storage-core/backend'

/**
 * A source, but for the blocks that are held here: files that came before a download was interrupted are not fetched once more to know what they
 * are. Closing it closes nothing.
 */
export function heldFirst(held: Blockstore, source: ContentSource): ContentSource {
  const of = async (cid: CID, options: Parameters<Blockstore['get']>[1]): Promise<Pick<Blockstore, 'get'>> =>
    (await held.has(cid, options)) ? held : source.blocks
  const blocks = {
    name: source.name,
    has: async (cid: CID, options: Parameters<Blockstore['has']>[1]) =>
      (await held.has(cid, options)) || source.blocks.has(cid, options),
    get: async (cid: CID, options: Parameters<Blockstore['get']>[1]) => (await of(cid, options)).get(cid, options),
    close: async () => undefined,
  }
  return createContentSource({
    blocks: promiseAs(blocks, held, source.blocks),
    probe: (options) => source.status(options),
  })
}
