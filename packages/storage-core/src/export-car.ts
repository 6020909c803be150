import { writeCar, type CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSource } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { codeOf } from './error-code.ts'
import { NotFoundError } from './errors.ts'
import { openSession } from './planned-session.ts'

export interface ExportCarOptions extends AbortOptions {
  /** Bytes of the CAR made so far, the piece that is about to be yielded included. */
  onProgress?: ((written: number) => void) | undefined
}

/**
 * A DAG as a CARv1: a header with the one root, then every block once, depth-first. The same content gives the same bytes
 * from every store. Each block is checked. Read ahead are a few leaves; besides these are held one block, the links on the
 * path to it, and about 80 bytes for each block that was written.
 *
 * @param root - Written as it is, version 0 or 1. What a dag-cbor block links to is followed.
 * @throws {NotFoundError} A block is not held; `cid` is that block. What was yielded before is no complete CAR.
 * @throws {IntegrityError} A block is damaged.
 * @throws {UnsupportedError} A block that is not raw, dag-pb or dag-cbor: what it links to is not known.
 * @see https://ipld.io/specs/transport/car/carv1/
 */
export async function* exportCar(
  store: { readonly blocks: BlockSource },
  root: CID,
  options: ExportCarOptions = {},
): AsyncGenerator<Uint8Array> {
  const session = openSession(store.blocks, root, { signal: options.signal })
  const get = async (cid: CID, { signal }: AbortOptions): Promise<Uint8Array> => {
    try {
      return await session.get(cid, { signal })
    } catch (cause) {
      if (codeOf(cause) !== 'NOT_FOUND' || blockKey(cid) === blockKey(root)) throw cause
      const message = `${root} cannot be exported: block not found: ${cid}`
      throw new NotFoundError(cid.toString(), { cid, message, cause })
    }
  }
  try {
    yield* writeCar(get, root, options)
  } finally {
    await session.close()
  }
}
