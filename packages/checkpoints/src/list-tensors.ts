import { InvalidInputError, isStorageError, UnsupportedError, verify, type CID } from '@x/cid'
import { decodeTensorTable, readSafetensorsTable, type Tensor } from '@x/model-formats'
import type { AbortOptions, ContentSource } from '@x/storage-core'

import { isDtype, type Dtype } from './dtypes.ts'
import { badIndex, type FoundCheckpoint } from './find-checkpoint.ts'
import type { CheckpointFile } from './list-files.ts'
import { readRange } from './read-range.ts'

/** What a checkpoint says of a tensor. */
export interface TensorInfo {
  readonly name: string
  /** As `@x/model-formats` calls it. */
  readonly dtype: Dtype
  /** Outermost dimension first; empty for a scalar. */
  readonly shape: readonly number[]
  /** How many it takes. */
  readonly bytes: number
  /** The path of the file that it is in. */
  readonly shard: string
}

/** And where it is. */
export interface PlacedTensor {
  info: TensorInfo
  file: CheckpointFile
  /** From the file's beginning. */
  offset: number
}

export interface CheckpointShard {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Which says what is in it: the tensor table of the model's manifest, or the file's own header. */
  readonly listedBy: 'table' | 'header'
}

export interface ListedTensors {
  shards: CheckpointShard[]
  /** In the order of the shards, each by offset. */
  tensors: Map<string, PlacedTensor>
}

// Of one file; the largest published models have under 100 000 in all of theirs.
const MAX_TENSORS = 262_144
/** Names and shapes together, as a single file may have them. */
const MAX_LISTED_BYTES = 64 * 2 ** 20
const BYTES_PER_CHARACTER = 2
const BYTES_PER_DIMENSION = 8

/**
 * Lists what is in all shards.
 *
 * @throws {InvalidInputError} A shard is no whole safetensors file, two have a tensor of one name, or the index promises what no
 *   shard has, or another one.
 */
export async function listTensors(
  store: ContentSource,
  root: CID,
  { path, shards, promised }: FoundCheckpoint,
  { signal }: AbortOptions,
): Promise<ListedTensors> {
  const listed: CheckpointShard[] = []
  const tensors = new Map<string, PlacedTensor>()
  let kept = 0
  for (const file of shards) {
    const fromTable = file.tensors && (await tableOf(store, file, file.tensors, { signal }))
    const found = fromTable ?? (await headerOf(store, root, file, { signal }))
    listed.push({ path: file.path, size: file.size, listedBy: fromTable ? 'table' : 'header' })
    for (const { name, dtype, shape, offset, length } of found) {
      const other = tensors.get(name)
      if (other) {
        const message = `${path}: tensor ${JSON.stringify(name)} is in ${other.info.shard} and in ${file.path}`
        throw new InvalidInputError(message, { input: name })
      }
      if (!isDtype(dtype)) throw new UnsupportedError(`${file.path}: tensor ${JSON.stringify(name)} has type ${dtype}`)
      kept += name.length * BYTES_PER_CHARACTER + shape.length * BYTES_PER_DIMENSION
      if (tensors.size === MAX_TENSORS || kept > MAX_LISTED_BYTES) throw tooLarge(path)
      tensors.set(name, { info: { name, dtype, shape, bytes: length, shard: file.path }, file, offset })
    }
  }
  if (promised) assertPromised(path, promised, tensors)
  return { shards: listed, tensors }
}

/** The table that the manifest links to; `undefined` where it cannot be used, for the file says the same. */
async function tableOf(
  store: ContentSource,
  file: CheckpointFile,
  table: CID,
  { signal }: AbortOptions,
): Promise<readonly Tensor[] | undefined> {
  const get = (cid: CID): Promise<Uint8Array> => store.blocks.get(cid, { signal })
  try {
    const bytes = await get(table)
    await verify(table, bytes)
    const { format, tensors } = await decodeTensorTable(bytes, get)
    return format === 'safetensors' && fills(file, tensors) ? tensors : undefined
  } catch (error) {
    if (isStorageError(error) && ['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) return undefined
    throw error
  }
}

/** Whether tensors lie one after the other up to the file's end, as those of a header have to. */
function fills({ size }: CheckpointFile, tensors: readonly Tensor[]): boolean {
  let end = tensors[0]?.offset ?? size
  for (const { offset, length } of tensors) {
    if (offset !== end) return false
    end += length
  }
  return end === size
}

async function headerOf(
  store: ContentSource,
  root: CID,
  file: CheckpointFile,
  { signal }: AbortOptions,
): Promise<readonly Tensor[]> {
  const { table } = await readSafetensorsTable(
    { size: file.size, read: (offset, length) => readRange(store, root, file, { offset, length, signal }) },
    { label: `${root}/${file.path}`, signal },
  )
  return table.tensors
}

function assertPromised(
  index: string,
  promised: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, PlacedTensor>,
): void {
  for (const [name, shard] of promised) {
    const found = tensors.get(name)?.info.shard
    if (found === shard) continue
    const is = found === undefined ? 'which no shard has' : `which is in ${found}`
    throw badIndex(index, `it promises tensor ${JSON.stringify(name)} in ${shard}, ${is}`)
  }
}

const tooLarge = (path: string): InvalidInputError =>
  new InvalidInputError(
    `${path} has over ${MAX_TENSORS} tensors, or their names and shapes are over ${MAX_LISTED_BYTES} bytes long`,
    { input: path },
  )
