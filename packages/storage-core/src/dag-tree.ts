import { RAW, readDirectory, readFile, readLeaves, readNode, type CID, type GetBlock } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { FileSource, SourceNode } from './source.ts'
import { withVerifiedLeaves } from './verified-leaves.ts'

export interface TreeOptions extends AbortOptions {
  /** What `get` gives was checked. */
  checked: boolean
}

/**
 * A DAG as something that can be added. Read once and in its order, it asks for every block depth-first, and for none
 * twice that is not there twice.
 */
export async function treeOf(get: GetBlock, root: CID, options: TreeOptions): Promise<SourceNode> {
  const { checked, signal } = options
  // How long it is, only its block says.
  if (root.code === RAW) return { type: 'file', open: (given) => readFile(get, root, given) }
  let block: Uint8Array | undefined
  const node = await readNode(async (cid, given) => (block = await get(cid, given)), root, { signal })
  const getOthers: GetBlock = async (cid, given) => {
    const known = cid.equals(root) ? block : undefined
    if (known) block = undefined
    return known ?? get(cid, given)
  }
  if (node.type === 'symlink') return { type: 'symlink', target: node.target }
  if (node.type === 'file') {
    const open: FileSource['open'] = (given) => readFile(getOthers, root, given)
    const file: FileSource = { type: 'file', size: node.fileBytes, open }
    return checked ? withVerifiedLeaves(file, (given) => readLeaves(getOthers, root, given)) : file
  }
  return {
    type: 'directory',
    async *entries(given) {
      for await (const { name, cid } of readDirectory(getOthers, root, given)) {
        yield [name, await treeOf(get, cid, { ...given, checked })]
      }
    },
  }
}
