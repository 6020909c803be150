import {
  assertEntryName,
  buildDirectory,
  buildFile,
  encodeSymlink,
  InvalidInputError,
  profileOf,
  type Block,
  type BuildFileOptions,
  type BuiltFile,
  type CID,
  type NodeLink,
  type ProfileName,
} from '@x/cid'

import type { AddProgress, AddResult, ContentType } from './content-store.ts'
import { createGate } from './gate.ts'
import type { DirectorySource, FileSource, SourceNode } from './source.ts'

export interface BuildSourceOptions {
  /** Default `unixfs-v1-2025`. */
  profile?: ProfileName | undefined
  signal?: AbortSignal | undefined
  onProgress?: ((event: AddProgress) => void) | undefined
  /** Gets the blocks of directories and symlinks, children before parents. */
  onBlock?: ((block: Block) => void | Promise<void>) | undefined
  /**
   * How many files that have a `localPath` are built at a time; others are taken one after another, in the order in which
   * the source gives them. Default 1.
   */
  filesAtOnce?: number | undefined
  /** Builds one file. Default: hashes it and keeps nothing. A store gives one that keeps the bytes. */
  buildOneFile?: ((source: FileSource, options: BuildFileOptions, path: string) => Promise<BuiltFile>) | undefined
}

export interface BuiltSource extends AddResult {
  /** Bytes of all blocks below the root and its own, counted once per link. */
  dagBytes: number
}

// Deeper than any real tree; a source that contains itself stops here instead of filling the disk.
const MAX_DEPTH = 256

/**
 * Builds the DAG of a file or of a whole tree, in the order in which the source gives them. With no hooks this is
 * `add --only-hash`.
 *
 * @throws {InvalidInputError} A directory entry with a bad name, a name twice, or a tree over 256 levels deep.
 */
export async function buildSource(root: SourceNode, options: BuildSourceOptions = {}): Promise<BuiltSource> {
  const { profile: profileName, signal, onProgress, onBlock } = options
  const { cidVersion } = profileOf(profileName)
  const buildOneFile =
    options.buildOneFile ?? ((source, fileOptions) => buildFile(source.open({ signal }), fileOptions))
  const gate = createGate(options.filesAtOnce ?? 1)
  let loaded = 0

  const fileNode = async (source: FileSource, path: string): Promise<BuiltSource> => {
    onProgress?.({ type: 'file-started', path, size: source.size })
    let done = 0
    const advance = (bytes: number): void => {
      loaded += bytes - done
      done = bytes
    }
    const built = await buildOneFile(
      source,
      {
        profile: profileName,
        signal,
        onProgress: (bytes) => {
          advance(bytes)
          onProgress?.({ type: 'bytes-added', path, loaded })
        },
      },
      path,
    )
    advance(built.fileBytes)
    onProgress?.({ type: 'file-added', path, cid: built.cid, size: built.fileBytes })
    return result('file', built.cid, built.fileBytes, built.dagBytes)
  }

  const directoryNode = async (source: DirectorySource, path: string, depth: number): Promise<BuiltSource> => {
    if (depth >= MAX_DEPTH) {
      throw new InvalidInputError(`${path}: the tree is over ${MAX_DEPTH} levels deep`, { input: path })
    }
    const children: { name: string; result: Promise<BuiltSource> }[] = []
    const names = new Set<string>()
    try {
      for await (const [name, child] of source.entries({ signal })) {
        signal?.throwIfAborted()
        // Before a byte of it is read, and before the name becomes part of a path.
        assertEntryName(name)
        if (names.has(name)) {
          throw new InvalidInputError(`directory entry ${JSON.stringify(name)} is there twice`, { input: name })
        }
        names.add(name)
        const at = path === '' ? name : `${path}/${name}`
        // Those that come out of a stream must be read before the next one.
        if (child.type === 'file' && child.localPath !== undefined) {
          const room = gate.room()
          if (room) await room
          children.push({ name, result: gate.start(() => fileNode(child, at)) })
        } else {
          const result = node(child, at, depth + 1)
          await result
          children.push({ name, result })
        }
      }
    } finally {
      await gate.settled()
    }
    const links: NodeLink[] = []
    let size = 0
    for (const child of children) {
      const built = await child.result
      links.push({ name: child.name, cid: built.cid, dagBytes: built.dagBytes })
      size += built.size
    }
    const { cid, dagBytes } = await buildDirectory(links, { profile: profileName, signal, onBlock })
    return result('directory', cid, size, dagBytes)
  }

  const symlinkNode = async (target: string): Promise<BuiltSource> => {
    const block = await encodeSymlink(cidVersion, target)
    await onBlock?.(block)
    return result('symlink', block.cid, 0, block.bytes.length)
  }

  const node = (source: SourceNode, path: string, depth: number): Promise<BuiltSource> => {
    if (source.type === 'file') return fileNode(source, path)
    if (source.type === 'directory') return directoryNode(source, path, depth)
    return symlinkNode(source.target)
  }

  signal?.throwIfAborted()
  return node(root, '', 0)
}

const result = (type: ContentType, cid: CID, size: number, dagBytes: number): BuiltSource => ({
  type,
  cid,
  size,
  dagBytes,
})
