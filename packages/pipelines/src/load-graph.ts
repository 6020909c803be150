import { InvalidInputError, isStorageError, UnsupportedError } from '@x/cid'
import { isRawTensor, isRawType, type GraphValue, type RawTensor, type RawTensors } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { BackendError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import type { ChosenGraph } from './choose-graph.ts'
import { fieldsOf } from './model-json.ts'

/** A session of ONNX Runtime, as far as it is used here. */
export interface RuntimeSession {
  inputMetadata: readonly unknown[]
  outputMetadata: readonly unknown[]
  run(feeds: object, fetches: readonly string[]): Promise<Readonly<Record<string, unknown>>>
  release(): Promise<void>
}

export interface RuntimeSessions {
  create: (this: void, graph: unknown, options?: Record<string, unknown>, ...rest: unknown[]) => Promise<RuntimeSession>
}

/** A graph as ONNX Runtime is given it. */
export interface GraphSource {
  graph: unknown
  /** With the data that it points to. */
  options: Readonly<Record<string, unknown>>
}

/** What graphs are run on. */
export interface GraphRuntime {
  InferenceSession: RuntimeSessions
  /** A tensor as it takes it. */
  toTensor: (tensor: RawTensor) => object
  /** For each session. */
  sessionOptions: Readonly<Record<string, unknown>>
  /** A graph of a model, verified. */
  open: (model: OpenedModel, chosen: ChosenGraph, options: { signal: AbortSignal | undefined }) => Promise<GraphSource>
}

/** What a graph takes and gives. */
export interface GraphTable {
  inputs: readonly GraphValue[]
  /** Those that are tensors: ONNX Runtime gives JavaScript no others. */
  outputs: readonly GraphValue[]
}

/** A graph in a session of ONNX Runtime, run on tensors as they are. */
export interface LoadedGraph {
  table: GraphTable
  executionProvider: string
  /**
   * @param feeds - Checked against the table.
   * @throws {InvalidInputError} ONNX Runtime refuses their shapes.
   * @throws {BackendError} It fails.
   */
  run(feeds: RawTensors, outputs: readonly string[]): Promise<RawTensors>
  dispose(): Promise<void>
}

export interface LoadGraphOptions {
  executionProvider: string
  /** Which to try after one on which it cannot be loaded. */
  nextProvider: (refused: { provider: string; why: string }) => Promise<string | undefined>
  signal?: AbortSignal | undefined
}

/**
 * Opens a graph of a model, with no more of the model than its own files.
 *
 * @throws {InvalidInputError} ONNX Runtime refuses it.
 * @throws {UnsupportedError} It takes something that JavaScript cannot give, such as bfloat16 or a sequence.
 */
export async function loadGraph(
  runtime: GraphRuntime,
  model: OpenedModel,
  chosen: ChosenGraph,
  { executionProvider: first, nextProvider, signal }: LoadGraphOptions,
): Promise<LoadedGraph> {
  const { file } = chosen
  const source = await runtime.open(model, chosen, { signal })
  let executionProvider = first
  let session: RuntimeSession | undefined
  while (session === undefined) {
    try {
      // With one alone, and no other to move to, a session runs on it or is not made.
      session = await runtime.InferenceSession.create(source.graph, {
        executionProviders: [executionProvider],
        ...runtime.sessionOptions,
        ...source.options,
      })
    } catch (cause) {
      signal?.throwIfAborted()
      const why = reasonOf(cause)
      const next = isStorageError(cause) ? undefined : await nextProvider({ provider: executionProvider, why })
      if (next === undefined) throw refused(`${model.cid}/${file}`, why, cause)
      executionProvider = next
    }
  }
  const made = session
  try {
    signal?.throwIfAborted()
    const table = tableOf(made)
    return {
      table,
      executionProvider,
      async run(feeds, outputs) {
        const given = Object.entries(feeds).map(([name, tensor]) => [name, runtime.toTensor(tensor)])
        let results: Readonly<Record<string, unknown>>
        try {
          results = await made.run(Object.fromEntries(given), [...outputs])
        } catch (cause) {
          const why = reasonOf(cause)
          // What a graph without shapes takes is known to ONNX Runtime alone.
          if (/Invalid rank for input|Got invalid dimensions for input/.test(why)) {
            throw new InvalidInputError(why, { input: 'feeds', cause })
          }
          throw new BackendError(`${file} failed: ${why}`, { cause, retryable: false })
        }
        return Object.fromEntries(outputs.map((name) => [name, toPlain(name, results[name])]))
      },
      async dispose() {
        await made.release()
      },
    }
  } catch (error) {
    await made.release()
    throw error
  }
}

function refused(what: string, why: string, cause: unknown): unknown {
  if (isStorageError(cause)) return cause
  if (/bad_alloc|allocat|out of memory/i.test(why)) {
    return new BackendError(`not enough memory for ${what}: ${why}`, { cause, retryable: true })
  }
  if (/Unsupported data type/.test(why)) {
    return new UnsupportedError(`${what} takes or gives tensors of a type that JavaScript has not: ${why}`, { cause })
  }
  return new InvalidInputError(`${what} cannot be loaded: ${why}`, { input: what, cause })
}

function tableOf({ inputMetadata, outputMetadata }: RuntimeSession): GraphTable {
  const inputs = inputMetadata.map((one) => {
    const value = toValue(one)
    if (value !== undefined) return value
    throw new UnsupportedError(`its input ${String(fieldsOf(one)['name'])} is no tensor of a type that is run here`)
  })
  return { inputs, outputs: outputMetadata.flatMap((one) => toValue(one) ?? []) }
}

function toValue(metadata: unknown): GraphValue | undefined {
  const { name, isTensor, type, shape } = fieldsOf(metadata)
  if (isTensor !== true || typeof name !== 'string' || !isRawType(type) || !Array.isArray(shape)) return undefined
  return { name, type, shape: shape.map((dim: unknown) => (typeof dim === 'number' ? dim : String(dim))) }
}

/** The runtime's tensor as plain data, on memory of its own. */
function toPlain(name: string, value: unknown): RawTensor {
  if (typeof value !== 'object' || value === null || !('type' in value && 'dims' in value && 'data' in value)) {
    throw new UnsupportedError(`the graph gave no tensor for ${name}`)
  }
  const { type, dims, data } = value
  // A Float16Array is kept as its bits.
  const bits =
    type === 'float16' && ArrayBuffer.isView(data)
      ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
      : data
  const plain = { type, dims: Array.isArray(dims) ? dims.map(Number) : [], data: bits }
  if (isRawTensor(plain)) return plain
  throw new BackendError(`the graph gave a tensor of ${String(type)} for ${name} that is none`, { retryable: false })
}
