import type { JsonObject } from '@x/inference-server'

export const TEXT: JsonObject = { type: 'string' }
export const COUNT: JsonObject = { type: 'integer', minimum: 0 }

/** An object with these fields, of which some may be absent. */
export const fields = (properties: Record<string, JsonObject>, optional: readonly string[] = []): JsonObject => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
})

export const listOf = (items: JsonObject): JsonObject => ({ type: 'array', items })

/** An answer of one of these media types, with the schema of what has one. */
export const answer = (description: string, content: Record<string, JsonObject> = {}): JsonObject => ({
  description,
  content: Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [type, Object.keys(schema).length > 0 ? { schema } : {}]),
  ),
})

export const json = (description: string, schema: JsonObject): JsonObject =>
  answer(description, { 'application/json': schema })

/** One JSON text on each line, for which OpenAPI 3.1 has no word. */
export const lines = (description: string, schema: JsonObject): JsonObject => ({
  description,
  content: { 'application/x-ndjson': { schema: TEXT, 'x-line-schema': schema } },
})

/** @param example - For who asks for the first time. */
export const query = (name: string, description: string, schema: JsonObject = TEXT, example?: string): JsonObject => ({
  name,
  in: 'query',
  description,
  schema,
  ...(example !== undefined && { example }),
})

export const header = (name: string, description: string): JsonObject => ({
  name,
  in: 'header',
  description,
  schema: TEXT,
})

const REASONS: Readonly<Record<number, string>> = {
  400: 'it cannot be asked for like this',
  401: 'no token, or one that is not known',
  403: 'the token is not for it, or there is none; the page is from elsewhere; it is switched off',
  404: 'known to be absent',
  406: 'a format that is not sent',
  408: 'the body was too slow',
  409: 'another writer is at it, or it is in use',
  410: 'not served, or too large',
  412: 'it is not as the request says that it is',
  413: 'the body is too long',
  414: 'the path is too long',
  415: 'a body of no type that is taken',
  416: 'a range outside of it',
  422: 'the upload is not what was expected, or damaged',
  429: 'too many requests at a time, or too often: again after `retry-after`',
  500: 'damaged here, or whether it is there cannot be told',
  501: 'it is not done here',
  504: 'the store may answer later',
  507: 'there is no room left',
}

/** Errors of all that is no route of a model. */
const ERROR = fields({ error: TEXT, code: TEXT, current: { type: ['string', 'null'] } }, ['code', 'current'])

const JSON_ERROR = { 'application/json': { schema: { $ref: '#/components/schemas/storedError' } } }

/** Of a gateway what the store says is a line of text. */
const GATEWAY_ERROR = { 'application/json': JSON_ERROR['application/json'], 'text/plain': { schema: TEXT } }

const CONTENTS: Readonly<Record<ErrorKind, JsonObject>> = { stored: JSON_ERROR, gateway: GATEWAY_ERROR }

type ErrorKind = 'stored' | 'gateway'

const nameOf = (kind: ErrorKind, status: number | string): string => `${kind}${status}`

type Components = Readonly<Record<'schemas' | 'responses', Readonly<Record<string, JsonObject>>>>

/** What `answers` refers to. */
export const errorComponents = (kind: ErrorKind): Components => ({
  schemas: { storedError: ERROR },
  responses: Object.fromEntries(
    Object.entries(REASONS).map(([status, description]) => [
      nameOf(kind, status),
      { description, content: CONTENTS[kind] },
    ]),
  ),
})

/** Answers by status, with these errors and those of who may not ask. */
export function answers(
  good: Readonly<Record<number, JsonObject>>,
  statuses: readonly number[],
  kind: ErrorKind = 'stored',
): Record<string, JsonObject> {
  const errors = [401, 403, 429, ...statuses].map((status) => [
    status,
    { $ref: `#/components/responses/${nameOf(kind, status)}` },
  ])
  return { ...Object.fromEntries(errors), ...good }
}
