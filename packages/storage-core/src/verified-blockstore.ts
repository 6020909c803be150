import { isStorageError, verify, type Block, type CID } from '@x/cid'

import type { AbortOptions, Blockstore, PutManyOptions, PutOptions } from './blockstore.ts'
import { BackendError } from './errors.ts'
import { stoppable } from './stoppable.ts'

/**
 * A blockstore over one that is not trusted: what it returns is hashed before it is handed on, what is put is hashed
 * before it goes in, and a failure outside the error family becomes a `BackendError`. Closing it closes `inner`.
 */
export function createVerifiedBlockstore(inner: Blockstore): Blockstore {
  const { name } = inner

  async function run<T>(what: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await task()
    } catch (cause) {
      throw toPortError(`${name}: ${what}`, cause, signal)
    }
  }

  const innerPutMany = inner.putMany?.bind(inner)
  const putMany: Blockstore['putMany'] =
    innerPutMany && ((blocks, options) => putChecked(innerPutMany, blocks, options))

  async function putChecked(
    put: NonNullable<Blockstore['putMany']>,
    blocks: AsyncIterable<Block> | Iterable<Block>,
    { onStored, ...options }: PutManyOptions = {},
  ): Promise<number> {
    const { signal, verified } = options
    signal?.throwIfAborted()
    // What the caller's own code throws is handed back as it is.
    let ofCaller: { cause: unknown } | undefined
    async function* checked(): AsyncGenerator<Block> {
      try {
        for await (const block of stoppable(blocks, signal)) {
          if (!verified) await verify(block.cid, block.bytes)
          yield block
        }
      } catch (cause) {
        ofCaller = { cause }
        throw cause
      }
    }
    const stored = async (): Promise<void> => {
      try {
        await onStored?.()
      } catch (cause) {
        ofCaller = { cause }
        throw cause
      }
    }
    try {
      return await put(checked(), { ...options, verified: true, onStored: stored })
    } catch (cause) {
      throw ofCaller?.cause === cause && !signal?.aborted ? cause : toPortError(`${name}: putMany`, cause, signal)
    }
  }

  return {
    name,
    has: (cid: CID, options: AbortOptions = {}) => run(`has ${cid}`, options.signal, () => inner.has(cid, options)),
    get: (cid: CID, options: AbortOptions = {}) =>
      run(`get ${cid}`, options.signal, async () => {
        const bytes = await inner.get(cid, options)
        await verify(cid, bytes)
        return bytes
      }),
    put: (cid: CID, bytes: Uint8Array, options: PutOptions = {}) =>
      run(`put ${cid}`, options.signal, async () => {
        if (!options.verified) await verify(cid, bytes)
        options.signal?.throwIfAborted()
        await inner.put(cid, bytes, { ...options, verified: true })
      }),
    ...(putMany && { putMany }),
    delete: (cid: CID, options: AbortOptions = {}) =>
      run(`delete ${cid}`, options.signal, () => inner.delete(cid, options)),
    async *list(options: AbortOptions = {}) {
      options.signal?.throwIfAborted()
      try {
        for await (const cid of inner.list(options)) {
          yield cid
          options.signal?.throwIfAborted()
        }
      } catch (cause) {
        throw toPortError(`${name}: list`, cause, options.signal)
      }
    },
    close: () => run('close', undefined, () => inner.close()),
  }
}

/** What a port rejects with: the caller's own reason after an abort, an error of the family, or "cannot tell". */
export function toPortError(what: string, cause: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  return isStorageError(cause) ? cause : new BackendError(what, { cause, retryable: false })
}
