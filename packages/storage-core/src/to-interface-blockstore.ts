import { CID, InvalidInputError } from '@x/cid'

import type { AbortOptions, Blockstore } from './blockstore.ts'
import { codeOf } from './error-code.ts'
import type { BlockInput, InterfaceBlockstore } from './interface-blockstore.ts'
import { DEFAULT_MAX_BLOCK_BYTES, joinPieces } from './join-pieces.ts'

export interface ToInterfaceBlockstoreOptions {
  /** A block that is put in pieces is refused above this. Bytes; default 67_108_864. */
  maxBlockBytes?: number | undefined
}

/**
 * A blockstore as helia and the other JavaScript IPFS packages take it (interface-blockstore 7). What `store` promises
 * holds: what is put is hashed, and `get` gives checked bytes, each block as one piece. An absent block is what they
 * look for, a `NotFoundError` (code `ERR_NOT_FOUND`), with ours as its `cause`; other failures are `store`'s own, and
 * an abort rejects with the signal's own reason. The bytes of `getMany` and `getAll` are read when they are asked for:
 * one that was deleted in between is absent then. `putMany` and `deleteMany` go one block after another.
 *
 * Their interface has no `close`: whoever opened `store` closes it.
 */
export function toInterfaceBlockstore(
  store: Blockstore,
  { maxBlockBytes = DEFAULT_MAX_BLOCK_BYTES }: ToInterfaceBlockstoreOptions = {},
): InterfaceBlockstore {
  const has = async (given: CID, options: AbortOptions = {}): Promise<boolean> => store.has(ownCid(given), options)

  async function put(given: CID, input: BlockInput, options: AbortOptions = {}): Promise<CID> {
    const cid = ownCid(given)
    options.signal?.throwIfAborted()
    const refuse = (reason: string): Error => new InvalidInputError(`put ${cid}: ${reason}`, { input: String(cid) })
    const bytes = input instanceof Uint8Array ? input : await joinPieces(input, maxBlockBytes, refuse)
    await store.put(cid, bytes, options)
    return given
  }

  async function* get(given: CID, options: AbortOptions = {}): AsyncGenerator<Uint8Array> {
    yield await getBytes(ownCid(given), options)
  }

  async function getBytes(cid: CID, options: AbortOptions): Promise<Uint8Array> {
    try {
      return await store.get(cid, options)
    } catch (cause) {
      throw codeOf(cause) === 'NOT_FOUND' ? new InterfaceNotFoundError(cid, { cause }) : cause
    }
  }

  return {
    has,
    put,
    get,
    delete: async (given, options = {}) => store.delete(ownCid(given), options),
    async *putMany(source, options = {}) {
      for await (const { cid, bytes } of source) yield await put(cid, bytes, options)
    },
    async *getMany(source, options = {}) {
      for await (const cid of source) {
        options.signal?.throwIfAborted()
        yield { cid, bytes: get(cid, options) }
      }
    },
    async *getAll(options = {}) {
      for await (const cid of store.list(options)) yield { cid, bytes: get(cid, options) }
    },
    async *deleteMany(source, options = {}) {
      for await (const cid of source) {
        await store.delete(ownCid(cid), options)
        yield cid
      }
    },
  }
}

/** Theirs may come from another copy of multiformats. */
function ownCid(given: CID): CID {
  const cid = CID.asCID(given)
  if (!cid) throw new InvalidInputError(`not a CID: ${String(given)}`, { input: String(given) })
  return cid
}

/**
 * `NotFoundError` of interface-store, which its users tell by the name and, older ones, by the code.
 *
 * @see https://github.com/ipfs/js-stores/blob/main/packages/interface-store/src/errors.ts
 */
class InterfaceNotFoundError extends Error {
  override readonly name = 'NotFoundError'
  readonly code = 'ERR_NOT_FOUND'
  readonly cid: CID
  constructor(cid: CID, options: ErrorOptions) {
    super(`block not found: ${cid}`, options)
    this.cid = cid
  }
}
