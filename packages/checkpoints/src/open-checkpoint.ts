import { InvalidInputError, type CID } from '@x/cid'
import { readSafetensorsIndex } from '@x/model-formats'
import { NotFoundError, type AbortOptions, type ContentSource } from '@x/storage-core'
import { linkedController } from '@x/storage-core/backend'

import { toTensor, type CheckpointTensor } from './checkpoint-tensor.ts'
import type { CeilingOptions, Checkpoint, TensorsOptions } from './checkpoint.ts'
import { arrayOf, itemBytesOf } from './dtypes.ts'
import { findCheckpoint } from './find-checkpoint.ts'
import { toHostOrder } from './host-order.ts'
import { listFiles, type CheckpointFile } from './list-files.ts'
import { listTensors, type PlacedTensor, type TensorInfo } from './list-tensors.ts'
import { readParts, type Part } from './read-parts.ts'
import { readRange } from './read-range.ts'

/** A model whose files are listed already: an `OpenedModel` is one, and `{ cid: manifest.root, files: manifest.files }`. */
export interface ListedModel {
  /** The root of its directory. */
  readonly cid: CID
  readonly files: readonly CheckpointFile[]
}

export interface OpenCheckpointOptions extends AbortOptions {
  /**
   * Where a model has several: a file of the one that is meant (its index, or any shard), or its folder. Default: there is
   * one alone.
   */
  path?: string | undefined
}

const DEFAULT_CEILING = 256 * 2 ** 20
const DEFAULT_PIECE = 16 * 2 ** 20
const MAX_PIECES = 262_144
const MAX_INDEX_BYTES = 64 * 2 ** 20

/**
 * Opens the checkpoint of a model: `model.safetensors`, or numbered shards with their index. Reads its index, and the header of
 * each shard whose tensors the model's manifest does not list. A pickle is never read.
 *
 * @param model - Its root, whose directory is then listed, or a model with its files.
 * @throws {PickleCheckpointError} `UNSUPPORTED`: there are pickles alone.
 * @throws {SeveralCheckpointsError} `INVALID_INPUT`: there are several; it lists them.
 * @throws {NotFoundError} There is none, or a shard is missing.
 * @throws {InvalidInputError} A shard is no whole safetensors file, or index and shards do not agree.
 * @throws {IntegrityError} What was read is damaged.
 */
export async function openCheckpoint(
  store: ContentSource,
  model: CID | ListedModel,
  { path, signal }: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  signal?.throwIfAborted()
  const cid = 'files' in model ? model.cid : model
  const files = 'files' in model ? model.files : await listFiles(store, cid, { signal })
  const found = await findCheckpoint(files, {
    model: cid.toString(),
    path,
    async readIndex(file) {
      const label = `${cid}/${file.path}`
      if (file.size > MAX_INDEX_BYTES) {
        const message = `${label} is no index of safetensors files: it has ${file.size} bytes, over ${MAX_INDEX_BYTES}`
        throw new InvalidInputError(message, { input: file.path })
      }
      return readSafetensorsIndex(await readRange(store, cid, file, { offset: 0, length: file.size, signal }), label)
    },
  })
  const { shards, tensors } = await listTensors(store, cid, found, { signal })
  const list = Array.from(tensors.values(), ({ info }) => info)
  const { path: name } = found

  function placed(tensor: string): PlacedTensor {
    const there = tensors.get(tensor)
    if (there) return there
    throw new NotFoundError(tensor, { message: `${cid}/${name} has no tensor ${JSON.stringify(tensor)}` })
  }

  async function* streamed({
    names,
    order = 'file',
    signal: stop,
    onProgress,
    ...options
  }: TensorsOptions): AsyncGenerator<{
    tensor: CheckpointTensor
    release: () => void
  }> {
    const maxBytes = ceilingOf(options)
    const wanted = names === undefined ? undefined : [...new Set(names)].map((each) => placed(each))
    if (order === 'names' && !wanted) throw new InvalidInputError('order: names needs names', { input: 'order' })
    const asked = new Set(wanted)
    const chosen = order === 'names' || !wanted ? (wanted ?? [...tensors.values()]) : inOrder(tensors, asked)
    const total = sum(chosen)
    const tooLarge = chosen.find(({ info }) => info.bytes > maxBytes)
    if (tooLarge) {
      const { name: tensor, bytes } = tooLarge.info
      throw new InvalidInputError(
        `tensor ${JSON.stringify(tensor)} has ${bytes} bytes, over maxBytes ${maxBytes}: pieces() reads it`,
        { input: tensor },
      )
    }
    let loaded = 0
    const parts = chosen.map((tensor): Part & { info: TensorInfo } => ({ ...tensor, length: tensor.info.bytes }))
    for await (const { part, buffer, release } of readParts(store, cid, parts, { maxBytes, signal: stop })) {
      const { info } = part
      toHostOrder(new Uint8Array(buffer), itemBytesOf(info.dtype))
      loaded += info.bytes
      onProgress?.({ type: 'tensor-given', name: info.name, loaded, total })
      yield { tensor: toTensor(info, buffer), release }
    }
  }

  return {
    cid,
    path: name,
    shards,
    list,
    totalBytes: sum([...tensors.values()]),
    async *tensors(options = {}) {
      for await (const { tensor, release } of streamed(options)) {
        yield tensor
        release()
      }
    },
    async forEach(callback, { concurrency = 1, signal: outer, ...options } = {}) {
      assertCount('concurrency', concurrency)
      const { controller: stop, release: unlink } = linkedController(outer)
      const working = new Set<Promise<void>>()
      let failed: { error: unknown } | undefined
      const fail = (error: unknown): void => {
        failed ??= { error }
        stop.abort(error)
      }
      const work = async (tensor: CheckpointTensor, release: () => void): Promise<void> => {
        try {
          await callback(tensor, { signal: stop.signal })
        } catch (error) {
          fail(error)
        } finally {
          release()
        }
      }
      try {
        for await (const { tensor, release } of streamed({ ...options, signal: stop.signal })) {
          const task = work(tensor, release).then(() => void working.delete(task))
          working.add(task)
          if (working.size >= concurrency) await Promise.race(working)
        }
      } catch (error) {
        fail(error)
      } finally {
        await Promise.all(working)
        unlink()
      }
      if (failed) throw failed.error
    },
    async *pieces(tensor, { pieceBytes, signal: stop, ...options } = {}) {
      const maxBytes = ceilingOf(options)
      const most = pieceBytes ?? Math.min(DEFAULT_PIECE, maxBytes)
      assertCount('pieceBytes', most)
      const { info, file, offset } = placed(tensor)
      const itemBytes = itemBytesOf(info.dtype)
      const step = Math.floor(most / itemBytes) * itemBytes
      if (step === 0 || step > maxBytes) {
        const message = `pieceBytes is ${most}, and has to be from ${itemBytes}, the width of an item, to maxBytes, ${maxBytes}`
        throw new InvalidInputError(message, { input: String(most) })
      }
      const count = Math.ceil(info.bytes / step)
      if (count > MAX_PIECES) {
        const message = `pieceBytes is ${most}, which makes ${count} pieces of ${JSON.stringify(tensor)}, over ${MAX_PIECES}`
        throw new InvalidInputError(message, { input: String(most) })
      }
      const parts = Array.from({ length: count }, (_, index): Part => {
        const start = index * step
        return { file, offset: offset + start, length: Math.min(step, info.bytes - start) }
      })
      for await (const { part, buffer, release } of readParts(store, cid, parts, { maxBytes, signal: stop })) {
        toHostOrder(new Uint8Array(buffer), itemBytes)
        yield { offset: part.offset - offset, data: arrayOf(info.dtype, buffer) }
        release()
      }
    },
  }
}

const inOrder = (tensors: ReadonlyMap<string, PlacedTensor>, asked: ReadonlySet<PlacedTensor>): PlacedTensor[] =>
  [...tensors.values()].filter((tensor) => asked.has(tensor))

const sum = (tensors: readonly PlacedTensor[]): number => tensors.reduce((total, { info }) => total + info.bytes, 0)

function ceilingOf({ maxBytes = DEFAULT_CEILING }: CeilingOptions): number {
  assertCount('maxBytes', maxBytes)
  return maxBytes
}

function assertCount(option: string, value: number): void {
  if (Number.isSafeInteger(value) && value > 0) return
  throw new InvalidInputError(`${option} is ${value}, not a positive whole number`, { input: String(value) })
}
