import { constants } from 'node:fs'
import { copyFile } from 'node:fs/promises'

import {
  createOutboard,
  isStorageError,
  PROFILES,
  UnsupportedError,
  type BalancedOutboard,
  type Outboard,
  type Profile,
} from '@x/cid'

import type { StoreContext } from '../context.ts'
import { diskError, systemCode } from '../disk-error.ts'
import { createTemp, type TempFile } from '../durable-write.ts'
import { hashLeaves, type HashLeavesOptions } from '../workers/hash-leaves.ts'
import { changed, withSteadyFile } from './steady-path.ts'

/** How the bytes of a file on disk come into the store. */
export type AddMode = 'copy' | 'reflink' | 'reference'

/** A file whose bytes were hashed; they lie under a temporary name, or where the user has them. */
export interface HashedFile {
  /** Under `unixfs-v1-2025`: its root is the key of the bytes. */
  keyed: BalancedOutboard
  /** Under the profile that was asked for, or of another DAG. */
  asked: Outboard
  bytes: number
  temp: TempFile | undefined
  reference: { path: string; stamp: string } | undefined
}

interface HashOptions {
  signal?: AbortSignal | undefined
  /** Bytes done. */
  onProgress?: ((done: number) => void) | undefined
}

const KEY_PROFILE = PROFILES['unixfs-v1-2025']

/**
 * Copies, clones or only reads a file on disk, and hashes the very bytes that are kept.
 *
 * @throws {InvalidInputError} It changed while it was read.
 * @throws {UnsupportedError} `reflink` where the file system cannot share bytes between two files.
 */
export async function hashPath(
  context: StoreContext,
  path: string,
  mode: AddMode,
  profile: Profile,
  options: HashOptions,
): Promise<HashedFile & { asked: BalancedOutboard }> {
  return withSteadyFile(path, async ({ handle, size, stamp, assertSame }) => {
    let temp: TempFile | undefined
    try {
      if (mode !== 'reference') temp = await createTemp(context)
      if (temp && mode === 'reflink') await clone(path, temp.path)
      const descriptor = temp && mode === 'reflink' ? temp.descriptor : handle.fd
      const source = { descriptor, path, fileBytes: size, ...options }
      const early = temp && mode === 'copy' ? writeEarly(temp) : undefined
      const onProgress = (done: number): void => {
        early?.written(done)
        options.onProgress?.(done)
      }
      const digests = await hashSteady(path, {
        ...source,
        onProgress,
        shape: KEY_PROFILE,
        target: mode === 'copy' ? temp?.descriptor : undefined,
      })
      await early?.done()
      const keyed = await createOutboard(KEY_PROFILE, size, digests)
      const asked = await under(profile, keyed, { ...source, descriptor: temp?.descriptor ?? handle.fd })
      await assertSame()
      return { keyed, asked, bytes: size, temp, reference: mode === 'reference' ? { path, stamp } : undefined }
    } catch (cause) {
      await temp?.discard()
      throw cause
    }
  })
}

/** Hashes what lies under a temporary name a second time, when another profile than that of the key was asked for. */
export async function under(
  profile: Profile,
  keyed: BalancedOutboard,
  source: Omit<HashLeavesOptions, 'shape' | 'target'>,
): Promise<BalancedOutboard> {
  if (profile.name === KEY_PROFILE.name) return keyed
  const digests = await hashLeaves({ ...source, shape: profile, onProgress: undefined })
  return createOutboard(profile, keyed.fileBytes, digests)
}

/** `hashLeaves` of a user's file. @throws {InvalidInputError} It ends earlier than it did. */
export async function hashSteady(path: string, options: HashLeavesOptions): Promise<Uint8Array> {
  try {
    return await hashLeaves(options)
  } catch (cause) {
    options.signal?.throwIfAborted()
    if (isStorageError(cause) || !(cause instanceof Error)) throw cause
    throw changed(path, cause.message, cause)
  }
}

const CANNOT_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS'])

async function clone(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
  } catch (cause) {
    const code = systemCode(cause)
    if (!CANNOT_CLONE.has(code ?? '')) throw diskError(`clone ${from}`, cause)
    const message = `fs: ${from} cannot be cloned into the store: the file system does not share bytes (${code})`
    throw new UnsupportedError(message, { cause })
  }
}

/** As much is written to the disk while the next is hashed, so that little is left to wait for at the end. */
const EARLY_BYTES = 64 * 1024 * 1024

function writeEarly(temp: TempFile): { written(bytes: number): void; done(): Promise<void> } {
  let synced = 0
  let syncing: Promise<void> | undefined
  return {
    written: (bytes) => {
      if (syncing || bytes - synced < EARLY_BYTES) return
      synced = bytes
      syncing = temp.sync().finally(() => (syncing = undefined))
      // `done` may come later than the failure. The temp file remembers it, and `seal` rejects with it.
      syncing.catch(() => undefined)
    },
    done: async () => syncing,
  }
}
