import type { CID } from '@x/cid'
import type { ContentStore, DirectorySource, SourceNode } from '@x/storage-core'

/**
 * The storage, for a directory of files that it holds already: it reads them from itself, for it does not know how to link to
 * what is held.
 */
export function readsHeld<Store extends ContentStore>(store: Store): Store {
  const readable = (node: SourceNode): SourceNode => {
    if (node.type === 'directory') return directory(node)
    if (node.type === 'symlink' || node.held === undefined) return node
    const { held, ...rest } = node
    return { ...rest, open: ({ signal }) => catStored(held, signal) }
  }
  const directory = (source: DirectorySource): DirectorySource => ({
    type: 'directory',
    async *entries(options) {
      for await (const [name, node] of source.entries(options)) yield [name, readable(node)] as const
    },
  })
  // What was hashed when it was stored a moment ago.
  const catStored = (root: CID, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> =>
    store.cat(root, { verify: 'stored', signal })
  return {
    ...store,
    add: (source, options) =>
      store.add(
        'type' in source && source.type === 'directory' && !(source instanceof Blob) ? directory(source) : source,
        options,
      ),
  }
}
