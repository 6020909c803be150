import type { BlockSource, ContentSource } from '@x/storage-core'
import { promiseAs } from '@x/storage-core/backend'

/** The same source, under a name of its own; says when a block came from it. */
export function noteUse(source: ContentSource, name: string, onUse: () => void): ContentSource {
  const { blocks } = source
  const openOwn = blocks.openSession?.bind(blocks)
  const noted: BlockSource = {
    name,
    has: (cid, options) => blocks.has(cid, options),
    async get(cid, options) {
      const bytes = await blocks.get(cid, options)
      onUse()
      return bytes
    },
    ...(openOwn && {
      openSession: (root, options = {}) =>
        openOwn(root, {
          ...options,
          onFetched: (byteLength) => {
            onUse()
            options.onFetched?.(byteLength)
          },
        }),
    }),
    close: () => blocks.close(),
  }
  return { ...source, name, blocks: promiseAs(noted, blocks) }
}
