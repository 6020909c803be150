import { verify, type CID } from '@x/cid'

import type { BlockSource, SessionOptions } from '../block-source.ts'
import { isPromisedChecked, promiseChecked } from '../checked-blocks.ts'
import { codeOf } from '../error-code.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import type { Latency } from './latency.ts'

/**
 * Blocks of a backend that are asked for through its circuit breaker, and timed; those of one that does not promise to check
 * them are hashed here. Closing it closes them.
 */
export function guardBlocks(
  blocks: BlockSource,
  { breaker, latency }: { breaker: CircuitBreaker; latency: Latency },
): BlockSource {
  /** @param isAnswer - Whether what came is from the backend: of a session's own blocks it is not, and says nothing of it. */
  async function ask<T>(
    task: () => Promise<T>,
    isStopped: () => boolean,
    isAnswer?: (given: T) => boolean,
  ): Promise<T> {
    const refusal = breaker.refusal()
    if (refusal) throw refusal
    const started = performance.now()
    try {
      const answer = await task()
      if (isAnswer?.(answer) === false) {
        breaker.stopped()
        return answer
      }
      latency.record(performance.now() - started)
      breaker.succeeded()
      return answer
    } catch (error) {
      if (isStopped()) breaker.stopped()
      else if (codeOf(error) === 'NOT_FOUND') breaker.succeeded()
      else breaker.failed(error)
      throw error
    }
  }

  const isChecked = isPromisedChecked(blocks)
  async function sound(cid: CID, coming: Promise<Uint8Array>): Promise<Uint8Array> {
    const bytes = await coming
    if (!isChecked) await verify(cid, bytes)
    return bytes
  }

  const openOwn = blocks.openSession?.bind(blocks)
  const guarded: BlockSource = {
    name: blocks.name,
    has: (cid, options = {}) =>
      ask(
        () => blocks.has(cid, options),
        () => options.signal?.aborted === true,
      ),
    get: (cid, options = {}) =>
      ask(
        () => sound(cid, blocks.get(cid, options)),
        () => options.signal?.aborted === true,
      ),
    ...(openOwn && {
      openSession: (root, options = {}) => {
        const ours = new WeakSet<Uint8Array>()
        const held: SessionOptions['held'] = async (cid, given) => {
          const bytes = await options.held?.(cid, given)
          if (bytes) ours.add(bytes)
          return bytes
        }
        const session = openOwn(root, { ...options, held })
        let isClosed = false
        return {
          get: (cid, given) =>
            ask(
              () => sound(cid, session.get(cid, given)),
              () => isClosed || given.signal?.aborted === true || options.signal?.aborted === true,
              (bytes) => !ours.has(bytes),
            ),
          close() {
            isClosed = true
            return session.close()
          },
        }
      },
    }),
    close: () => blocks.close(),
  }
  return promiseChecked(guarded)
}
