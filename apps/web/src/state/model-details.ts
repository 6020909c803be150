import { CID } from '@x/cid'
import { listSidecars, showManifest } from '@x/model-loader'

import { openedStore } from './storage.ts'

/** What a model's card shows when it is opened. */
export interface ModelDetails {
  manifestCid: string
  files: readonly { path: string; size: number; dtype: string | undefined; role: string }[]
  /** Models that it was made from, by CID. */
  parents: readonly string[]
  /** Signatures that lie beside it. That they lie there says nothing yet: they are checked by the command line. */
  signatures: number
}

export async function readDetails(cid: string): Promise<ModelDetails> {
  const store = openedStore()
  const [found, signatures] = await Promise.all([
    showManifest(store, `ipfs://${cid}`),
    listSidecars(store, 'signatures', CID.parse(cid)),
  ])
  return {
    manifestCid: found.cid.toString(),
    files: found.manifest.files.map(({ path, size, dtype, role }) => ({ path, size, dtype, role })),
    parents: found.manifest.parents.map(String),
    signatures: signatures.length,
  }
}
