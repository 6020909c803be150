import { OIP_TYPES, type RawTensor } from '@x/infer-core'
import { concatBytes } from '@x/storage-core/backend'

import { badRequest } from '../http-error.ts'
import { RESULT_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import type { GraphPort } from '../ports.ts'
import { resultsOf } from '../results-of.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { INFERRED } from './answer-schemas.ts'
import { feedsOf } from './feeds.ts'
import { graphOf, modelOfPath } from './model-of-path.ts'
import { assertDone, booleanIn, textIn } from './parameters.ts'
import { INFER_REQUEST, type InferRequest } from './schemas.ts'
import { tensorToBinary } from './tensor-binary.ts'
import { JSON_LENGTH } from './tensor-body.ts'
import { assertInJson, tensorToJson } from './tensor-json.ts'

/** Runs a graph of a model once, on tensors as they are. */
async function infer(asked: Asked): Promise<Answer> {
  const model = await modelOfPath(asked)
  const { json, binary } = await asked.tensors()
  const request = parseAs(INFER_REQUEST, json)
  assertDone(request.parameters)
  const feeds = feedsOf(request.inputs, binary)
  const choice = { file: textIn(request.parameters, 'file'), dtype: textIn(request.parameters, 'dtype') }
  const graph = await graphOf(asked, model, choice)
  const wanted = wantedOf(request, graph)
  const { caller, signal, ports } = asked
  const answer = await graph.run(feeds, { caller, signal, outputs: wanted.map(({ name }) => name) })
  const { headers } = await resultsOf(model, [answer], ports.receipts)
  const outputs = wanted.map(({ name, isBinary }) => toOutput(name, answer.output[name], isBinary))
  const { id } = request
  const body = {
    model_name: asked.parameter('model'),
    model_version: model.cid.toString(),
    ...(id !== undefined && id !== null && { id }),
    outputs: outputs.map(({ entry }) => entry),
  }
  return toAnswer(
    headers,
    body,
    outputs.flatMap(({ bytes }) => bytes ?? []),
  )
}

interface Wanted {
  name: string
  isBinary: boolean
}

/**
 * Those that are asked for, in their order, else all of the graph.
 *
 * @throws {HttpError} 400: one twice, or one of FP16 in JSON, which has no number for it.
 */
function wantedOf({ parameters, outputs }: InferRequest, graph: GraphPort): Wanted[] {
  const inAll = booleanIn(parameters, 'binary_data_output') ?? false
  const named = outputs ?? []
  for (const one of named) assertDone(one.parameters)
  const wanted =
    named.length > 0
      ? named.map((one) => ({ name: one.name, isBinary: booleanIn(one.parameters, 'binary_data') ?? inAll }))
      : graph.outputs.map(({ name }) => ({ name, isBinary: inAll }))
  const names = new Set(wanted.map(({ name }) => name))
  if (names.size < wanted.length) throw badRequest('an output is asked for twice', { param: 'outputs' })
  // Known before it is computed.
  for (const { name, isBinary } of wanted) {
    if (!isBinary) assertInJson(name, graph.outputs.find((output) => output.name === name)?.type)
  }
  return wanted
}

interface Output {
  entry: Record<string, unknown>
  /** `undefined`: it stands in the JSON. */
  bytes?: Uint8Array
}

function toOutput(name: string, tensor: RawTensor | undefined, isBinary: boolean): Output {
  if (tensor === undefined) throw new TypeError(`the graph gave no ${name}`)
  const entry = { name, shape: [...tensor.dims], datatype: OIP_TYPES[tensor.type] }
  if (!isBinary) return { entry: { ...entry, data: tensorToJson(name, tensor) } }
  const bytes = tensorToBinary(tensor)
  return { entry: { ...entry, parameters: { binary_data_size: bytes.length } }, bytes }
}

function toAnswer(headers: Record<string, string>, json: unknown, binary: readonly Uint8Array[]): Answer {
  if (binary.length === 0) return { headers, body: { json } }
  const head = new TextEncoder().encode(JSON.stringify(json))
  const total = binary.reduce((sum, { length }) => sum + length, head.length)
  const bytes = concatBytes([head, ...binary], total)
  return {
    headers: { ...headers, [JSON_LENGTH]: String(head.length) },
    body: { bytes, type: 'application/octet-stream' },
  }
}

const EXAMPLE = { inputs: [{ name: 'input_ids', shape: [1, 2], datatype: 'INT64', data: [0, 1] }] }

const at = (path: string, id: string): Route => ({
  method: 'POST',
  path,
  ofModel: false,
  dialect: 'oip',
  scope: 'infer',
  described: {
    id,
    summary: 'Runs a graph of a model once, on tensors as they are',
    description:
      'What it takes is in the metadata of the model. Of several graphs `file` or `dtype` of `parameters` says which. `binary_data` of an output, and `binary_data_output` of all, ask for bytes behind the JSON, which FP16 needs.',
    headers: { [JSON_LENGTH]: 'bytes of the JSON, behind which tensors stand' },
    body: { schema: INFER_REQUEST, example: EXAMPLE, isBinary: true },
    answers: {
      200: {
        summary: 'the outputs',
        headers: [...RESULT_HEADERS, JSON_LENGTH],
        json: INFERRED,
        bytes: ['application/octet-stream'],
      },
    },
  },
  run: infer,
})

export const INFER_ROUTES: readonly Route[] = [
  at('/v2/models/:model/infer', 'modelInfer'),
  at('/v2/models/:model/versions/:version/infer', 'modelVersionInfer'),
]
