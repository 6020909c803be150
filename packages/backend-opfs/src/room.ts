import { InvalidInputError } from '@x/cid'
import { NoSpaceError } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'

import type { StorePolicy } from './store-policy.ts'
import type { Vault } from './vault.ts'

/** The room for what is written. */
export interface Room {
  /**
   * Runs what takes room; once more each time that room was made for it.
   *
   * @param more - Bytes that it adds to data files. 0: it needs some for the index alone.
   * @param written - Bytes of data files that its caller has written for the same purpose.
   * @throws {NoSpaceError} There is none, and none can be made: it names what is needed and what there is.
   */
  find<T>(more: number, written: number, work: () => Promise<T>): Promise<T>
}

export interface RoomParts extends Omit<StorePolicy, 'medium'> {
  vault: Vault
  /** Evicts until it is told that it is enough. `false`: there was nothing to evict. Rejects with an `IntegrityError` as `gc`. */
  makeRoom: (isEnough: (freed: number) => boolean) => Promise<boolean>
}

/** Bytes of data files, ended or not. */
export function usedBytes({ catalogue, staged }: Vault): number {
  let bytes = 0
  for (const { entry } of catalogue.containers.values()) bytes += entry.size
  for (const [id, written] of staged) if (!catalogue.containers.has(id)) bytes += written
  return bytes
}

/** @throws {InvalidInputError} A policy that means nothing. */
export function assertPolicy({ evict = 'none', maxBytes = 0, medium = 'auto' }: StorePolicy): void {
  if (!['auto', 'opfs', 'indexeddb'].includes(medium)) {
    throw new InvalidInputError(`medium is ${JSON.stringify(medium)}, not auto, opfs or indexeddb`, { input: medium })
  }
  if (evict !== 'none' && evict !== 'unpinned') {
    throw new InvalidInputError(`evict is ${JSON.stringify(evict)}, neither unpinned nor none`, { input: evict })
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    throw new InvalidInputError(`maxBytes is ${maxBytes}, no number of bytes`, { input: String(maxBytes) })
  }
}

export function createRoom({ vault, evict = 'none', maxBytes, makeRoom }: RoomParts): Room {
  const { name } = vault

  /** What is not there, and how much is. `cause` is the browser's; without one, it is over `maxBytes`. */
  async function describe(more: number, written: number, cause: unknown): Promise<string> {
    const needed = written + more
    const needs = needed > 0 ? `at least ${needed} bytes are needed` : 'some bytes of the index are needed'
    if (cause === undefined) {
      const left = Math.max(0, (maxBytes ?? 0) - usedBytes(vault) + written)
      return `${name}: ${needs}, and ${left} of maxBytes ${maxBytes} are available`
    }
    const { usage = 0, quota = 0 } = await navigator.storage.estimate()
    const left = Math.max(0, quota - usage + written)
    return `${name}: ${needs}, and ${left} of the origin's quota of ${quota} are available`
  }

  /** Why there is no more room; `undefined` when there is some now. */
  async function whyNot(
    isEnough: (freed: number) => boolean,
  ): Promise<{ reason: string; cause?: unknown } | undefined> {
    if (evict === 'none') return { reason: 'nothing is evicted' }
    try {
      return (await makeRoom(isEnough)) ? undefined : { reason: 'there is no root that may be evicted' }
    } catch (error) {
      if (codeOf(error) !== 'INTEGRITY') throw error
      return { reason: 'nothing can be evicted while what others need cannot be told', cause: error }
    }
  }

  return {
    async find(more, written, work) {
      for (;;) {
        const fits = (): boolean => more === 0 || maxBytes === undefined || usedBytes(vault) + more <= maxBytes
        let full: unknown
        if (fits()) {
          try {
            return await work()
          } catch (error) {
            if (codeOf(error) !== 'NO_SPACE') throw error
            full = error
          }
        }
        const why = await whyNot(full === undefined ? fits : (freed) => freed >= Math.max(1, more))
        if (!why) continue
        const { reason, cause = full } = why
        throw new NoSpaceError(`${await describe(more, written, full)}; ${reason}`, { cause })
      }
    },
  }
}
