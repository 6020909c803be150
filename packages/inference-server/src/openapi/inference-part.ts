import type { ZodType } from 'zod'

import type { Dialect } from '../dialect.ts'
import { toLimits, type InferenceHandlerOptions, type Limits } from '../inference-options.ts'
import type { Route } from '../route.ts'
import { isOfModel, ROUTES, templateOf } from '../routes.ts'
import type { DescribedAnswer, DescribedBody } from './described.ts'
import { ERROR_SCHEMAS, errorStatuses, REASONS } from './errors.ts'
import { HEADERS, type HeaderName } from './headers.ts'
import { toJsonSchema, type JsonObject } from './json-schema.ts'
import type { OpenApiOperation, OpenApiPart } from './open-api-part.ts'

const TAGS: Readonly<Record<Dialect, string>> = {
  openai: 'as OpenAI answers, with Cohere’s ranking, and receipts',
  tei: 'as text-embeddings-inference and endpoints of Hugging Face answer',
  oip: 'the Open Inference Protocol, version 2',
}

const DIALECTS: readonly Dialect[] = ['openai', 'tei', 'oip']

const PATH_PARAMETERS = {
  model: 'a CID, or a name; its slash as %2F',
  id: 'a CID, or a name; its slash as %2F',
  version: 'the CID of the model',
  cid: 'what `x-ipfs-accelerate-receipt` said',
}

const PREFIX = '/models/{model}'

/**
 * What `createInferenceHandler` answers with these options.
 *
 * A route that is there of one model too is listed twice, with an id of its own: a variable of `servers` would be of all routes, and
 * generators of clients read no others.
 *
 * @throws {InvalidInputError} As `createInferenceHandler`.
 */
export function inferencePart(options: InferenceHandlerOptions = {}): OpenApiPart {
  const limits = toLimits(options)
  const schemas = namedSchemas(limits)
  const operations = ROUTES.flatMap((route): OpenApiOperation[] => {
    const operation = toOperation(route, schemas)
    return isOfModel(route) ? [operation, ofModel(operation)] : [operation]
  })
  return {
    tags: DIALECTS.map((name) => ({ name, description: TAGS[name] })),
    pathParameters: PATH_PARAMETERS,
    operations,
    components: { schemas: schemas.all, headers: headerComponents(), responses: errorResponses(schemas) },
  }
}

function ofModel({ path, id, summary, responses, ...operation }: OpenApiOperation): OpenApiOperation {
  return {
    ...operation,
    path: PREFIX + (path === '/' ? '' : path),
    id: `${id}OfModel`,
    variantOf: id,
    summary: `${summary}, of the model that the path names`,
    responses: { ...responses, 404: errorRef(operation.tag, 404) },
  }
}

function toOperation(route: Route, schemas: NamedSchemas): OpenApiOperation {
  const { method, dialect, scope, described } = route
  const { id, summary, description, headers = {}, body, answers, errors = [] } = described
  const name = id.charAt(0).toUpperCase() + id.slice(1)
  const statuses = errorStatuses(dialect, scope, body !== undefined, errors)
  return {
    method,
    path: templateOf(route),
    id,
    tag: dialect,
    summary,
    description,
    scope,
    parameters: Object.entries(headers).map(([header, says]) => ({
      name: header,
      in: 'header',
      description: says,
      schema: { type: 'string' },
    })),
    requestBody: body && toBody(body, schemas.refTo(`${name}Request`, body.schema)),
    responses: {
      ...Object.fromEntries(statuses.map((status) => [status, errorRef(dialect, status)])),
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, toResponse(name, answer, schemas)]),
      ),
    },
  }
}

const toBody = ({ example, isBinary = false }: DescribedBody, schema: JsonObject): JsonObject => ({
  required: true,
  content: {
    'application/json': { schema, example },
    ...(isBinary && { 'application/octet-stream': {} }),
  },
})

function toResponse(name: string, answer: DescribedAnswer, schemas: NamedSchemas): JsonObject {
  const { summary, headers = [], json, events, bytes = [], isEmpty = false } = answer
  const names: HeaderName[] = ['x-request-id', ...headers]
  const content = {
    ...(json && { 'application/json': { schema: schemas.refTo(`${name}Answer`, json) } }),
    ...(events && { 'text/event-stream': eventStream(schemas.refTo(`${name}Event`, events)) }),
    ...Object.fromEntries(bytes.map((type) => [type, {}])),
    ...(isEmpty && { 'text/plain': { schema: { type: 'string', maxLength: 0 } } }),
  }
  return {
    description: summary,
    headers: Object.fromEntries(names.map((header) => [header, { $ref: `#/components/headers/${header}` }])),
    content,
  }
}

/** OpenAPI 3.1 has no word for what each event is. */
const eventStream = (event: JsonObject): JsonObject => ({
  schema: {
    type: 'string',
    description:
      'behind `data: ` of each event JSON as `x-event-schema` says, or of the last an error; at the end `[DONE]`',
  },
  'x-event-schema': event,
})

const errorName = (dialect: string, status: number): string => `${dialect}${status}`

const errorRef = (dialect: string, status: number): JsonObject => ({
  $ref: `#/components/responses/${errorName(dialect, status)}`,
})

function errorResponses(schemas: NamedSchemas): Record<string, JsonObject> {
  const refs = DIALECTS.map((dialect) => schemas.refTo(`${dialect}Error`, ERROR_SCHEMAS[dialect]))
  const [openai] = refs
  const all = DIALECTS.flatMap((dialect, at) =>
    Object.entries(REASONS).map(([status, description]): [string, JsonObject] => {
      // Who may not ask from where they do is told so before it is known whose errors it is.
      const schema = status === '403' && at > 0 ? { anyOf: [refs[at], openai] } : refs[at]
      return [errorName(dialect, Number(status)), { description, content: { 'application/json': { schema } } }]
    }),
  )
  return Object.fromEntries(all)
}

const headerComponents = (): Record<string, JsonObject> =>
  Object.fromEntries(
    Object.entries(HEADERS).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  )

interface NamedSchemas {
  /** @returns A reference to it, by the first name that it was given. */
  refTo: (name: string, schema: ZodType) => JsonObject
  all: Record<string, JsonObject>
}

function namedSchemas(limits: Limits): NamedSchemas {
  const names = new Map<ZodType, string>()
  const all: Record<string, JsonObject> = {}
  return {
    all,
    refTo(wanted, schema) {
      const known = names.get(schema)
      const name = known ?? wanted
      if (known === undefined) {
        names.set(schema, name)
        all[name] = toJsonSchema(schema, limits)
      }
      return { $ref: `#/components/schemas/${name}` }
    },
  }
}
