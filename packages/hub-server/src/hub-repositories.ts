import type { AbortOptions } from '@x/storage-core'

/** A file of a repository at one commit. */
export interface HubFile {
  /** `/`-separated, below the root of the repository. */
  path: string
  /** Bytes of the file itself, also where git has a pointer. */
  size: number
  /** Kept in LFS: clients name it by its SHA-256, else by its git id. */
  lfs: boolean
  /** Of the file, 32 bytes. Always there when `lfs`; an upstream's listing has it for no other. */
  sha256?: Uint8Array | undefined
  /** What git calls it, 40 hex digits; of an LFS file: its pointer. */
  gitOid: string
}

export interface HubReadOptions extends AbortOptions {
  /** First byte. Default 0. */
  offset?: number | undefined
  /** Most bytes. Default: to the end. */
  length?: number | undefined
}

/** That a revision could not be looked up, and what it pointed to before was taken. */
export interface HubStale {
  /** When it was last looked up. */
  checkedAt: Date
  /** For a log; not sent to clients. */
  reason: unknown
}

/** A repository at one commit. It never changes. */
export interface HubSnapshot {
  /** `org/name`, or `name` alone. */
  readonly repo: string
  /** 40 hex digits. Clients take it for immutable: it changes with any file, and never otherwise. */
  readonly commit: string
  /** When the commit was made. Default: not known, and left out where clients allow it. */
  readonly lastModified?: Date | undefined
  /** As the hub's `pipeline_tag` has it: `feature-extraction`. */
  readonly task?: string | undefined
  /** As the hub's `library_name` has it. */
  readonly library?: string | undefined
  /** Best the same array whenever the commit is opened: it is checked and indexed once. */
  readonly files: readonly HubFile[]
  /**
   * Paths that the commit has and this snapshot has not. They are not listed, and who asks for one is not told that it does not exist;
   * no listing of such a snapshot may be kept by a cache.
   */
  readonly omitted?: readonly string[] | undefined
  readonly stale?: HubStale | undefined
  /**
   * Bytes of a file, checked by whoever reads them.
   *
   * @throws {NotFoundError} It is in the listing, and not here.
   */
  read(path: string, options?: HubReadOptions): AsyncIterable<Uint8Array>
}

export interface HubRef {
  /** As git has it: `refs/heads/main`, `refs/tags/v1`, `refs/pr/1`, `refs/convert/onnx`. */
  name: string
  /** 40 hex digits. */
  commit: string
}

/** Model repositories by name and revision. */
export interface HubRepositories {
  /**
   * @param repo - `org/name`, or `name` alone.
   * @param revision - A branch (`main` where the client named none), a tag, `refs/pr/1`, or 40 hex digits.
   * @returns `undefined`: there is no such repository.
   * @throws {NotFoundError} There is the repository, and no such revision.
   * @throws {BackendError} It cannot be told.
   */
  open(repo: string, revision: string, options: AbortOptions): Promise<HubSnapshot | undefined>
  /** `undefined`: there is no such repository. Default: one branch, `main`. */
  refs?(repo: string, options: AbortOptions): Promise<readonly HubRef[] | undefined>
  /** Names of all, in any order. Default: listing is answered with 404. */
  list?(options: AbortOptions): AsyncIterable<string>
}
