import { InvalidInputError, RAW, SHA2_256, type CID, type Outboard } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'

/** Which file is being downloaded: by this it is found again, in another process and after a reboot. */
export interface PartialKey {
  /** `sha256-<64 hex>`, `root-<CIDv1 in base32>`, `git-<40 hex>` or `version-<64 hex>`: also part of a file name. */
  id: string
  /** Of the whole file. Bytes. */
  size: number
  /** Where it is known too: what a store holds counts as the file where both are known to be right. */
  root?: CID | undefined
}

/** Bytes that are there, and their SHA-256. */
export interface PartialSpan {
  offset: number
  length: number
  /** 32 bytes. */
  sha256: Uint8Array
}

export interface PartialInfo {
  id: string
  size: number
  /** Bytes that were recorded, as far as that is known without hashing them. */
  recordedBytes: number
  /** Milliseconds since something was recorded. */
  idleMs: number
  /** A process works on it. */
  isInUse: boolean
}

export interface OpenPartialOptions extends AbortOptions {
  /** Another process works on it: called at once, and then whenever it has recorded more. Bytes. */
  onWaiting?: ((recordedBytes: number) => void) | undefined
}

/** It is held whole by now, and nothing is left to do. */
export interface HeldPartial {
  held: CID
}

/** A file of which some bytes are there. Nobody else works on it until it is closed, committed or discarded. */
export interface PartialFile {
  readonly key: PartialKey
  /**
   * What an earlier run recorded, hashed again just now: what does not match is not listed. In the order of the file; they
   * may overlap where two runs cut the file in different ways.
   */
  readonly spans: readonly PartialSpan[]
  /** Bytes that were written. */
  read(offset: number, length: number, options?: AbortOptions): Promise<Uint8Array>
  /**
   * Writes bytes, and then records that they are there. When it has resolved, they survive the end of this process; what a
   * power cut takes is noticed when the file is opened again.
   *
   * @param span - Its digest is that of `bytes`: the caller has hashed them.
   */
  write(span: PartialSpan, bytes: Uint8Array): Promise<void>
  /** Forgets all that was recorded, and goes on. */
  clear(): Promise<void>
  /**
   * Moves the file into the store. It is closed then. It is safe from a collector until the store of partials is released,
   * and for some days should that never happen.
   *
   * @param outboard - Of all bytes; each leaf was checked against it, or it was made from them.
   * @throws {NoSpaceError} It does not fit in; what was recorded stays.
   */
  commit(outboard: Outboard, options?: AbortOptions): Promise<void>
  /** Removes what there is. */
  discard(): Promise<void>
  /** Leaves what was recorded for later. Does nothing after `commit` and `discard`. */
  close(): Promise<void>
}

/** Where files lie while they are downloaded. */
export interface PartialStore {
  readonly name: string
  /** Opens a file, or begins it. Waits while another process works on it, and takes over when that ends or dies. */
  open(key: PartialKey, options?: OpenPartialOptions): Promise<PartialFile | HeldPartial>
  /**
   * Before anything is downloaded.
   *
   * @throws {NoSpaceError} What is missing of these files does not fit in; it says how much is needed, and how much is free.
   */
  assertRoom(keys: readonly PartialKey[], options?: AbortOptions): Promise<void>
  list(options?: AbortOptions): AsyncIterable<PartialInfo>
  /** What was committed here has been added by now, as part of something that keeps it; what was not may go. */
  release(): Promise<void>
  close(): Promise<void>
}

const IDS = /^(sha256-[0-9a-f]{64}|git-[0-9a-f]{40}|version-[0-9a-f]{64}|root-b[a-z2-7]{20,120})$/

/** @throws {InvalidInputError} It is no key; it would become a file name. */
export function assertPartialKey({ id, size }: PartialKey): void {
  if (!IDS.test(id)) throw new InvalidInputError(`no key of a partial file: ${JSON.stringify(id)}`, { input: id })
  if (Number.isSafeInteger(size) && size >= 0) return
  throw new InvalidInputError(`a file of ${size} bytes`, { input: String(size) })
}

/**
 * The key of a file: its SHA-256 where that is known, else its root, else the object id of git, else what tells this state of it
 * from others.
 *
 * @throws {InvalidInputError} None of them is known, or one has not its length.
 */
export function partialKeyOf({
  size,
  root,
  sha256,
  gitOid,
  version,
}: {
  size: number
  root?: CID | undefined
  sha256?: Uint8Array | undefined
  gitOid?: string | undefined
  /** 32 bytes. */
  version?: Uint8Array | undefined
}): PartialKey {
  // The root of a file that is one raw leaf has the digest in it.
  const digest = sha256 ?? (root && isSha256Of(root) ? root.multihash.digest : undefined)
  const id = digest
    ? `sha256-${toHex(digest)}`
    : root
      ? `root-${blockKey(root)}`
      : gitOid === undefined && version
        ? `version-${toHex(version)}`
        : `git-${gitOid ?? ''}`
  const key: PartialKey = { id, size, root }
  assertPartialKey(key)
  return key
}

/**
 * Under which roots a store has the file of a key, in the order to look. Bytes under the root that a key has are not known to
 * have the SHA-256 of its `id` before a download has checked both.
 *
 * @param noted - Under which a download of that `id` has ended.
 */
export function rootsOfHeld({ id, size, root }: PartialKey, noted: CID | undefined): CID[] {
  if (!root) return noted ? [noted] : []
  if (partialKeyOf({ size, root }).id === id) return noted ? [noted, root] : [root]
  return noted?.toV1().equals(root.toV1()) === true ? [noted] : []
}

const isSha256Of = ({ code, multihash }: CID): boolean => code === RAW && multihash.code === SHA2_256

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
