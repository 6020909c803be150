import {
  buildOutboard,
  createOutboard,
  IntegrityError,
  PROFILES,
  RAW,
  readOutboard,
  type Outboard,
  type ProfileName,
} from '@x/cid'
import { isStorageError, NotFoundError, type PartialFile } from '@x/storage-core'
import { startStallTimer, untilAborted } from '@x/storage-core/backend'

import { balanced } from './leaf-plan.ts'
import type { SourceState } from './source-state.ts'
import { singleLeafOutboard, type WantedFile } from './wanted-file.ts'

export interface FindOutboardOptions {
  signal: AbortSignal
  stallTimeoutMs: number
  /** It gave one that is not that of the root. */
  onLiar: (state: SourceState, error: IntegrityError) => void
  onFailure: (state: SourceState, error: unknown) => void
}

/** From whoever gives a right one first. `undefined`: nobody has it, or no root is known. */
export async function findOutboard(
  file: WantedFile,
  states: readonly SourceState[],
  { signal, stallTimeoutMs, onLiar, onFailure }: FindOutboardOptions,
): Promise<Outboard | undefined> {
  const single = await singleLeafOutboard(file)
  if (single) return single
  const { root, size } = file
  if (!root || root.code === RAW) return undefined
  const asked = new AbortController()
  const stop = (): void => asked.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const none = (): never => {
    throw new NotFoundError(root.toString(), { cid: root })
  }
  const ask = async (state: SourceState): Promise<Outboard> => {
    const asking = async (onPart: () => void): Promise<Uint8Array | undefined> =>
      state.source.outboard?.(file, { signal: asked.signal, onPart })
    const bytes = await untilStalled(asking, asked.signal, stallTimeoutMs).catch((error: unknown) => {
      signal.throwIfAborted()
      if (!asked.signal.aborted) onFailure(state, error)
      return none()
    })
    if (!bytes) return none()
    try {
      return await balanced(await readOutboard(root, bytes, { fileBytes: size }))
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error
      onLiar(state, error)
      return none()
    }
  }
  const able = states.filter((state) => !state.out && state.source.outboard !== undefined)
  try {
    return await Promise.any(able.map(ask))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AggregateError && error.errors.every(isStorageError)) return undefined
    throw error
  } finally {
    asked.abort(new Error('it is not needed any more'))
    signal.removeEventListener('abort', stop)
  }
}

/** Rejects when nothing came for so long. */
async function untilStalled<T>(
  work: (onPart: () => void) => Promise<T>,
  signal: AbortSignal,
  stallTimeoutMs: number,
): Promise<T> {
  const stalled = Promise.withResolvers<never>()
  const stall = (): void => stalled.reject(new Error(`nothing of an outboard for ${stallTimeoutMs} ms`))
  let isOver = false
  let stopTimer = startStallTimer(stallTimeoutMs, stall)
  const onPart = (): void => {
    stopTimer()
    if (!isOver) stopTimer = startStallTimer(stallTimeoutMs, stall)
  }
  // It may fail after nobody waits for it any more.
  const done = work(onPart)
  done.catch(() => undefined)
  try {
    return await untilAborted(Promise.race([done, stalled.promise]), signal)
  } finally {
    isOver = true
    stopTimer()
  }
}

/**
 * The outboard of a file that is whole and that none was known of: under the profile that gives its root, or under the
 * default one where no root is known. `undefined`: no profile gives that root.
 *
 * @param digests - Of its leaves under the default profile, end to end.
 */
export async function outboardOfWhole(
  { root, size }: WantedFile,
  { partial, digests, signal }: { partial: PartialFile; digests: Uint8Array; signal: AbortSignal },
): Promise<Outboard | undefined> {
  const keyed = await createOutboard('unixfs-v1-2025', size, digests)
  // Not the root of a DAG, but the digest of all bytes.
  if (root?.code === RAW && keyed.leafCount > 1) return keyed
  const isRight = (outboard: Outboard): boolean => outboard.root.toV1().equals(root?.toV1() ?? outboard.root.toV1())
  if (isRight(keyed)) return keyed
  const others: ProfileName[] = ['kubo-v1', 'unixfs-v0-2015']
  for (const profile of others) {
    const { outboard } = await buildOutboard(pieces(partial, size), { profile, signal })
    if (isRight(outboard)) return outboard
  }
  return undefined
}

async function* pieces(partial: PartialFile, size: number): AsyncGenerator<Uint8Array> {
  const step = PROFILES['unixfs-v1-2025'].chunkBytes
  for (let offset = 0; offset < size; offset += step) yield partial.read(offset, Math.min(step, size - offset))
}
