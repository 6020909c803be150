import { assertEntryName, InvalidInputError } from '@x/cid'
import type { AbortOptions, DirectorySource, FileSource, SourceNode } from '@x/storage-core'

/** A directory whose listing was read once and stands. Its files are still to be read. */
export interface SourceTree {
  directory: DirectorySource
  /** Every file by its path. */
  files: ReadonlyMap<string, FileSource>
}

const MAX_DEPTH = 256

/**
 * Lists a source before anything of it is read, so that what is missing is known beforehand and what is read later is
 * what was listed.
 *
 * @param options.wrap - Replaces each file's source.
 * @throws {InvalidInputError} A symlink, a name that is refused, or over 256 levels.
 */
export async function readSourceTree(
  source: DirectorySource,
  { signal, wrap }: AbortOptions & { wrap: (path: string, file: FileSource) => FileSource },
): Promise<SourceTree> {
  const files = new Map<string, FileSource>()

  async function freeze(directory: DirectorySource, prefix: string, depth: number): Promise<DirectorySource> {
    if (depth > MAX_DEPTH) throw new InvalidInputError(`${prefix}: over ${MAX_DEPTH} levels deep`, { input: prefix })
    const entries: [string, SourceNode][] = []
    for await (const [name, node] of directory.entries({ signal })) {
      signal?.throwIfAborted()
      assertEntryName(name)
      entries.push([name, await freezeNode(node, `${prefix}${name}`, depth)])
    }
    return { type: 'directory', entries: () => entries }
  }

  async function freezeNode(node: SourceNode, path: string, depth: number): Promise<SourceNode> {
    if (node.type === 'directory') return freeze(node, `${path}/`, depth + 1)
    if (node.type === 'symlink') {
      throw new InvalidInputError(`${path} is a symlink to ${node.target}; a model's files are there themselves`, {
        input: path,
      })
    }
    const file = wrap(path, node)
    files.set(path, file)
    return file
  }

  return { directory: await freeze(source, '', 0), files }
}
