import { InvalidInputError, pathSegments, type CID } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { Metadata } from './content-store.ts'

export interface NameRecord {
  name: string
  cid: CID
  metadata: Metadata
  /** ISO 8601, UTC. */
  updatedAt: string
}

export interface SetNameOptions extends AbortOptions {
  /** Fail unless the name points there now; `null`: unless it is free. Default: whatever it points to. */
  expected?: CID | null | undefined
  /** Replaces what was kept with the name. Default `{}`. */
  metadata?: Metadata | undefined
}

/** Mutable names for roots. A named root is kept from `gc` as a pinned one is. */
export interface Names {
  /** `undefined` when the name is known to be free. */
  get(name: string, options?: AbortOptions): Promise<NameRecord | undefined>
  /** @throws {ConflictError} It did not point to `expected`. */
  set(name: string, cid: CID, options?: SetNameOptions): Promise<NameRecord>
  /**
   * Frees the name. Resolves when it was free already and nothing was expected.
   *
   * @throws {ConflictError} It did not point to `expected`.
   */
  delete(name: string, options?: AbortOptions & { expected?: CID | undefined }): Promise<void>
  /** Sorted by name. */
  list(options?: AbortOptions & { prefix?: string | undefined }): AsyncIterable<NameRecord>
}

/** The longest name, in UTF-8 bytes. */
const MAX_NAME_BYTES = 255

/**
 * Checks a name: `/`-separated segments such as `org/model` or `datasets/2026/train`.
 *
 * @throws {InvalidInputError} Empty, over 255 bytes, a segment that is empty, `.` or `..`, a control character, or
 *   something that reads as a URL.
 */
export function assertName(name: string): void {
  const refuse = (why: string, cause?: unknown): never => {
    throw new InvalidInputError(`name ${JSON.stringify(name)}: ${why}`, { input: name, cause })
  }
  if (name === '') refuse('it is empty')
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) refuse(`it is over ${MAX_NAME_BYTES} bytes long`)
  if (/\p{Cc}/u.test(name)) refuse('it has a control character')
  if (/^[a-z][a-z0-9+.-]*:/i.test(name)) refuse('it reads as a URL')
  if (segmentsOf(name).join('/') !== name) refuse('it has an empty segment')

  function segmentsOf(text: string): string[] {
    try {
      return pathSegments(text)
    } catch (cause) {
      return refuse(cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
}
