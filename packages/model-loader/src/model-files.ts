import { InvalidInputError, type CID } from '@x/cid'
import type { AbortOptions, ContentSource } from '@x/storage-core'

/** A file of a model, as its directory's DAG lists it. */
export interface ListedFile {
  path: string
  size: number
  root: CID
}

// A small DAG can list the same directory exponentially often; no model has this many files.
const MAX_FILES = 100_000
const MAX_DEPTH = 64

/**
 * The files below a directory, read from its own blocks. Symlinks in the DAG are not followed and not listed.
 *
 * @throws {NotFoundError} The root or a directory below it is not held.
 * @throws {InvalidInputError} It is no directory, or has over 100,000 files or 64 levels.
 */
export async function listModelFiles(
  store: ContentSource,
  root: CID,
  { signal }: AbortOptions = {},
): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${root} is no model: ${why}`, { input: root.toString() })
  }
  const { type } = await store.stat(root, { signal })
  if (type !== 'directory') refuse(`it is a ${type}, not a directory`)

  async function visit(directory: CID, prefix: string, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) refuse(`it is over ${MAX_DEPTH} levels deep`)
    for await (const entry of store.ls(directory, { signal })) {
      const path = `${prefix}${entry.name}`
      if (entry.type === 'directory') await visit(entry.cid, `${path}/`, depth + 1)
      if (entry.type === 'file') files.push({ path, size: entry.size, root: entry.cid })
      if (files.length > MAX_FILES) refuse(`it has over ${MAX_FILES} files`)
    }
  }
  await visit(root, '', 0)
  return files
}
