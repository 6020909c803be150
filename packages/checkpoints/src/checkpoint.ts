import type { CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import type { CheckpointTensor } from './checkpoint-tensor.ts'
import type { Dtype, DtypeArrays } from './dtypes.ts'
import type { CheckpointShard, TensorInfo } from './list-tensors.ts'

export interface CeilingOptions extends AbortOptions {
  /**
   * Most bytes of tensors that are held at a time: those that are read, those that wait, and those that were given and not
   * released. What the store reads ahead by itself (some leaves) is not among them. Bytes; default 268_435_456.
   */
  maxBytes?: number | undefined
}

export interface TensorProgress {
  type: 'tensor-given'
  name: string
  /** Of the tensors that were asked for, those given so far: bytes. */
  loaded: number
  total: number
}

export interface TensorsOptions extends CeilingOptions {
  /** Default: all. */
  names?: Iterable<string> | undefined
  /** `file`: as they lie in the shards, for which each shard is read once from its beginning on. `names`: as in `names`. Default `file`. */
  order?: 'file' | 'names' | undefined
  /** Called synchronously before a tensor is given, so keep it short. */
  onProgress?: ((event: TensorProgress) => void) | undefined
}

export interface ForEachOptions extends TensorsOptions {
  /** How many callbacks may be at work. Default 1. */
  concurrency?: number | undefined
}

export interface PiecesOptions extends CeilingOptions {
  /** Most bytes of a piece, rounded down to whole items. Default 16_777_216, or `maxBytes` if that is less. */
  pieceBytes?: number | undefined
}

/** Some items of a tensor. */
export interface TensorPiece {
  /** Where they begin, from the tensor's first byte. */
  readonly offset: number
  /** Of the kind that its type has: see `DtypeArrays`. */
  readonly data: DtypeArrays[Dtype]
}

/** The tensors of a model's safetensors files. It holds nothing open; the store is the caller's. */
export interface Checkpoint {
  /** The model. */
  readonly cid: CID
  /** Of its only file, of its index, or of the first shard. */
  readonly path: string
  /** By path. */
  readonly shards: readonly CheckpointShard[]
  /** All tensors, as they lie in the shards. */
  readonly list: readonly TensorInfo[]
  /** Of all tensors together. */
  readonly totalBytes: number
  /**
   * The tensors, each verified leaf by leaf and then whole. A tensor is released when the next is asked for: whoever keeps
   * it longer holds it beside what `maxBytes` counts. While one is at work the next are read, as far as there is room.
   *
   * @throws {InvalidInputError} A tensor is larger than `maxBytes`; nothing was read. `pieces` has it.
   * @throws {NotFoundError} There is no tensor of such a name, or a block is not held.
   * @throws {IntegrityError} A leaf is damaged; what was whole before it has been given, and nothing after it is.
   */
  tensors(options?: TensorsOptions): AsyncGenerator<CheckpointTensor, void, undefined>
  /**
   * The same with a callback. A tensor is released when its callback is done. After the first failure, a callback's or the
   * reading's, none is called any more; those at work hear of it by their signal, and are waited for.
   */
  forEach(
    callback: (tensor: CheckpointTensor, options: { signal: AbortSignal }) => void | Promise<void>,
    options?: ForEachOptions,
  ): Promise<void>
  /**
   * One tensor of any size, in pieces, in order. A piece is released when the next is asked for.
   *
   * @throws {NotFoundError} There is no such tensor, or a block is not held.
   */
  pieces(name: string, options?: PiecesOptions): AsyncGenerator<TensorPiece, void, undefined>
}
