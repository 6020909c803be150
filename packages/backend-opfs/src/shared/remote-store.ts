import { type CID } from '@x/cid'
import { copyMetadata, type AbortOptions, type AddOptions, type CatOptions, type Receipt } from '@x/storage-core'
import { promiseChecked } from '@x/storage-core/backend'

import type { OpfsStore } from '../opfs-store.ts'
import type { Caller, Request } from './caller.ts'
import { iterate } from './iterate.ts'
import type { Method } from './methods.ts'
import { offerBlocks, offerSource, type Offered } from './offer-source.ts'
import { renamed, resumeCat } from './resumed-cat.ts'
import { oneWay } from './wire.ts'

// Pieces of 1 MiB, as a rule.
const PIECES_AHEAD = 4
const ENTRIES_AHEAD = 128

/** A store that is somewhere else: every method goes to its owner, whoever that is at the moment. */
export function createRemoteStore(name: string, caller: Caller, close: () => Promise<void>): OpfsStore {
  /** A call without a source. */
  async function call<T>(method: Method, required: unknown[], { signal, ...options }: AbortOptions = {}): Promise<T> {
    const request = { method, signal, required: () => required, options: () => options, given: options }
    return received(await caller.call({ ...request, canReadSource: () => true, ...ONE_ANSWER }))
  }

  async function callWithSource<T>(
    method: Method,
    { offer, canReadAgain, end }: Offered,
    { signal, ...options }: AbortOptions,
  ): Promise<T> {
    const request = { method, signal, required: () => [offer()], options: () => options, given: options }
    return received(await caller.call({ ...request, ...ONE_ANSWER, canReadSource: canReadAgain, onEnd: end }))
  }

  /** An iteration that is made again leaves out what it has given, known by its key. */
  function list<T>(
    method: Method,
    required: unknown[],
    { signal, ...options }: AbortOptions,
    keyOf: (item: T) => string,
  ): AsyncGenerator<T> {
    const given = new Set<string>()
    const take = (sent: unknown): T | undefined => {
      const item: T = received(sent)
      const key = keyOf(item)
      if (given.has(key)) return undefined
      given.add(key)
      return item
    }
    return iterate(caller, {
      method,
      required: () => required,
      options: () => options,
      signal,
      ahead: ENTRIES_AHEAD,
      take,
    })
  }

  async function add(source: Parameters<OpfsStore['add']>[0], options: AddOptions = {}) {
    const { onProgress, onReceipt, metadata: given, signal } = options
    const metadata = given === undefined ? undefined : copyMetadata(given)
    return callWithSource<Awaited<ReturnType<OpfsStore['add']>>>('add', offerSource(source), {
      ...options,
      ...(given !== undefined && { metadata }),
      ...(onProgress && { onProgress: oneWay(onProgress) }),
      ...(onReceipt && { onReceipt: oneWay((receipt: Receipt) => onReceipt(renamed(receipt, name))) }),
      // Else what was stopped could be done before that is heard of.
      ...((onProgress || signal) && { beforeCommit: () => signal?.throwIfAborted() }),
    })
  }

  function cat(root: CID, options: CatOptions = {}): AsyncGenerator<Uint8Array> {
    const position = resumeCat(name, options)
    return iterate(caller, {
      method: 'cat',
      required: () => [root],
      options: position.options,
      signal: options.signal,
      ahead: PIECES_AHEAD,
      take: position.take,
    })
  }

  /** What is only read and was stopped was stopped, though it had ended before the owner heard of it. */
  async function verify(
    method: 'verify' | 'verifyStored',
    root: CID,
    options: Parameters<OpfsStore['verify']>[1] = {},
  ) {
    const { onProgress, signal } = options
    const checked: number = await call(method, [root], {
      ...options,
      ...(onProgress && { onProgress: oneWay(onProgress) }),
    })
    signal?.throwIfAborted()
    return checked
  }

  return {
    name,
    add,
    cat,
    stat: (root, options) => call('stat', [root], options),
    ls: (root, options = {}) => list('ls', [root], options, (entry) => entry.name),
    has: (root, options) => call('has', [root], options),
    verify: (root, options) => verify('verify', root, options),
    verifyStored: (root, options) => verify('verifyStored', root, options),
    getFile: (root, options) => call('getFile', [root], options),
    isCurrent: (options) => call('isCurrent', [], options),
    catchUp: (options) => call('catchUp', [], options),
    roots: (options = {}) => list('roots', [], options, ({ cid }) => cid.toString()),
    pin: (root, options) => call('pin', [root], options),
    unpin: (root, options) => call('unpin', [root], options),
    pins: (options = {}) => list('pins', [], options, ({ cid }) => cid.toString()),
    remove: (root, options) => call('remove', [root], options),
    gc: (options) => call('gc', [], options),
    async status(options) {
      return { ...(await call<Awaited<ReturnType<OpfsStore['status']>>>('status', [], options)), name }
    },
    close,
    names: {
      get: (of, options) => call('names.get', [of], options),
      async set(of, cid, options = {}) {
        const withMetadata = { ...options, metadata: copyMetadata(options.metadata) }
        return call('names.set', [of, cid], withMetadata)
      },
      delete: (of, options) => call('names.delete', [of], options),
      list: (options = {}) => list('names.list', [], options, (record) => record.name),
    },
    blocks: promiseChecked<OpfsStore['blocks']>({
      name,
      has: (cid, options) => call('blocks.has', [cid], options),
      get: (cid, options) => call('blocks.get', [cid], options),
      put: (cid, bytes, options) => call('blocks.put', [cid, bytes], options),
      putMany: (blocks, options = {}) => callWithSource('blocks.putMany', offerBlocks(blocks), options),
      delete: (cid, options) => call('blocks.delete', [cid], options),
      list: (options = {}) => list('blocks.list', [], options, (cid) => cid.toString()),
      close,
    }),
  }
}

const ONE_ANSWER: Pick<Request, 'credit' | 'onItem' | 'onEnd'> = {
  credit: 0,
  onItem: () => undefined,
  onEnd: () => undefined,
}

/** The owner has the same types, and is the same version of this package. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
function received<T>(value: unknown): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return value as T
}
