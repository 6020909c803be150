import { OIP_TYPES, type GraphValue } from '@x/infer-core'

import type { Described } from '../openapi/described.ts'
import { modelHeader } from '../results-of.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { METADATA, SERVER } from './answer-schemas.ts'
import { graphOf, modelOfPath } from './model-of-path.ts'

const NONE: Answer = { body: { bytes: new Uint8Array(0), type: 'text/plain; charset=utf-8' } }

const UNREADY: Answer = { ...NONE, status: 503 }

/** A dimension that is known only when it runs is -1. */
const toMetadata = ({ name, type, shape }: GraphValue): Record<string, unknown> => ({
  name,
  datatype: OIP_TYPES[type],
  shape: shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
})

const server = async ({ version }: Asked): Promise<Answer> => ({
  body: { json: { name: 'ipfs-accelerate', version, extensions: ['binary_tensor_data'] } },
})

const live = async (): Promise<Answer> => NONE

const ready = async ({ ports: { inference, models } }: Asked): Promise<Answer> =>
  models.list().every((model) => inference.isReady(model)) ? NONE : UNREADY

async function modelReady(asked: Asked): Promise<Answer> {
  return asked.ports.inference.isReady(await modelOfPath(asked)) ? NONE : UNREADY
}

/** What its graph takes and gives; of several graphs the one that a request without `parameters` runs. */
async function metadata(asked: Asked): Promise<Answer> {
  const model = await modelOfPath(asked)
  const { file, inputs, outputs } = await graphOf(asked, model, {})
  return {
    headers: modelHeader(model),
    body: {
      json: {
        name: asked.parameter('model'),
        versions: [model.cid.toString()],
        platform: 'onnxruntime_onnx',
        inputs: inputs.map(toMetadata),
        outputs: outputs.map(toMetadata),
        properties: { file },
      },
    },
  }
}

interface About extends Described {
  run: Route['run']
  scope?: Route['scope'] | undefined
}

const at = (path: string, { run, scope = 'infer', ...described }: About): Route => ({
  method: 'GET',
  path,
  dialect: 'oip',
  scope,
  described,
  run,
})

const aboutServer = (id: string): About => ({
  id,
  summary: 'What the server is',
  answers: { 200: { summary: 'its name, version and extensions', json: SERVER } },
  run: server,
})

const aboutModel = (id: string): About => ({
  id,
  summary: 'What the graph of a model takes and gives',
  description:
    'Of several graphs the one that a request without `parameters` runs. A dimension that is not fixed is -1.',
  answers: { 200: { summary: 'its inputs and outputs', headers: ['x-ipfs-accelerate-model'], json: METADATA } },
  errors: [400, 404, 504, 507],
  run: metadata,
})

const YES_OR_NO = { 200: { summary: 'yes', isEmpty: true }, 503: { summary: 'no', isEmpty: true } }

const aboutReady = (id: string): About => ({
  id,
  summary: 'Whether a model would be run now',
  answers: YES_OR_NO,
  errors: [404],
  run: modelReady,
})

const LIVE: About = {
  id: 'serverLive',
  summary: 'Whether the server lives',
  answers: { 200: { summary: 'yes', isEmpty: true } },
  run: live,
  scope: 'none',
}

const READY: About = {
  id: 'serverReady',
  summary: 'Whether each model would be run now',
  answers: YES_OR_NO,
  run: ready,
  scope: 'none',
}

const MODEL = '/v2/models/:model'
const VERSION = `${MODEL}/versions/:version`

export const METADATA_ROUTES: readonly Route[] = [
  at('/v2', aboutServer('serverMetadata')),
  at('/v2/', aboutServer('serverMetadataSlash')),
  at('/v2/health/live', LIVE),
  at('/v2/health/ready', READY),
  at(MODEL, aboutModel('modelMetadata')),
  at(VERSION, aboutModel('modelVersionMetadata')),
  at(`${MODEL}/ready`, aboutReady('modelReady')),
  at(`${VERSION}/ready`, aboutReady('modelVersionReady')),
]
