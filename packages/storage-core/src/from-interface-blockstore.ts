import { CID, IDENTITY, UnsupportedError } from '@x/cid'

import type { AbortOptions, Blockstore } from './blockstore.ts'
import { BackendError, BlockNotFoundError } from './errors.ts'
import type { ForeignBlockstore } from './interface-blockstore.ts'
import { DEFAULT_MAX_BLOCK_BYTES, joinPieces } from './join-pieces.ts'
import { createKeyedLock, untilAborted } from './lock.ts'
import { multihashKey } from './multihash-key.ts'
import { createVerifiedBlockstore } from './verified-blockstore.ts'

export interface FromInterfaceBlockstoreOptions {
  /** Short and stable, for errors, receipts and logs. */
  name: string
  /**
   * What their store finds a block by.
   *
   * `multihash`, the default, is right for every store of js-stores: the CIDs of their `getAll` have a codec that the
   * block need not have (`raw`, or in blockstore-fs and blockstore-s3 what the digest's bytes happen to say), and
   * deleting a block deletes it under every codec. So the codecs of what is put here are remembered until `close`
   * (about 300 bytes a block); `list` names blocks by those and rejects with an `UnsupportedError` at a block that was
   * put in another way; a block put under two codecs goes with the second `delete`.
   *
   * `cid`: their `getAll` gives the CIDs that were put, in any version. Nothing is remembered.
   */
  keyedBy?: 'multihash' | 'cid' | undefined
  /** A longer block is a `BackendError`. Bytes; default 67_108_864. */
  maxBlockBytes?: number | undefined
  /** Called by the first `close`. By default their store stays open, for whoever opened it. */
  close?: (() => void | Promise<void>) | undefined
}

/**
 * A blockstore over one of the JavaScript IPFS world (interface-blockstore 7), which is not trusted: every block is
 * hashed before it goes in and before it is handed on, bytes are copied both ways, and an abort rejects at once with
 * the signal's own reason (`list`: at their next block), though what their store has begun may go on.
 *
 * What cannot be told: several of their stores answer `has` with `false`, and `get` with a `NotFoundError`, when the
 * medium failed. A `NotFoundError` after the first bytes, or one whose message names a system error other than
 * ENOENT, is a `BackendError` here; `false` can only be taken at its word. Whether a block is put all or nothing, and
 * survives a crash, is up to their store; damage is found on reading, and put over.
 */
export function fromInterfaceBlockstore(
  theirs: ForeignBlockstore,
  { name, keyedBy = 'multihash', maxBlockBytes = DEFAULT_MAX_BLOCK_BYTES, close }: FromInterfaceBlockstoreOptions,
): Blockstore {
  const codecs = keyedBy === 'multihash' ? createCodecMemory() : undefined
  let closed = false
  const enter = ({ signal }: AbortOptions): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }

  const ask = async (cid: CID, signal?: AbortSignal): Promise<boolean> => theirs.has(cid.toV1(), withSignal(signal))

  async function read(cid: CID, { signal }: AbortOptions): Promise<Uint8Array> {
    let started = false
    async function* pieces(): AsyncGenerator {
      for await (const piece of theirs.get(cid.toV1(), withSignal(signal))) {
        started = true
        signal?.throwIfAborted()
        yield piece
      }
    }
    try {
      return await joinPieces(
        pieces(),
        maxBlockBytes,
        (reason) => new BackendError(`${name}: get ${cid}: ${reason}`, { retryable: false }),
      )
    } catch (cause) {
      throw !started && isNotFound(cause) ? new BlockNotFoundError(cid, { cause }) : cause
    }
  }

  return createVerifiedBlockstore({
    name,
    async has(cid, options = {}) {
      enter(options)
      if (inlineBytes(cid)) return true
      const { signal } = options
      return untilAborted(ask(cid, signal), signal)
    },
    async get(cid, options = {}) {
      enter(options)
      return inlineBytes(cid)?.slice() ?? untilAborted(read(cid, options), options.signal)
    },
    async put(cid, bytes, options = {}) {
      enter(options)
      if (inlineBytes(cid)) return
      const { signal } = options
      const store = async (): Promise<void> => void (await theirs.put(cid.toV1(), bytes.slice(), withSignal(signal)))
      await untilAborted(codecs ? codecs.put(cid, store) : store(), signal)
    },
    async delete(cid, options = {}) {
      enter(options)
      if (inlineBytes(cid)) return
      const { signal } = options
      const remove = async (): Promise<void> => theirs.delete(cid.toV1(), withSignal(signal))
      await untilAborted(codecs ? codecs.delete(cid, remove) : remove(), signal)
    },
    async *list(options = {}) {
      enter(options)
      for await (const pair of theirs.getAll(withSignal(options.signal))) {
        enter(options)
        const cid = CID.asCID(pair.cid)
        if (!cid) throw new BackendError(`${name}: list: getAll gave something that is not a CID`, { retryable: false })
        if (inlineBytes(cid)) continue
        const names = codecs ? codecs.cidsOf(cid) : [cid.toV1()]
        // What was deleted since they began to list is no reason to fail.
        if (names.length === 0 && (await ask(cid, options.signal))) {
          throw new UnsupportedError(`${name}: list: ${cid} was not put here, so its codec cannot be told`)
        }
        yield* names
      }
    },
    async close() {
      if (closed) return
      closed = true
      codecs?.clear()
      await close?.()
    },
  })
}

interface CodecMemory {
  put(cid: CID, store: () => Promise<void>): Promise<void>
  delete(cid: CID, remove: () => Promise<void>): Promise<void>
  /** Every CID under which the block with this one's multihash was put; none when it was not put here. */
  cidsOf(cid: CID): CID[]
  clear(): void
}

/** Under which codecs blocks were put, by multihash. */
function createCodecMemory(): CodecMemory {
  const codecs = new Map<string, readonly number[]>()
  // Those of one multihash take turns: else a block could be put under one codec while it is deleted under another.
  const turn = createKeyedLock()

  return {
    put: (cid, store) =>
      turn(multihashKey(cid), async () => {
        // Before it is stored, so that a list finds it; a put that failed may have stored it all the same.
        const known = codecs.get(multihashKey(cid)) ?? []
        if (!known.includes(cid.code)) codecs.set(multihashKey(cid), [...known, cid.code])
        await store()
      }),
    delete: (cid, remove) =>
      turn(multihashKey(cid), async () => {
        const left = (codecs.get(multihashKey(cid)) ?? []).filter((codec) => codec !== cid.code)
        if (left.length > 0) {
          codecs.set(multihashKey(cid), left)
          return
        }
        await remove()
        codecs.delete(multihashKey(cid))
      }),
    cidsOf: (cid) => (codecs.get(multihashKey(cid)) ?? []).map((codec) => CID.createV1(codec, cid.multihash)),
    clear: () => codecs.clear(),
  }
}

/** The block that an identity CID carries. */
const inlineBytes = ({ multihash }: CID): Uint8Array | undefined =>
  multihash.code === IDENTITY ? multihash.digest : undefined

const withSignal = (signal: AbortSignal | undefined): { signal?: AbortSignal } => (signal ? { signal } : {})

/** blockstore-fs makes a `NotFoundError` of any failure, with that as text: `Error: EIO: i/o error, read`. */
function isNotFound(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'NotFoundError') return false
  const systemError = /^(?:\w*Error: )+(E[A-Z0-9]{2,}):/.exec(error.message)?.[1]
  return systemError === undefined || systemError === 'ENOENT'
}
