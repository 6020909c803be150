import type { CID, ProfileName } from '@x/cid'

import type { BlockSource } from './block-source.ts'
import type { AbortOptions, Blockstore } from './blockstore.ts'
import type { Names } from './names.ts'
import type { Receipt } from './receipt.ts'
import type { AddSource } from './source.ts'

/** Plain JSON that a user keeps with a root or name. */
export type Metadata = Readonly<Record<string, JsonValue>>
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

export type AddProgress =
  | { type: 'file-started'; path: string; size: number | undefined }
  /** `loaded`: bytes of all files together; `path`: the file they were in, empty for a bare file. */
  | { type: 'bytes-added'; path: string; loaded: number }
  | { type: 'file-added'; path: string; cid: CID; size: number }

export interface AddOptions extends AbortOptions {
  /** A mutable name that shall point to the root afterwards, whatever it pointed to before. */
  name?: string | undefined
  /** Kept with the root, and with the name if there is one. Default `{}`. */
  metadata?: Metadata | undefined
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
  /** Keep the root from `gc`. Default true. */
  pin?: boolean | undefined
  /** Store nothing unless this is the root. Default: whatever it is. */
  expected?: CID | undefined
  /** Called synchronously between two steps of work, so keep it short. */
  onProgress?: ((event: AddProgress) => void) | undefined
  onReceipt?: ((receipt: Receipt) => void) | undefined
}

export type ContentType = 'file' | 'directory' | 'symlink'

export interface AddResult {
  cid: CID
  type: ContentType
  /** Bytes of all files below the root. */
  size: number
}

export interface PathOptions extends AbortOptions {
  /** A path below the root, `/`-separated. Default: the root itself. */
  path?: string | undefined
}

export interface CatOptions extends PathOptions {
  /** First byte. Default 0; past the end yields nothing. */
  offset?: number | undefined
  /** Most bytes. Default: to the end. */
  length?: number | undefined
  /**
   * `each-leaf` re-hashes what is read. `stored` lets a backend trust what it verified when it stored it; its README says
   * what that rests on. Default `each-leaf`.
   */
  verify?: 'each-leaf' | 'stored' | undefined
  /**
   * A piece is not needed any more when the next one is asked for; a backend may then empty it and use its memory again,
   * which is faster and takes less of it. Default false.
   */
  reuse?: boolean | undefined
  onReceipt?: ((receipt: Receipt) => void) | undefined
}

export interface GetPathOptions extends PathOptions {
  /** As in `CatOptions`: `stored` may leave out what was verified when it was stored. Default `each-leaf`. */
  verify?: CatOptions['verify']
}

export interface ContentStat {
  cid: CID
  type: ContentType
  /** Bytes of a file, of all files below a directory, of a symlink's target. */
  size: number
  /** Of a symlink. */
  target?: string | undefined
}

export interface DirectoryEntry extends ContentStat {
  name: string
}

/** A root that was added, pinned or named. */
export interface RootRecord {
  cid: CID
  type: ContentType
  size: number
  pinned: boolean
  /** ISO 8601, UTC; of the first add that is still recorded. */
  addedAt: string
  /** Names that point to it, sorted. */
  names: readonly string[]
  metadata: Metadata
}

export interface PinRecord {
  cid: CID
  /** ISO 8601, UTC. `undefined` where the store keeps no time, as of a pin that another program made in a daemon. */
  pinnedAt?: string | undefined
}

export interface GcOptions extends AbortOptions {
  /** Report what would go, and keep it; with `withoutNames`, what would go once these names are gone too. Default false. */
  dryRun?: boolean | { withoutNames: ReadonlySet<string> } | undefined
}

export interface GcResult {
  /** Roots that went: neither pinned nor named. */
  roots: CID[]
  /** Blocks and files that went. */
  blocks: number
  freedBytes: number
}

export interface VerifyOptions extends PathOptions {
  /** Bytes checked so far. */
  onProgress?: ((checked: number) => void) | undefined
}

/** What a probe found, just now. */
export interface StoreStatus {
  name: string
  available: boolean
  /** Why it is not available. */
  reason?: string | undefined
  /** ISO 8601, UTC. */
  probedAt: string
  /** How long the probe took. */
  probeMs: number
  details: Readonly<Record<string, string | number | boolean>>
}

/**
 * Where files and directories can be read by root CID: every store, and those that cannot be written, such as a gateway.
 *
 * Every method that names a root rejects with `NotFoundError` when it is known to be absent, with `IntegrityError` (which
 * names the file inside the DAG and the offset) when what is there does not match, with `BackendError` when that cannot be
 * told, and with `signal.reason` when it was stopped.
 */
export interface ContentSource {
  /** Short and stable, for errors, receipts and logs. */
  readonly name: string
  readonly blocks: BlockSource
  /** The bytes of a file, in order, each leaf checked before its bytes are yielded. */
  cat(root: CID, options?: CatOptions): AsyncIterable<Uint8Array>
  stat(root: CID, options?: PathOptions): Promise<ContentStat>
  /** The entries of a directory. */
  ls(root: CID, options?: PathOptions): AsyncIterable<DirectoryEntry>
  /** Re-hashes everything below the root, what is there twice once. Resolves to the bytes checked. */
  verify(root: CID, options?: VerifyOptions): Promise<number>
  /** Probes the medium. Does not reject for an unavailable one: it says so. */
  status(options?: AbortOptions): Promise<StoreStatus>
  /** Any later call rejects with a `BackendError`, but for another `close`. */
  close(): Promise<void>
}

/** Files and directories by root CID. */
export interface ContentStore extends ContentSource {
  /** The blocks of everything held, and loose blocks. */
  readonly blocks: Blockstore
  readonly names: Names
  /**
   * All or nothing: a failed or stopped add leaves nothing visible.
   *
   * @throws {IntegrityError} The root is not the expected one.
   */
  add(source: AddSource, options?: AddOptions): Promise<AddResult>
  /** Whether the whole DAG is held. `false` is known; bytes are not re-hashed. */
  has(root: CID, options?: AbortOptions): Promise<boolean>
  /** Forgets the root, its pin and its names, and frees what no other root needs. Resolves when it was not there. */
  remove(root: CID, options?: AbortOptions): Promise<void>
  roots(options?: AbortOptions): AsyncIterable<RootRecord>
  /** @throws {NotFoundError} Part of the DAG is not held; it names the block. */
  pin(root: CID, options?: AbortOptions): Promise<void>
  /** Resolves whether or not there was a pin. */
  unpin(root: CID, options?: AbortOptions): Promise<void>
  pins(options?: AbortOptions): AsyncIterable<PinRecord>
  gc(options?: GcOptions): Promise<GcResult>
  /**
   * Where there is a disk: a read-only path to the verified file or directory. Valid until the root is removed or
   * collected. Nothing may be written there.
   */
  getPath?(root: CID, options?: GetPathOptions): Promise<string>
  /**
   * Where what is damaged is put away: a block of it that is still sound, checked now. `undefined` where there is none. So
   * that one bad leaf of a large file does not mean to fetch all of it.
   */
  salvage?(cid: CID, options?: AbortOptions): Promise<Uint8Array | undefined>
  /** Where files are held whole in a browser: the verified file, without a copy of its bytes. */
  getFile?(root: CID, options?: GetPathOptions): Promise<File>
}
