import type { BlockSource } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { promiseAs } from './checked-blocks.ts'
import { createContentReader } from './content-reader.ts'
import type { ContentSource, StoreStatus } from './content-store.ts'
import { BackendError } from './errors.ts'

export interface BlockContentSourceOptions {
  /** Checks what it gives. The source closes it. */
  blocks: BlockSource
  /** Asks the medium something, now; as `status` of a store. */
  probe: (options: AbortOptions) => Promise<StoreStatus>
}

/** Files and directories over blocks that can only be read. Its name is theirs. */
export function createContentSource({ blocks: given, probe }: BlockContentSourceOptions): ContentSource {
  const { name } = given
  let closed = false
  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  const openOwn = given.openSession?.bind(given)
  const guarded: BlockSource = {
    name,
    has: async (cid, options) => {
      enter(options)
      return given.has(cid, options)
    },
    get: async (cid, options) => {
      enter(options)
      return given.get(cid, options)
    },
    ...(openOwn && {
      openSession: (root, options) => {
        enter(options)
        return openOwn(root, options)
      },
    }),
    close: () => given.close(),
  }
  const blocks = promiseAs(guarded, given)
  const { cat, stat, ls, verify } = createContentReader({ name, blocks, enter })
  return {
    name,
    blocks,
    cat,
    stat,
    ls,
    verify,
    status: async (options = {}) => {
      enter(options)
      return probe(options)
    },
    async close() {
      if (closed) return
      closed = true
      await given.close()
    },
  }
}
