import path from 'node:path'

import { InvalidInputError, isStorageError, UnsupportedError } from '@x/cid'
import { isRawTensor, isRawType, type GraphValue, type RawTensor, type RawTensors, type Software } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { fieldsOf } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { ownSoftware } from '../installed-versions.ts'
import { PREPACKED } from '../numeric-class.ts'
import { libraryRuntime, type RuntimeSession } from '../providers/library-runtime.ts'
import type { Versions } from '../transformers.ts'
import type { ChosenGraph } from './choose-graph.ts'

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
  versions: Versions
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
  model: OpenedModel,
  { file, files }: ChosenGraph,
  { executionProvider: first, nextProvider, signal }: LoadGraphOptions,
): Promise<LoadedGraph> {
  const runtime = libraryRuntime()
  for (const one of files) await model.verifiedPath?.(one, { verify: 'stored', signal })
  const source = await sourceOf(model, file, files, signal)
  let executionProvider = first
  let session: RuntimeSession | undefined
  while (session === undefined) {
    try {
      // With one alone, and no other to move to, a session runs on it or is not made.
      session = await runtime.InferenceSession.create(source.graph, {
        executionProviders: [executionProvider],
        ...(!runtime.isWasm && PREPACKED),
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
      versions: versionsOfRaw(runtime.version),
      async run(feeds, outputs) {
        const given = Object.entries(feeds).map(([name, tensor]) => [name, toRuntime(runtime, tensor)])
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

/** As ONNX Runtime takes it. Where there is a Float16Array it makes one of a float16 tensor's bits, which its native build cannot read. */
function toRuntime({ Tensor, isWasm }: ReturnType<typeof libraryRuntime>, { type, dims, data }: RawTensor): object {
  const tensor = new Tensor(type, data, dims)
  if (type === 'float16' && !isWasm) Object.defineProperty(tensor, 'data', { value: data })
  return tensor
}

/** What runs a graph on raw tensors: the runtime, and this package, which gives them to it. */
const versionsOfRaw = (runtime: Software): Versions => ({ runtime, library: ownSoftware(), tools: [] })

async function sourceOf(
  model: OpenedModel,
  file: string,
  files: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ graph: string | Uint8Array; options: Record<string, unknown> }> {
  const local = model.path(file)
  if (local !== undefined) return { graph: local, options: {} }
  const externalData = []
  for (const one of files) {
    if (one === file) continue
    const data = await model.read(one, { signal })
    externalData.push({ path: path.posix.relative(path.posix.dirname(file), one), data })
  }
  const graph = await model.read(file, { signal })
  return { graph, options: externalData.length > 0 ? { externalData } : {} }
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
