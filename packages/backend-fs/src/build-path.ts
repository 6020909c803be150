import {
  buildFile,
  createOutboard,
  encodeWrappedLeaf,
  leafCid,
  profileOf,
  type BuildFileOptions,
  type BuiltFile,
} from '@x/cid'
import { buildSource, type BuildSourceOptions, type BuiltSource } from '@x/storage-core'

import { FILES_AT_ONCE } from './add-content.ts'
import { hashSteady } from './adding/large-file.ts'
import { withSteadyFile } from './adding/steady-path.ts'
import { pathSource, type PathSourceOptions } from './path-source.ts'
import { createSmallFileReader, type SmallFileReader } from './workers/read-small-files.ts'
import { sharedPool } from './workers/worker-pool.ts'

export type BuildPathOptions = PathSourceOptions &
  Pick<BuildSourceOptions, 'profile' | 'signal' | 'onProgress' | 'onBlock'>

/** A file of more is hashed by all threads. Bytes. */
const MOST_SMALL_BYTES = 64 * 1024

/**
 * The CID that a file or directory on disk would get, without a store: `add --only-hash`. Bytes of files are read and hashed
 * by threads and do not reach the calling one.
 *
 * @throws As `pathSource`, and while it is read.
 */
export async function buildPath(path: string, options: BuildPathOptions = {}): Promise<BuiltSource> {
  const { symlinks, hidden, profile, signal, onProgress, onBlock } = options
  // They take longer to start than it takes to find the file.
  sharedPool().start()
  const source = await pathSource(path, { symlinks, hidden })
  const small = createSmallFileReader(MOST_SMALL_BYTES)
  return buildSource(source, {
    profile,
    signal,
    onProgress,
    onBlock,
    filesAtOnce: FILES_AT_ONCE,
    buildOneFile: (file, fileOptions) =>
      file.localPath === undefined
        ? buildFile(file.open({ signal }), fileOptions)
        : buildLocal(file.localPath, file.size, small, fileOptions),
  })
}

async function buildLocal(
  path: string,
  size: number | undefined,
  small: SmallFileReader,
  { profile: name, signal, onProgress }: BuildFileOptions,
): Promise<BuiltFile> {
  const profile = profileOf(name)
  if (size === undefined || size <= MOST_SMALL_BYTES) {
    const built = await small.read(path, async ({ bytes, digest }) => {
      signal?.throwIfAborted()
      const { length } = bytes
      onProgress?.(length)
      if (profile.rawLeaves) return { cid: leafCid(profile, digest), fileBytes: length, dagBytes: length }
      const { cid, bytes: block } = await encodeWrappedLeaf(profile.cidVersion, bytes)
      return { cid, fileBytes: length, dagBytes: block.length }
    })
    if (built) return built
  }
  signal?.throwIfAborted()
  return withSteadyFile(path, async ({ handle, size: fileBytes, assertSame }) => {
    const digests = await hashSteady(path, {
      descriptor: handle.fd,
      path,
      fileBytes,
      shape: profile,
      signal,
      onProgress,
    })
    await assertSame()
    const { root, dagBytes } = await createOutboard(profile, fileBytes, digests)
    return { cid: root, fileBytes, dagBytes }
  })
}
