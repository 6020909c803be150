import type { AbortOptions } from '@x/storage-core'

import type { WantedFile } from './wanted-file.ts'

/** A part of a file. Bytes. */
export interface ByteRange {
  offset: number
  length: number
}

export interface ReadOptions extends AbortOptions {
  /**
   * Bytes came that were not asked for, as those before a range from a server that knows none. They count for the limit; a
   * piece, if need be an empty one, gives the time to wait for that.
   */
  onSkipped?: ((bytes: number) => void) | undefined
}

export interface OutboardOptions extends AbortOptions {
  /** A part of it came: who waits goes on waiting. */
  onPart?: (() => void) | undefined
}

/**
 * Where bytes of files can be read. It is not trusted: what it gives is checked, and one that lies is not asked again.
 *
 * A `BackendError` that is `retryable` is tried again; when it or its cause has a number `retryAfterMs`, not before that.
 * Any other error of the family means that this source does not give this file.
 */
export interface ByteSource {
  /** For receipts and progress, one of each: `hub`, `kubo`, `gateway:host`. */
  readonly name: string
  /**
   * Bytes of a file from `offset`, `length` of them, as they arrive.
   *
   * @throws {NotFoundError} It is known not to have the file.
   */
  read(file: WantedFile, range: ByteRange, options: ReadOptions): AsyncIterable<Uint8Array>
  /**
   * The outboard of a file whose root is known, as `encodeOutboard` writes it; it is checked against the root. Left out by a
   * source that has no blocks. `undefined`: it has none of this file.
   */
  outboard?(file: WantedFile, options: OutboardOptions): Promise<Uint8Array | undefined>
  /**
   * `false`: a range costs it as much as all bytes before it, so it is asked where no other source can be, and for as much
   * as possible at once. Default true.
   */
  hasRanges?(file: WantedFile): boolean
}
