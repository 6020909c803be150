import { RAW, type CID } from '@x/cid'
import { multihashKey } from '@x/storage-core/backend'

/** Codecs of blocks that this process has put, which a daemon does not keep. */
export interface KnownCodecs {
  add(cid: CID): void
  delete(cid: CID): void
  get(cid: CID): number | undefined
}

/** Remembers those that are not raw, the newest so many. */
export function createKnownCodecs(most: number): KnownCodecs {
  const codecs = new Map<string, number>()
  return {
    add(cid) {
      if (cid.code === RAW) return
      const key = multihashKey(cid)
      codecs.delete(key)
      codecs.set(key, cid.code)
      if (codecs.size <= most) return
      const [oldest] = codecs.keys()
      if (oldest !== undefined) codecs.delete(oldest)
    },
    delete: (cid) => void codecs.delete(multihashKey(cid)),
    get: (cid) => codecs.get(multihashKey(cid)),
  }
}
