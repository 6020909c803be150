import { InvalidInputError } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import type { DownloadEvent, DownloadProgress } from './events.ts'
import { createHasherAnywhere, type CreateHasher } from './hasher.ts'
import type { LocalPieces } from './local-pieces.ts'

export interface DownloadOptions extends AbortOptions {
  /** Bytes that are on this machine already. Default: none. */
  local?: LocalPieces | undefined
  /** Longest wait for the next bytes of a source. Milliseconds. Default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Of all sources together; more than 0. Default: no limit. */
  maxBytesPerSecond?: number | undefined
  /** Most requests at a time to one source; as many as bring more bytes are made. Default 4. */
  requestsPerSource?: number | undefined
  /** Files that are worked on at a time. Default 4. */
  filesAtOnce?: number | undefined
  /** Failures in a row, without bytes, after which a source is not asked again. Default 8. */
  retries?: number | undefined
  /** The wait after a failure without bytes; it doubles. Milliseconds. Default 250. */
  backoffMs?: number | undefined
  /** The longest; a source that asks for more is not asked again. Milliseconds. Default 60_000. */
  maxWaitMs?: number | undefined
  /** Fewer local bytes than this between bytes that are fetched are fetched too. Default 65_536. */
  leastLocalBytes?: number | undefined
  /** Default: one that runs anywhere, and is slow. In Node: `(name) => createHash(name)`. */
  createHasher?: CreateHasher | undefined
  /** Called now and then, and at the end, so keep it short. */
  onProgress?: ((progress: DownloadProgress) => void) | undefined
  onEvent?: ((event: DownloadEvent) => void) | undefined
}

/** What has a default has a value. */
export type DownloadSettings = DownloadOptions & {
  [
    Name in
      | 'stallTimeoutMs'
      | 'requestsPerSource'
      | 'filesAtOnce'
      | 'retries'
      | 'backoffMs'
      | 'maxWaitMs'
      | 'leastLocalBytes'
      | 'createHasher'
  ]: NonNullable<DownloadOptions[Name]>
}

/** A timer that is to wait for longer does not wait at all. Milliseconds. */
const MOST_TIMER_MS = 2 ** 31 - 1

/** @throws {InvalidInputError} One of them is no number that it can be. */
export function settingsOf(options: DownloadOptions): DownloadSettings {
  const { maxBytesPerSecond, stallTimeoutMs = 30_000 } = options
  if (!(stallTimeoutMs > 0)) {
    throw new InvalidInputError(`stallTimeoutMs is ${stallTimeoutMs}: it has to be more than 0`, {
      input: 'stallTimeoutMs',
    })
  }
  if (maxBytesPerSecond !== undefined && !(maxBytesPerSecond > 0 && Number.isFinite(maxBytesPerSecond))) {
    const message = `maxBytesPerSecond is ${maxBytesPerSecond}: it has to be more than 0, or left out for no limit`
    throw new InvalidInputError(message, { input: 'maxBytesPerSecond' })
  }
  return {
    ...options,
    stallTimeoutMs: Math.min(stallTimeoutMs, MOST_TIMER_MS),
    requestsPerSource: options.requestsPerSource ?? 4,
    filesAtOnce: options.filesAtOnce ?? 4,
    retries: options.retries ?? 8,
    backoffMs: options.backoffMs ?? 250,
    maxWaitMs: options.maxWaitMs ?? 60_000,
    leastLocalBytes: options.leastLocalBytes ?? 64 * 1024,
    createHasher: options.createHasher ?? createHasherAnywhere,
  }
}
