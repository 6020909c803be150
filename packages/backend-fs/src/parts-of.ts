import type { CID, Outboard } from '@x/cid'

import { cidOfKey } from './layout.ts'

/** Every block of a file of more than one, for the index. */
export function* partsOf(outboard: Outboard): Generator<{ block: CID; leaf: number | undefined }> {
  if (outboard.nodes.size === 0) return
  for (const key of outboard.nodes.keys()) {
    const block = cidOfKey(key)
    if (block) yield { block, leaf: undefined }
  }
  for (let index = 0; index < outboard.leafCount; index++) yield { block: outboard.leaf(index).cid, leaf: index }
}
