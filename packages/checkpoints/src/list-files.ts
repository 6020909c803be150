import { InvalidInputError, type CID } from '@x/cid'
import { isPickleName } from '@x/model-signing/pickle'
import type { AbortOptions, ContentSource } from '@x/storage-core'

/** A file of a model, as its manifest or its directory lists it. */
export interface CheckpointFile {
  /** `/`-separated, relative to the model's directory. */
  path: string
  /** Bytes. */
  size: number
  /** The block of its tensor table, which stands for its header. */
  tensors?: CID | undefined
}

// As for models. A small DAG can list the same directory exponentially often.
const MAX_FILES = 100_000
const MAX_DEPTH = 64

export const isShardName = (path: string): boolean => /\.safetensors$/i.test(path)
/** `model.safetensors.index.json`, and of a variant `model.safetensors.index.fp16.json`. */
export const isIndexName = (path: string): boolean => /\.safetensors\.index(?:\.[^/.]+)?\.json$/i.test(path)

const isOfCheckpoint = (path: string): boolean => isShardName(path) || isIndexName(path) || isPickleName(path)

/** Of the files below a directory those that checkpoints are made of. No symlink is followed. */
export async function listFiles(store: ContentSource, root: CID, { signal }: AbortOptions): Promise<CheckpointFile[]> {
  const files: CheckpointFile[] = []
  let seen = 0
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${root} is no model: ${why}`, { input: root.toString() })
  }
  const { type } = await store.stat(root, { signal })
  if (type !== 'directory') refuse(`it is a ${type}, not a directory`)

  async function visit(directory: CID, prefix: string, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) refuse(`it is over ${MAX_DEPTH} levels deep`)
    for await (const { name, type: kind, cid, size } of store.ls(directory, { signal })) {
      const path = `${prefix}${name}`
      if (++seen > MAX_FILES) refuse(`it has over ${MAX_FILES} entries`)
      if (kind === 'directory') await visit(cid, `${path}/`, depth + 1)
      if (kind === 'file' && isOfCheckpoint(path)) files.push({ path, size })
    }
  }
  await visit(root, '', 0)
  return files
}
