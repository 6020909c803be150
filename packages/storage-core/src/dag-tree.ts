import { readDirectory, readFile, readLeaves, readNode, type CID, type GetBlock } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { FileSource, SourceNode } from './source.ts'
import { withVerifiedLeaves } from './verified-leaves.ts'

const RAW = 0x55

/**
 * A DAG as something that can be added. Read once and in its order, it asks for every block depth-first, and for none
 * twice that is not there twice.
 */
export async function treeOf(get: GetBlock, root: CID, { signal }: AbortOptions = {}): Promise<SourceNode> {
  // How long it is, only its block says.
  if (root.code === RAW) return { type: 'file', open: (options) => readFile(get, root, options) }
  let block: Uint8Array | undefined
  const node = await readNode(async (cid, options) => (block = await get(cid, options)), root, { signal })
  const getOthers: GetBlock = async (cid, options) => {
    const known = cid.equals(root) ? block : undefined
    if (known) block = undefined
    return known ?? get(cid, options)
  }
  if (node.type === 'symlink') return { type: 'symlink', target: node.target }
  if (node.type === 'file') {
    const open: FileSource['open'] = (options) => readFile(getOthers, root, options)
    return withVerifiedLeaves({ type: 'file', size: node.fileBytes, open }, (options) =>
      readLeaves(getOthers, root, options),
    )
  }
  return {
    type: 'directory',
    async *entries(options) {
      for await (const { name, cid } of readDirectory(getOthers, root, options)) {
        yield [name, await treeOf(get, cid, options)]
      }
    },
  }
}
