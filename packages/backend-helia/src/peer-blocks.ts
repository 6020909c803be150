import type { CID, GetBlock } from '@x/cid'
import {
  BlockNotFoundError,
  createPlannedSession,
  isStorageError,
  type Blockstore,
  type BlockSource,
  type SessionOptions,
} from '@x/storage-core'
import { promiseChecked } from '@x/storage-core/backend'

import type { BlockFetcher } from './block-fetcher.ts'

export interface PeerBlocksOptions {
  name: string
  /** Read first. `undefined`: the network alone. */
  local: Pick<Blockstore, 'has' | 'get'> | undefined
  /** One for each DAG: it knows who had its first blocks. `undefined`: no network. */
  createFetcher: (() => BlockFetcher) | undefined
  /** What a session asks for before its turn. Bytes. */
  aheadBytes: number
}

// The bytes are the limit.
const AHEAD_BLOCKS = 64

const never = new AbortController().signal

/** What is held here, then what others have. */
export function createPeerBlocks({ name, local, createFetcher, aheadBytes }: PeerBlocksOptions): BlockSource {
  /** What is damaged here may be sound elsewhere. */
  async function getLocal(cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    if (!local) return undefined
    try {
      return await local.get(cid, { signal })
    } catch (error) {
      const code = isStorageError(error) ? error.code : undefined
      if (createFetcher && (code === 'NOT_FOUND' || code === 'INTEGRITY')) return undefined
      throw error
    }
  }

  const read = async (fetcher: BlockFetcher | undefined, cid: CID, signal = never): Promise<Uint8Array> => {
    const held = await getLocal(cid, signal)
    if (held) return held
    if (!fetcher) throw new BlockNotFoundError(cid)
    return fetcher.getBlock(cid, { signal })
  }

  return promiseChecked({
    name,
    async has(cid, { signal = never } = {}) {
      signal.throwIfAborted()
      if (local && (await local.has(cid, { signal }))) return true
      return (await createFetcher?.().hasBlock(cid, { signal })) ?? false
    },
    get: (cid, { signal } = {}) => read(createFetcher?.(), cid, signal),
    openSession(root: CID, options: SessionOptions = {}) {
      const fetcher = createFetcher?.()
      const fetch: GetBlock = (cid, { signal }) => read(fetcher, cid, signal)
      return createPlannedSession(fetch, root, { ...options, aheadBlocks: AHEAD_BLOCKS, aheadBytes })
    },
    close: async () => undefined,
  })
}
