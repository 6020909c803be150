import type { CID } from 'multiformats/cid'

import { leafCid } from './file-tree.ts'
import { hashLeaves, type HashedLeaf, type LeafHashPool } from './hash-leaves.ts'
import { DEFAULT_PROFILE, profileOf, type ProfileName } from './profiles.ts'
import { encodeFileNode, type Block } from './unixfs-node.ts'

/** A block as it is built. */
export interface BuiltBlock extends Block {
  /** `leaf` holds bytes of the file; `node` points to others. */
  kind: 'leaf' | 'node'
}

export interface BuildFileOptions {
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
  /** Rejects with `signal.reason` at once, even while the source waits, but not before a hook below has returned. */
  signal?: AbortSignal | undefined
  /** Bytes of the file hashed so far. Called once a chunk. */
  onProgress?: ((loaded: number) => void) | undefined
  /**
   * Gets every block, children before parents, the root last; awaited, so a slow one slows the source. A leaf's bytes
   * may be reused after it resolves.
   */
  onBlock?: ((block: BuiltBlock) => void | Promise<void>) | undefined
  /** Gets the file's own bytes, chunk by chunk and in order, each just before its leaf is announced. */
  onChunk?: ((chunk: Uint8Array) => void | Promise<void>) | undefined
  /**
   * Where leaves are hashed, twice as many at a time as it has workers. Default: on the calling thread up to the fourth
   * leaf, then in `sharedHashPool()`. `false`: on the calling thread, one leaf after another.
   */
  parallel?: LeafHashPool | false | undefined
}

export interface BuiltFile {
  cid: CID
  /** Bytes of the file. */
  fileBytes: number
  /** Bytes of all its blocks, counted once per link: what Tsize of a link to it says. */
  dagBytes: number
}

/**
 * Builds the balanced UnixFS DAG of one file. Holds the chunks that are being hashed and, per level, the links of one
 * unfinished node, so memory does not grow with the file.
 *
 * @param source - Pieces of any size. It may use their memory again as soon as it is asked for the next one.
 */
export async function buildFile(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { profile: profileName = DEFAULT_PROFILE, signal, onProgress, onBlock, onChunk, parallel }: BuildFileOptions = {},
): Promise<BuiltFile> {
  const profile = profileOf(profileName)
  const levels: BuiltFile[][] = []

  const closeNode = async (children: BuiltFile[]): Promise<BuiltFile> => {
    const block = await encodeFileNode(profile.cidVersion, children)
    await onBlock?.({ ...block, kind: 'node' })
    return {
      cid: block.cid,
      fileBytes: children.reduce((sum, child) => sum + child.fileBytes, 0),
      dagBytes: children.reduce((sum, child) => sum + child.dagBytes, block.bytes.length),
    }
  }
  const append = async (level: number, child: BuiltFile): Promise<void> => {
    const open = (levels[level] ??= [])
    open.push(child)
    if (open.length < profile.maxLinks) return
    levels[level] = []
    await append(level + 1, await closeNode(open))
  }
  let loaded = 0
  const addLeaf = async ({ chunk, bytes, digest }: HashedLeaf): Promise<void> => {
    await onChunk?.(chunk)
    const cid = leafCid(profile, digest)
    await onBlock?.({ cid, bytes, kind: 'leaf' })
    await append(0, { cid, fileBytes: chunk.length, dagBytes: bytes.length })
    loaded += chunk.length
    if (chunk.length > 0) onProgress?.(loaded)
  }

  await hashLeaves(source, { shape: profile, parallel, signal, onLeaf: addLeaf })
  for (let level = 0; ; level++) {
    const open = levels[level] ?? []
    const [only] = open
    const isTop = level >= levels.length - 1
    if (isTop && open.length === 1 && only) return only
    if (open.length > 0) {
      levels[level] = []
      await append(level + 1, await closeNode(open))
    }
  }
}
