import type { FileSource, SourceNode } from '@x/storage-core'
import { stoppable, verifiedLeavesOf, withVerifiedLeaves } from '@x/storage-core/backend'

/** A source that rejects as soon as the signal aborts, even while what is behind it says nothing. */
export function stoppableNode(node: SourceNode): SourceNode {
  if (node.type === 'symlink') return node
  if (node.type === 'file') {
    const leaves = verifiedLeavesOf(node)
    const open: FileSource['open'] = (options) => stoppable(node.open(options), options.signal)
    if (!leaves) return { ...node, open }
    return withVerifiedLeaves({ ...node, open }, (options) => stoppable(leaves(options), options.signal))
  }
  return {
    type: 'directory',
    entries: async function* (options) {
      for await (const [name, child] of stoppable(node.entries(options), options.signal)) {
        yield [name, stoppableNode(child)] as const
      }
    },
  }
}
