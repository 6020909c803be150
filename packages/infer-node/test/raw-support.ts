/** Graphs that are run on raw tensors, and ONNX Runtime called directly, to compare with. */
import { createRequire } from 'node:module'

import type { Files } from '@x/fixtures'
import { isRawTensor, type RawTensor, type RawTensors, type RawType } from '@x/infer-core'
import { addModel, openModel, type OpenedModel } from '@x/model-loader'

import { encodeModel, encodeModelExternal, float32, type Graph } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { createSha256, filesSource, openStore } from './support.ts'

export async function openFiles(files: Files): Promise<OpenedModel> {
  const { store } = await openStore()
  const { cid } = await addModel(store, filesSource(files), { createSha256 })
  return openModel(store, `ipfs://${cid}`)
}

export const ALL_TYPES: readonly RawType[] = [
  ...(['float32', 'float64', 'float16', 'int8', 'int16', 'int32', 'int64'] as const),
  ...(['uint8', 'uint16', 'uint32', 'uint64', 'bool', 'string'] as const),
]

/** Gives what it is given, of every type, and the shape of it. */
export const identities = (dims: readonly (number | string)[]): Graph => ({
  nodes: [
    ...ALL_TYPES.map((type) => ['Identity', [type], [`${type}_out`]] as const),
    ['Shape', ['float32'], ['shape']],
  ],
  inputs: Object.fromEntries(ALL_TYPES.map((type) => [type, [type, dims]])),
  outputs: {
    ...Object.fromEntries(ALL_TYPES.map((type) => [`${type}_out`, [type, dims] as const])),
    shape: ['int64', [dims.length]],
  },
})

/** `y = x · w`, and the largest of each row. */
export const product: Graph = {
  nodes: [
    ['MatMul', ['x', 'w'], ['y']],
    ['ReduceMax', ['y'], ['most'], { axes: [1], keepdims: 0 }],
  ],
  initializers: { w: float32([3, 2], [1, 2, 3, 4, 5, 6]) },
  inputs: { x: ['float32', ['rows', 3]] },
  outputs: { y: ['float32', ['rows', 2]], most: ['float32', ['rows']] },
}

/** `product` with more columns, and its weights in a file of their own. */
export function openExternal(): Promise<OpenedModel> {
  const numbers = Float32Array.from({ length: 600 }, (_, index) => index % 7)
  const wide = { ...product, initializers: { w: float32([3, 200], numbers) } }
  const shaped = { ...wide, outputs: { y: ['float32', ['rows', 200]], most: ['float32', ['rows']] } } as const
  const { model, data } = encodeModelExternal(shaped, 'weights.bin')
  const config = Uint8Array.from(Buffer.from('{}'))
  return openFiles({ 'config.json': config, 'graphs/wide.onnx': model, 'graphs/weights.bin': data })
}

export const graphOf = (graph: Graph): Uint8Array<ArrayBuffer> => encodeModel(graph)

interface Runtime {
  InferenceSession: {
    create(graph: Uint8Array): Promise<{
      run(feeds: object): Promise<Record<string, { type: string; dims: number[]; data: unknown }>>
      release(): Promise<void>
    }>
  }
}

const load = createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers'))

/** What ONNX Runtime gives, or how it refuses. */
export async function runDirectly(
  graph: Uint8Array,
  feeds: RawTensors,
): Promise<{ output: Record<string, RawTensor> } | { refused: unknown }> {
  const { InferenceSession }: Runtime = load('onnxruntime-node')
  const session = await InferenceSession.create(graph)
  try {
    // Not its own tensors: of float16 it would make arrays that it cannot read.
    const given = Object.entries(feeds).map(([name, tensor]) => [name, { ...tensor, location: 'cpu' }])
    const results = await session.run(Object.fromEntries(given))
    return {
      output: Object.fromEntries(
        Object.entries(results).map(([name, { type, dims, data }]) => [name, plain(type, dims, data)]),
      ),
    }
  } catch (refused) {
    return { refused }
  } finally {
    await session.release()
  }
}

function plain(type: string, dims: readonly number[], data: unknown): RawTensor {
  const bits =
    type === 'float16' && ArrayBuffer.isView(data)
      ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
      : data
  const tensor = { type, dims: [...dims], data: bits }
  if (isRawTensor(tensor)) return tensor
  throw new TypeError(`ONNX Runtime gave no tensor of ${type}`)
}
