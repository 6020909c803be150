import { CID } from 'multiformats/cid'

import { RAW, sha256 } from './hash.ts'
import { DEFAULT_PROFILE, profileOf, type ProfileName } from './profiles.ts'
import { rechunk } from './rechunk.ts'
import { encodeFileNode, encodeWrappedLeaf, type Block } from './unixfs-node.ts'

/** A block as it is built. */
export interface BuiltBlock extends Block {
  /** `leaf` holds bytes of the file; `node` points to others. */
  kind: 'leaf' | 'node'
}

export interface BuildFileOptions {
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
  /** Rejects with `signal.reason`, at the next chunk. */
  signal?: AbortSignal | undefined
  /** Bytes of the file hashed so far. Called once a chunk. */
  onProgress?: ((loaded: number) => void) | undefined
  /**
   * Gets every block, children before parents, the root last; awaited, so a slow one slows the source. A leaf's bytes
   * may be reused after it resolves.
   */
  onBlock?: ((block: BuiltBlock) => void | Promise<void>) | undefined
  /** Gets the file's own bytes, chunk by chunk and in order, before their leaf is announced. */
  onChunk?: ((chunk: Uint8Array) => void | Promise<void>) | undefined
}

export interface BuiltFile {
  cid: CID
  /** Bytes of the file. */
  fileBytes: number
  /** Bytes of all its blocks, counted once per link: what Tsize of a link to it says. */
  dagBytes: number
}

/**
 * Builds the balanced UnixFS DAG of one file. Holds one chunk and, per level, the links of one unfinished node, so memory
 * does not grow with the file.
 *
 * @param source - Pieces of any size.
 */
export async function buildFile(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { profile: profileName = DEFAULT_PROFILE, signal, onProgress, onBlock, onChunk }: BuildFileOptions = {},
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
  const addLeaf = async (chunk: Uint8Array): Promise<number> => {
    await onChunk?.(chunk)
    const block = profile.rawLeaves
      ? { cid: CID.createV1(RAW, await sha256.digest(chunk)), bytes: chunk }
      : await encodeWrappedLeaf(profile.cidVersion, chunk)
    await onBlock?.({ ...block, kind: 'leaf' })
    await append(0, { cid: block.cid, fileBytes: chunk.length, dagBytes: block.bytes.length })
    return chunk.length
  }

  let loaded = 0
  signal?.throwIfAborted()
  for await (const chunk of rechunk(source, profile.chunkBytes)) {
    signal?.throwIfAborted()
    loaded += await addLeaf(chunk)
    onProgress?.(loaded)
  }
  signal?.throwIfAborted()
  // An empty file has one empty leaf.
  if (loaded === 0) await addLeaf(new Uint8Array())
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
