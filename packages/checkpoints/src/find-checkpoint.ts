import { assertEntryName, InvalidInputError, isStorageError } from '@x/cid'
import { isPickleName } from '@x/model-signing/pickle'
import { NotFoundError } from '@x/storage-core'

import { named, PickleCheckpointError, SeveralCheckpointsError } from './errors.ts'
import { isIndexName, isShardName, type CheckpointFile } from './list-files.ts'

export interface FoundCheckpoint {
  /** Of its only file, of its index, or of its first file. */
  path: string
  /** In the order of their paths. */
  shards: CheckpointFile[]
  /** By the names of tensors: the path of the shard that the index says they are in. */
  promised?: ReadonlyMap<string, string> | undefined
}

export interface FindCheckpointOptions {
  /** What messages call the model. */
  model: string
  /** One file of the checkpoint, or its folder. */
  path?: string | undefined
  /** From the names of tensors to those of files. */
  readIndex: (file: CheckpointFile) => Promise<ReadonlyMap<string, string>>
}

interface Candidate {
  path: string
  /** Paths, whether they are there or not. */
  shards: string[]
  promised?: ReadonlyMap<string, string> | undefined
}

/** A pipeline has one for each of its parts. */
const MAX_INDEXES = 100
const MOST_MISSING = 100
const NUMBERED = /^(.*)-(\d{1,6})-of-(\d{1,6})((?:\.[^/.]+)?\.safetensors)$/i

/**
 * The one checkpoint that there is among files, or at a path. Of other files than indexes nothing is read.
 *
 * @throws {PickleCheckpointError} There are pickles alone.
 * @throws {SeveralCheckpointsError} There are several.
 * @throws {NotFoundError} There is none, or it lacks a shard.
 * @throws {InvalidInputError} Its index names what can be no file beside it, or leaves out a numbered shard.
 */
export async function findCheckpoint(
  files: readonly CheckpointFile[],
  { model, path, readIndex }: FindCheckpointOptions,
): Promise<FoundCheckpoint> {
  const wanted = path?.replace(/\/+$/, '')
  const label = path === undefined ? model : `${model}/${wanted}`
  if (wanted !== undefined && isPickleName(wanted)) throw new PickleCheckpointError(label, [wanted])
  const inScope = wanted === undefined ? files : filesAround(files, wanted)
  const all = await candidates(inScope, model, readIndex)
  const exact = all.filter((each) => each.path === wanted || each.shards.some((shard) => shard === wanted))
  const isFile = wanted !== undefined && (isShardName(wanted) || isIndexName(wanted))
  const [first, ...others] = isFile ? exact : all
  if (!first) {
    const pickles = isFile ? [] : inScope.flatMap((file) => (isPickleName(file.path) ? [file.path] : []))
    if (pickles.length > 0) throw new PickleCheckpointError(label, pickles)
    throw new NotFoundError(label, { message: `${label}: no checkpoint is there, that is, no safetensors file` })
  }
  if (others.length > 0)
    throw new SeveralCheckpointsError(
      label,
      [first, ...others].map((each) => each.path),
    )
  return withFiles(first, files, model)
}

/** Those in the folder that `wanted` is or lies in; a name of a file tells which. */
function filesAround(files: readonly CheckpointFile[], wanted: string): CheckpointFile[] {
  const folder = isShardName(wanted) || isIndexName(wanted) ? folderOf(wanted) : `${wanted}/`
  return files.filter((file) => folderOf(file.path) === folder)
}

async function candidates(
  files: readonly CheckpointFile[],
  model: string,
  readIndex: FindCheckpointOptions['readIndex'],
): Promise<Candidate[]> {
  const indexes = files.filter((file) => isIndexName(file.path))
  if (indexes.length > MAX_INDEXES) {
    throw new InvalidInputError(`${model} has over ${MAX_INDEXES} indexes, of which path has to say one`, {
      input: model,
    })
  }
  const found: Candidate[] = []
  const claimed = new Set<string>()
  for (const index of indexes) {
    const promised = promisedBy(index.path, await readIndex(index))
    const shards = [...new Set(promised.values())].toSorted(byText)
    assertAllNumbers(index.path, shards)
    for (const shard of shards) claimed.add(shard)
    found.push({ path: index.path, shards, promised })
  }
  const groups = new Map<string, Candidate>()
  const rest = files.filter(({ path }) => isShardName(path) && !claimed.has(path))
  for (const { path } of rest) {
    const [, stem, , count, end] = NUMBERED.exec(path) ?? []
    const key = stem === undefined ? path : `${stem}-of-${count}${end}`
    const group = groups.get(key) ?? { path, shards: [] }
    group.shards.push(path)
    groups.set(key, group)
  }
  for (const { shards } of groups.values()) {
    const all = allNumbers(shards)
    const [first = ''] = all
    found.push({ path: first, shards: all })
  }
  return found.toSorted((a, b) => byText(a.path, b.path))
}

/** What an index says, with paths instead of names. */
function promisedBy(index: string, names: ReadonlyMap<string, string>): Map<string, string> {
  const folder = folderOf(index)
  const paths = new Map<string, string>()
  for (const name of new Set(names.values())) {
    const path = `${folder}${name}`
    if (isPickleName(name)) throw new PickleCheckpointError(index, [path])
    try {
      assertEntryName(name)
    } catch (cause) {
      if (!isStorageError(cause)) throw cause
      throw badIndex(index, `it names ${JSON.stringify(name)}, which is no file beside it`, cause)
    }
    if (!isShardName(name)) throw badIndex(index, `it names ${JSON.stringify(name)}, which is no safetensors file`)
    paths.set(name, path)
  }
  if (paths.size === 0) throw badIndex(index, 'it names no tensor')
  return new Map(Array.from(names, ([tensor, name]) => [tensor, paths.get(name) ?? name]))
}

/** Where files are numbered, those of the group that are missing among them too. */
function allNumbers(shards: readonly string[]): string[] {
  const [, stem, number = '', count = '', end] = NUMBERED.exec(shards[0] ?? '') ?? []
  if (stem === undefined) return [...shards]
  const there = new Set(shards)
  const pathOf = (each: number): string => `${stem}-${String(each).padStart(number.length, '0')}-of-${count}${end}`
  // Most programs count from one.
  const first = there.has(pathOf(0)) ? 0 : 1
  const missing: string[] = []
  // A name can claim a million; what is missing is said by example.
  for (let each = first; each < first + Number(count) && missing.length < MOST_MISSING; each++) {
    const path = pathOf(each)
    if (!there.has(path)) missing.push(path)
  }
  return [...shards, ...missing].toSorted(byText)
}

/** An index that leaves out a numbered shard is not of all of the checkpoint. */
function assertAllNumbers(index: string, shards: readonly string[]): void {
  const groups = Map.groupBy(shards, (shard) => {
    const [, stem, , count, end] = NUMBERED.exec(shard) ?? []
    return stem === undefined ? shard : `${stem}-of-${count}${end}`
  })
  for (const group of groups.values()) {
    const left = allNumbers(group).filter((shard) => !group.includes(shard))
    if (left.length > 0) throw badIndex(index, `it names no tensor in ${named(left)}`)
  }
}

function withFiles(
  { path, shards, promised }: Candidate,
  files: readonly CheckpointFile[],
  model: string,
): FoundCheckpoint {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const missing = shards.filter((shard) => !byPath.has(shard))
  if (missing.length > 0) {
    throw new NotFoundError(`${model}/${missing[0]}`, {
      message: `checkpoint ${path} of ${model} lacks ${named(missing)}`,
    })
  }
  return { path, shards: shards.flatMap((shard) => byPath.get(shard) ?? []), promised }
}

export const badIndex = (index: string, why: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`${index} is not the index of this checkpoint: ${why}`, { input: index, cause })

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)
const byText = (a: string, b: string): number => (a < b ? -1 : Number(a > b))
