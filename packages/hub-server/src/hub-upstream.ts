import type { AbortOptions } from '@x/storage-core'

import type { HubFile, HubReadOptions, HubRef } from './hub-repositories.ts'

/** The files of a repository at one commit, and what else is known of it. */
export interface HubListing {
  files: readonly HubFile[]
  lastModified?: Date | undefined
  task?: string | undefined
  library?: string | undefined
}

/**
 * A hub that is asked for what is not held. Bytes and listings are checked before they are believed. `resolve`, `list` and `refs` do not wait
 * for ever: they have a stall timeout of their own.
 */
export interface HubUpstream {
  /** Short and stable, for logs. */
  readonly name: string
  /**
   * The commit that a revision points to now.
   *
   * @returns `undefined`: there is no such repository.
   * @throws {NotFoundError} There is the repository, and no such revision.
   * @throws {BackendError} It cannot be told.
   */
  resolve(repo: string, revision: string, options: AbortOptions): Promise<string | undefined>
  /** What a commit has; `undefined` and errors as in `resolve`. */
  list(repo: string, commit: string, options: AbortOptions): Promise<HubListing | undefined>
  /**
   * Bytes of a file as they arrive.
   *
   * @throws {BackendError} It broke off; when `retryable`, the rest is asked for again.
   */
  read(repo: string, commit: string, path: string, options: HubReadOptions): AsyncIterable<Uint8Array>
  /** `undefined`: there is no such repository. Default: one branch, `main`. */
  refs?(repo: string, options: AbortOptions): Promise<readonly HubRef[] | undefined>
}

/** What a revision pointed to when it was looked up last. */
export interface KnownRevision {
  commit: string
  checkedAt: Date
}

/** A file that was verified and is held. */
export interface KeptFile {
  /** Bytes, checked again or known to be what was verified. */
  read(options: HubReadOptions): AsyncIterable<Uint8Array>
}

/** Where one file of a commit comes from. */
export interface FileOrigin {
  repo: string
  commit: string
  /** Bytes that nobody has checked. */
  read(options: HubReadOptions): AsyncIterable<Uint8Array>
}

/** Where a pull-through keeps what it fetched. */
export interface HubKeep {
  /** `undefined`: it was never looked up, or what was kept of it is lost. */
  revision(repo: string, revision: string, options: AbortOptions): Promise<KnownRevision | undefined>
  setRevision(repo: string, revision: string, known: KnownRevision, options: AbortOptions): Promise<void>
  /** `undefined`: not kept, or lost. */
  listing(repo: string, commit: string, options: AbortOptions): Promise<HubListing | undefined>
  setListing(repo: string, commit: string, listing: HubListing, options: AbortOptions): Promise<void>
  /** `undefined`: not kept. */
  open(file: HubFile, options: AbortOptions): Promise<KeptFile | undefined>
  /**
   * Fetches, verifies, keeps and pins one file: all of it or nothing.
   *
   * @throws {IntegrityError} The bytes are not those of the listing.
   */
  add(file: HubFile, origin: FileOrigin, options: AbortOptions): Promise<KeptFile>
  /** Names of repositories that something is kept of, in any order. */
  list?(options: AbortOptions): AsyncIterable<string>
}
