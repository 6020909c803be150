import type { AbortOptions } from '@x/storage-core'

import type { HubClient } from './hub-client.ts'
import type { WantedHubFile } from './read-file.ts'

/** Unchecked bytes of the files of one repository at one commit, for a download that checks them. */
export interface HubFileSource {
  /** For receipts. */
  readonly name: string
  /**
   * Bytes from `offset`, `length` of them, as they arrive. What fails is not asked for again here: a download does that, and knows what
   * else there is. The cause of a `BackendError` has `retryAfterMs`, where the hub said it.
   *
   * @throws {NotFoundError} The hub says that it has no such file.
   * @throws {BackendError} As `read` of the client.
   */
  read(
    file: WantedHubFile & { size: number },
    range: { offset: number; length: number },
    options: AbortOptions,
  ): AsyncIterable<Uint8Array>
}

/** @param options.name - Default `hub`. */
export function createHubFileSource(
  client: HubClient,
  { repo, commit, name = 'hub' }: { repo: string; commit: string; name?: string | undefined },
): HubFileSource {
  return {
    name,
    read: (file, { offset, length }, { signal }) =>
      client.read(repo, commit, file, { offset, length, attempts: 1, signal }),
  }
}
