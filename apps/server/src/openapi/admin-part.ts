import { SERVED_TASKS, type JsonObject, type OpenApiPart } from '@x/inference-server'

import { answers, COUNT, errorComponents, fields, json, lines, listOf, query, TEXT } from './describe.ts'

const orNull = (type: string): JsonObject => ({ type: [type, 'null'] })

const HELD = fields({
  task: TEXT,
  state: TEXT,
  bytes: COUNT,
  queued: COUNT,
  executionProvider: orNull('string'),
  usedAt: TEXT,
  quarantinedUntil: orNull('string'),
})

const MODEL = fields({
  name: TEXT,
  cid: TEXT,
  tasks: listOf(TEXT),
  servedSince: TEXT,
  requests: COUNT,
  held: listOf(HELD),
})

const SERVER = fields({
  pid: COUNT,
  startedAt: TEXT,
  version: TEXT,
  isClosing: { type: 'boolean' },
  inFlight: COUNT,
  queued: COUNT,
  queuedBytes: COUNT,
})

/** An event, as its name says which. */
const event = (name: string, said: Record<string, JsonObject>): JsonObject =>
  fields({ event: { const: name }, ...said })

const EVENT: JsonObject = {
  anyOf: [
    event('opening', {}),
    event('progress', { bytes: COUNT, blocks: COUNT }),
    event('loading', { cid: TEXT }),
    event('loaded', { model: MODEL }),
    event('failed', { status: COUNT, code: orNull('string'), error: TEXT }),
  ],
}

const given = (description: string): JsonObject => ({ type: ['string', 'null'], minLength: 1, description })

const WANTED: JsonObject = {
  type: 'object',
  required: ['reference'],
  additionalProperties: false,
  properties: {
    reference: {
      type: 'string',
      minLength: 1,
      description: 'a CID, a name of the store, or what else the server opens',
    },
    name: given('what clients may call it beside its CID'),
    task: { enum: [...SERVED_TASKS, 'raw-tensors', null], description: 'default: what its repository says' },
    dtype: given('which variant'),
  },
}

/** Models that come and go. */
export const ADMIN_PART: OpenApiPart = {
  tags: [{ name: 'admin', description: 'the models that are served, for who runs the server' }],
  pathParameters: { served: 'the name of a model here, or its CID' },
  operations: [
    {
      method: 'GET',
      path: '/admin/v1/models',
      tag: 'admin',
      id: 'listServed',
      summary: 'The server, the models that it serves, and what these take',
      scope: 'admin',
      responses: answers({ 200: json('as it is now', fields({ server: SERVER, models: listOf(MODEL) })) }, []),
    },
    {
      method: 'POST',
      path: '/admin/v1/models',
      tag: 'admin',
      id: 'loadModel',
      summary: 'Opens, verifies and loads another model, and serves it; who leaves before stops it',
      scope: 'admin',
      requestBody: {
        required: true,
        content: { 'application/json': { schema: WANTED, example: { reference: 'ipfs://bafybei...' } } },
      },
      responses: answers(
        { 200: lines('what goes on; the last is `loaded` or `failed`', EVENT) },
        [400, 408, 413, 415, 501],
      ),
    },
    {
      method: 'DELETE',
      path: '/admin/v1/models/{served}',
      tag: 'admin',
      id: 'unloadModel',
      summary: 'Serves a model no more; what was asked before is answered',
      scope: 'admin',
      parameters: [query('drain', 'wait for requests that are about it; else they are 409', { type: 'boolean' })],
      responses: answers({ 200: json('it is not served', fields({ unloaded: MODEL })) }, [400, 404, 409]),
    },
  ],
  components: errorComponents('stored'),
}
