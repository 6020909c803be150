import type { CID } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import type { KuboPin, ListPinsOptions, PinOptions } from './pins.ts'

export interface RepoStat {
  /** Bytes on disk, about. */
  repoBytes: number
  /** What the daemon shall take at most, by its own settings. Bytes. */
  maxBytes: number
  blocks: number
}

export interface CopyToMfsOptions extends AbortOptions {
  /** Take the place of what is there. Default false: refuse. */
  replace?: boolean | undefined
}

export interface PublishOptions extends AbortOptions {
  /** The name of one of the daemon's keys. Default `self`, the daemon's own. */
  key?: string | undefined
  /** How long the record is valid, in seconds. Default: the daemon's, two days. */
  lifetimeSeconds?: number | undefined
}

export interface KuboKey {
  /** As the daemon's owner calls it. */
  name: string
  /** As in `/ipns/<id>`. */
  id: string
}

/**
 * A content store in a Kubo daemon, and what that can besides. Where nothing else is said, a daemon that fails, or cannot
 * be reached, is a `BackendError`.
 */
export interface KuboStore extends ContentStore {
  /** Of the daemon when the store was opened. */
  readonly version: string
  /** The daemon's pins, whoever made them, with their names. */
  daemonPins(options?: ListPinsOptions): AsyncIterable<KuboPin>
  /**
   * Pins with a name, or a block alone. A pin that is there is replaced.
   *
   * @throws {NotFoundError} Part of it is not held.
   */
  pinAs(root: CID, options?: PinOptions): Promise<void>
  repoStat(options?: AbortOptions): Promise<RepoStat>
  /**
   * Shows a file or directory in the daemon's mutable file system, where people see it in its WebUI. Nothing is copied, and
   * the directories above are made. What is there keeps the content from collection, as a pin does.
   *
   * @throws {ConflictError} There is something, and it is not to be replaced.
   * @throws {NotFoundError} Part of it is not held.
   */
  copyToMfs(root: CID, path: string, options?: CopyToMfsOptions): Promise<void>
  /**
   * What is there in the daemon's mutable file system, where `copyToMfs` would put something. `undefined`: nothing.
   *
   * @throws {InvalidInputError} A path that `copyToMfs` refuses.
   */
  mfsStat(path: string, options?: AbortOptions): Promise<CID | undefined>
  /**
   * Points an IPNS name at a root. A daemon without peers keeps the record for itself, and publishes it later.
   *
   * @returns The name, as in `/ipns/<name>`.
   */
  publish(root: CID, options?: PublishOptions): Promise<string>
  /**
   * Where an IPNS name points, or a domain with a DNSLink. Signatures are checked by the daemon.
   *
   * @param name - With or without `/ipns/`.
   * @throws {NotFoundError} The daemon has found no record.
   */
  resolve(name: string, options?: AbortOptions): Promise<{ cid: CID; path: string }>
  keys(options?: AbortOptions): AsyncIterable<KuboKey>
  /** @throws {ConflictError} There is a key of that name. */
  generateKey(name: string, options?: AbortOptions): Promise<KuboKey>
  /**
   * Announces a root, now, to whom the daemon announces to.
   *
   * @throws {BackendError} It has no peers, or does not announce anything.
   * @throws {NotFoundError} It does not hold the root.
   */
  provide(root: CID, options?: AbortOptions): Promise<void>
}
