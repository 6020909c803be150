import { hash } from 'node:crypto'

import { BaseBlockstore } from 'blockstore-core'
import { FsBlockstore } from 'blockstore-fs'
import type { CID } from 'multiformats/cid'

/**
 * What the exporter reads from: blockstore-fs with each block given in one piece, which spares the exporter a
 * concatenation per 64 KiB and makes it three times as fast. `verified`: also hashed against its CID, which blockstore-fs
 * does not do.
 */
export type ExporterStore = 'joined' | 'verified'

class JoinedBlockstore extends BaseBlockstore {
  readonly #inner: FsBlockstore
  readonly #verify: boolean

  constructor(inner: FsBlockstore, verify: boolean) {
    super()
    this.#inner = inner
    this.#verify = verify
  }

  override async *get(cid: CID): AsyncGenerator<Uint8Array> {
    const pieces: Uint8Array[] = []
    for await (const piece of this.#inner.get(cid)) pieces.push(piece)
    const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
    if (this.#verify && Buffer.compare(hash('sha256', bytes, 'buffer'), cid.multihash.digest) !== 0) {
      throw new Error(`${cid.toString()} does not match its bytes`)
    }
    yield bytes
  }
}

export async function openExporterStore(directory: string, kind: ExporterStore): Promise<JoinedBlockstore> {
  const inner = new FsBlockstore(directory, { createIfMissing: false })
  await inner.open()
  return new JoinedBlockstore(inner, kind === 'verified')
}
