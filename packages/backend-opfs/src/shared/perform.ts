import type { Block } from '@x/cid'
import type { PutManyOptions } from '@x/storage-core'

import type { OwnAddOptions } from '../add-content.ts'
import type { OpfsStore } from '../opfs-store.ts'
import type { Method } from './methods.ts'
import type { Items } from './reading.ts'
import { takeItems, takeSource, type Taken } from './take-source.ts'

type Call = (...args: never[]) => Promise<unknown> | AsyncIterable<unknown>

/** What a client has sent, as it comes out: the client has the same types, and is the same version of this package. */
export interface Arguments {
  /** All but the options. */
  required: unknown
  options: unknown
  signal: AbortSignal
}

/** Calls a method of the owner's store for a client. */
export function perform(store: OpfsStore, method: Method, { required, options, signal }: Arguments): ReturnType<Call> {
  const args: unknown[] = Array.isArray(required) ? required : []
  const result: ReturnType<Call> = Reflect.apply(callOf(store, method), undefined, [
    ...args,
    withSignal(options, signal),
  ])
  return result
}

const withSignal = (options: unknown, signal: AbortSignal): object => Object.assign({}, options, { signal })

function callOf(store: OpfsStore, method: Method): Call {
  if (method === 'add') return (source: Taken, options: OwnAddOptions) => store.add(takeSource(source), options)
  if (method === 'blocks.putMany') {
    return async (open: () => Promise<Items<Block>>, options: PutManyOptions) =>
      store.blocks.putMany?.(takeItems(open, options), options)
  }
  const [group = '', name] = method.split('.')
  const owner: object = group === 'blocks' ? store.blocks : group === 'names' ? store.names : store
  const found: unknown = Reflect.get(owner, name ?? group)
  if (typeof found !== 'function') throw new TypeError(`a store has no ${method}`)
  return (...args) => Reflect.apply(found, owner, args)
}
