import { CID, createOutboard, equalBytes, InvalidInputError, leafCid, PROFILES, RAW, SHA2_256 } from '@x/cid'
import { partialKeyOf, type PartialKey } from '@x/storage-core'

import type { KnownPiece } from './local-pieces.ts'

/**
 * A file, and what it must hash to: at least one of the three, or which state of it is wanted. Where both are known, root and
 * SHA-256 are checked.
 */
export interface WantedFile {
  /** For sources, progress and errors; nothing is written under it. */
  path: string
  /** Bytes. */
  size: number
  /** Of its UnixFS DAG: with it each leaf is checked as it comes, where a source has the outboard. */
  root?: CID | undefined
  /** Of all bytes. Where it is all that is known, the file is checked at the end. */
  sha256?: Uint8Array | undefined
  /**
   * Of git: SHA-1 of `blob <size>\0` and the bytes, 40 hex. Counts where nothing else is known, and is weak: whoever can
   * make two files of one SHA-1 can exchange them.
   */
  gitOid?: string | undefined
  /**
   * Tells this state of the file from others where no digest is known, such as a hash of its address and ETag: 32 bytes. Where it
   * is all that is known, what comes cannot be checked, and one source alone may be asked, which gives that state or fails.
   */
  version?: Uint8Array | undefined
  /** Parts of it that other files may have, such as tensors. Default: none. */
  pieces?: readonly KnownPiece[] | undefined
}

const SHA256_BYTES = 32
/** Why such a file cannot be had. */
export const TWO_FILES = 'its root and its SHA-256 are those of two files'

/** @throws {InvalidInputError} It cannot be asked for, or nothing is known to check it by. */
export function assertWanted({ path, size, root, sha256, gitOid, version, pieces = [] }: WantedFile): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${path}: ${why}`, { input: path })
  }
  if (!Number.isSafeInteger(size) || size < 0) refuse(`a file of ${size} bytes`)
  if (sha256 && sha256.length !== SHA256_BYTES) refuse(`a SHA-256 of ${sha256.length} bytes`)
  if (gitOid !== undefined && !/^[0-9a-f]{40}$/.test(gitOid)) refuse('a git object id that is not 40 hex')
  if (version && version.length !== SHA256_BYTES) refuse(`a version of ${version.length} bytes`)
  if (root && root.multihash.code !== SHA2_256) refuse('its root is not under SHA-256, and has no leaves to check')
  if (root?.code === RAW && sha256 && !equalBytes(root.multihash.digest, sha256)) refuse(TWO_FILES)
  if (!root && !sha256 && gitOid === undefined && !version) refuse('there is no digest to check it by')
  for (const { offset, length, sha256: digest } of pieces) {
    const isIn = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
    if (!isIn || offset + length > size) refuse(`a piece of ${length} bytes at ${offset} of ${size}`)
    if (digest.length !== SHA256_BYTES) refuse(`a piece with a SHA-256 of ${digest.length} bytes`)
  }
}

/** By which a download of it is found again. */
export const keyOfWanted = ({ size, root, sha256, gitOid, version }: WantedFile): PartialKey =>
  partialKeyOf({ size, root, sha256, gitOid, version })

/** Whether it can be told that what came is the file. */
export const canBeChecked = ({ root, sha256, gitOid }: WantedFile): boolean =>
  root !== undefined || sha256 !== undefined || gitOid !== undefined

/** What the whole file must hash to, where that is known without its leaves. */
export function wholeDigestOf({ size, root, sha256, gitOid }: WantedFile): WholeDigest | undefined {
  if (sha256) return { type: 'sha256', digest: sha256 }
  // A raw CID of more than one block is no DAG, but the digest of all bytes.
  if (root?.code === RAW && size > PROFILES['unixfs-v1-2025'].chunkBytes) {
    return { type: 'sha256', digest: root.multihash.digest }
  }
  if (root || gitOid === undefined) return undefined
  return { type: 'git', oid: gitOid }
}

type WholeDigest = { type: 'sha256'; digest: Uint8Array } | { type: 'git'; oid: string }

// Codec and hash function that git's objects have in a CID.
const GIT_RAW = 0x78
const SHA1 = 0x11
const SHA1_BYTES = 20

/** For an error: what the file was asked for. `undefined`: nothing is known of it. */
export function cidOfWanted({ root, sha256, gitOid }: WantedFile): CID | undefined {
  if (root) return root
  if (sha256) return leafCid(PROFILES['unixfs-v1-2025'], sha256)
  if (gitOid === undefined) return undefined
  const digest = Uint8Array.from(gitOid.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  return CID.createV1(GIT_RAW, {
    code: SHA1,
    size: SHA1_BYTES,
    digest,
    bytes: Uint8Array.of(SHA1, SHA1_BYTES, ...digest),
  })
}

/** The outboard of a file of one leaf follows from what is known of it. */
export async function singleLeafOutboard(
  file: WantedFile,
): Promise<Awaited<ReturnType<typeof createOutboard>> | undefined> {
  const { size, root, sha256 } = file
  if (size > PROFILES['unixfs-v1-2025'].chunkBytes) return undefined
  const digest = root?.code === RAW ? root.multihash.digest : sha256
  // With a root of another kind, the file is asked for under that.
  if (!digest || (root && root.code !== RAW)) return undefined
  return createOutboard('unixfs-v1-2025', size, digest)
}
