import type { CID } from '@x/cid'
import type { Params, RAW_TENSORS, RawTensors } from '@x/infer-core'
import type { Dtype } from '@x/model-loader'
import type { GraphTable, TaskResult } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

import type { RunOptions } from '../runner.ts'

export interface SessionOptions extends AbortOptions {
  /** A graph of the model, by its path. Default: its only one, or the `model` in `onnx/` as `chooseDtype` says. */
  file?: string | undefined
  /** Which variant of the `model` in `onnx/`, where `file` names none. */
  dtype?: Dtype | undefined
}

export interface SessionRunOptions extends AbortOptions {
  /** Names of those that are wanted. Default: all that are tensors. */
  outputs?: readonly string[] | undefined
  /** Of an engine: who asks, as of a task's run. */
  caller?: string | undefined
  /** As of a task's run. */
  cache?: RunOptions['cache']
}

/** A graph that is run on tensors as they are. */
export interface GraphSession extends GraphTable {
  /** CID of the model. */
  readonly model: CID
  /** Its path in the model. */
  readonly file: string
  /**
   * Runs the graph once. What is given is copied at once, and what is given back is of nobody else.
   *
   * @param feeds - A tensor for each input, by name: `{ x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } }`. float16 has its
   *   bits in a Uint16Array, 64-bit integers are of a BigInt64Array or BigUint64Array, bool has bytes of 0 and 1, string a list of texts.
   * @returns `output` has a tensor for each output, by name.
   * @throws {InvalidInputError} An input is missing, unknown, or of another type or shape than the graph takes; it names it.
   * @throws {BusyError} As many wait as may.
   * @throws {CrashError} The thread that ran it ended.
   * @throws {BackendError} ONNX Runtime failed.
   */
  run(feeds: RawTensors, options?: SessionRunOptions): Promise<TaskResult<typeof RAW_TENSORS>>
}

/** All but the tensors that decides what a graph gives. */
export const paramsOfRaw = (file: string, outputs: readonly string[]): Params => ({ graph: file, outputs })
