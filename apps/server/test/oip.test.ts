import { OIP_TYPES, tensorBytes, type RawType } from '@x/infer-core'
import { expect, it } from 'vitest'

import type { Graph } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { only, openGraph, openModels, start } from './support.ts'

const TYPES: readonly RawType[] = [
  ...(['float32', 'float64', 'float16', 'int8', 'int16', 'int32', 'int64'] as const),
  ...(['uint8', 'uint16', 'uint32', 'uint64', 'bool', 'string'] as const),
]

/** Gives what it is given, of every type. */
const TWINS: Graph = {
  nodes: TYPES.map((type) => ['Identity', [type], [`${type}_out`]] as const),
  inputs: Object.fromEntries(TYPES.map((type) => [type, [type, ['n']]])),
  outputs: Object.fromEntries(TYPES.map((type) => [`${type}_out`, [type, ['n']]])),
}

const WIDTHS: Partial<Record<RawType, number>> = { float16: 2, int16: 2, uint16: 2, float32: 4, int32: 4, uint32: 4 }

/** Two items of a type, as bytes. */
function bytesOf(type: RawType): Uint8Array {
  if (type === 'string') return Uint8Array.of(2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0)
  if (type === 'bool') return Uint8Array.of(1, 0)
  const width = type.endsWith('64') ? 8 : (WIDTHS[type] ?? 1)
  return Uint8Array.from({ length: 2 * width }, (_, at) => (at * 37) % 64)
}

it('runs the graph of a model without a task on binary tensors of every type', async () => {
  const model = await openGraph(TWINS)
  const { url } = await start([{ model, name: 'twins', task: 'raw-tensors' }])
  const metadata: unknown = await (await fetch(`${url}/v2/models/twins`)).json()
  expect(metadata).toMatchObject({ versions: [model.cid.toString()], properties: { file: 'model.onnx' } })
  const pieces = TYPES.map((type) => bytesOf(type))
  const inputs = TYPES.map((type, at) => {
    const parameters = { binary_data_size: pieces[at]?.length }
    return { name: type, datatype: OIP_TYPES[type], shape: [2], parameters }
  })
  const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }))
  const response = await fetch(`${url}/v2/models/twins/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(head.length) },
    body: Buffer.concat([head, ...pieces]),
  })
  expect(response.status).toBe(200)
  const bytes = Buffer.from(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length'))
  expect(bytes.subarray(length)).toEqual(Buffer.concat(pieces))
  const about: unknown = JSON.parse(bytes.subarray(0, length).toString())
  const outputs = inputs.map((input) => ({ ...input, name: `${input.name}_out` }))
  expect(about).toMatchObject({ model_version: model.cid.toString(), outputs })
  expect((await fetch(`${url}/receipts/${response.headers.get('x-ipfs-accelerate-receipt')}`)).status).toBe(200)
  const wrong = await fetch(`${url}/v2/models/twins/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'int8', datatype: 'INT8', shape: [1], data: [1] }] }),
  })
  expect([wrong.status, await wrong.json()]).toEqual([400, { error: expect.any(String) }])
})

const threes = (name: string, value: number): unknown => ({
  name,
  datatype: 'INT64',
  shape: [1, 3],
  data: [value, value, value],
})

it('runs the graph of a model that has a task too, and none that the model has not', async () => {
  const model = only(await openModels('tiny-bert'))
  const { url } = await start([{ model, name: 'bert' }])
  const data = BigInt64Array.of(1n, 2n, 3n)
  const ids = tensorBytes({ type: 'int64', dims: [1, 3], data })
  const ask = async (parameters?: unknown): Promise<[number, unknown]> => {
    const ofIds = { name: 'input_ids', datatype: 'INT64', shape: [1, 3], parameters: { binary_data_size: ids.length } }
    const inputs = [ofIds, threes('attention_mask', 1), threes('token_type_ids', 0)]
    const head = Buffer.from(JSON.stringify({ inputs, parameters }))
    const headers = { 'inference-header-content-length': String(head.length) }
    const body = Buffer.concat([head, ids])
    const response = await fetch(`${url}/v2/models/bert/infer`, { method: 'POST', headers, body })
    return [response.status, await response.json()]
  }
  const outputs = [{ name: 'last_hidden_state', datatype: 'FP32', shape: [1, 3, expect.any(Number)] }]
  for (const parameters of [undefined, { file: 'onnx/model.onnx' }, { dtype: 'fp32' }])
    expect(await ask(parameters)).toMatchObject([200, { outputs }])
  for (const parameters of [{ file: 'config.json' }, { file: '../../etc/passwd' }, { dtype: 'q8' }, { dtype: 'none' }])
    expect([parameters, await ask(parameters)]).toEqual([parameters, [400, { error: expect.any(String) }]])
})
