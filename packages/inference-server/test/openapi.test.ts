import type { OutputValue } from '@x/infer-core'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { array, assert, asyncProperty, constantFrom, jsonValue, oneof, string } from 'fast-check'
import { beforeAll, expect, it } from 'vitest'

import { inferencePart, openApiDocument, type JsonObject, type OpenApiDocument, type ServedTask } from '../src/index.ts'
import { clientOf, modelOf, portsOf, type Client } from './support.ts'

/** Small, so that what is made up goes beyond them. */
const LIMITS = { maxInputs: 3, maxPrompts: 2, maxTextCharacters: 60 }

const vectors = (...dims: number[]): OutputValue => ({ type: 'float32', dims, data: Float32Array.of(0.5, 1) })

const OUTPUTS: Readonly<Partial<Record<ServedTask | 'tokenize', OutputValue>>> = {
  'feature-extraction': vectors(2),
  'text-classification': [{ label: 'good', score: 0.5 }],
  rerank: [{ index: 0, score: 0.5, document: 'a' }],
  'text-generation': { generated_text: 'a' },
  tokenize: [{ id: 1, text: 'a', special: false }],
}

let document: OpenApiDocument
let client: Client
/** What reads JSON as the document says it, by operation. */
let validators: ReadonlyMap<string, { path: string; example: JsonObject; validate: ValidateFunction }>

beforeAll(async () => {
  document = openApiDocument([inferencePart(LIMITS)], { version: '1.0.0', needsToken: true })
  const models = await Promise.all([
    modelOf('vectors', 'feature-extraction'),
    modelOf('labels', 'text-classification'),
    modelOf('ranks', 'rerank'),
    modelOf('texts', 'text-generation'),
  ])
  const ports = portsOf(models, (_text, { options }, _model, task) => {
    const output = options?.['pooling'] === 'none' ? vectors(1, 2) : OUTPUTS[task]
    if (output === undefined) throw new TypeError(`nothing is given for ${task}`)
    return { output, tokens: { input: 1, cut: 0 } }
  })
  client = clientOf(ports, LIMITS)
  validators = bodiesOf(document)
})

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function at(value: unknown, ...keys: readonly string[]): JsonObject {
  let found: unknown = value
  for (const key of keys) found = isObject(found) ? found[key] : undefined
  if (isObject(found)) return found
  throw new TypeError(`no object at ${keys.join('.')}`)
}

function bodiesOf({ paths, components }: OpenApiDocument): typeof validators {
  const ajv = new Ajv2020({ strict: false, schemas: [{ $id: 'doc:', components }] })
  const found: [string, { path: string; example: JsonObject; validate: ValidateFunction }][] = []
  for (const [path, methods] of Object.entries(paths)) {
    if (path.startsWith('/models/') || !('requestBody' in (methods['post'] ?? {}))) continue
    const json = at(methods, 'post', 'requestBody', 'content', 'application/json')
    const validate = ajv.compile({ $ref: `doc:${String(at(json, 'schema')['$ref'])}` })
    found.push([String(methods['post']?.['operationId']), { path, example: at(json, 'example'), validate }])
  }
  return new Map(found)
}

/** Short ones, as a pair is bounded as a whole, or such as are too long. */
const text = oneof(constantFrom('', 'a', 'Hello'), string({ minLength: 61, maxLength: 70 }))
const anything = oneof(
  text,
  array(text, { maxLength: 4 }),
  array(oneof(text, array(text, { maxLength: 3 })), { maxLength: 4 }),
  jsonValue({ maxDepth: 2 }),
)

/** Fields that are read by hand, behind their schema. */
const BY_HAND: readonly [string, string][] = [
  ['createEmbedding', 'input'],
  ['createCompletion', 'prompt'],
  ['createRerank', 'documents'],
  ['createRerank', 'query'],
  ['embed', 'inputs'],
  ['embedAll', 'inputs'],
  ['tokenize', 'inputs'],
  ['predict', 'inputs'],
  ['rerank', 'texts'],
  ['rerank', 'query'],
]

it.each(BY_HAND)('takes of %s, in %s, what the document says, and nothing else', async (id, field) => {
  const known = validators.get(id)
  if (!known) throw new Error(`there is no ${id}`)
  const { path, example, validate } = known
  const model = id === 'tokenize' ? { model: 'texts' } : {}
  await assert(
    asyncProperty(anything, async (value) => {
      const body = { ...example, ...model, [field]: value }
      const { status } = await client.post(path, body)
      expect([200, 400, 422]).toContain(status)
      expect(status === 200).toBe(validate(body))
    }),
  )
  const { [field]: _, ...without } = example
  expect([(await client.post(path, without)).status === 200, validate(without)]).toEqual([false, false])
})

it('refuses what the document does, whichever field it is in', async () => {
  const cases = [...validators.values()].map((known) => {
    const { schema } = known.validate
    const name =
      String(isObject(schema) ? schema['$ref'] : '')
        .split('/')
        .at(-1) ?? ''
    const properties = Object.keys(at(document.components, 'schemas', name)['properties'] ?? {})
    return { ...known, fields: properties.length > 0 ? properties : ['inputs', 'parameters'] }
  })
  const field = constantFrom(...cases.flatMap(({ fields, ...known }) => fields.map((name) => ({ name, ...known }))))
  let refused = 0
  await assert(
    asyncProperty(field, anything, async ({ name, path, example, validate }, value) => {
      const body = { ...example, [name]: value }
      if (validate(body)) return
      refused += 1
      const { status } = await client.post(path.replaceAll(/\{\w+\}/g, 'vectors'), body)
      expect([400, 404, 422]).toContain(status)
    }),
    { numRuns: 300 },
  )
  expect(refused).toBeGreaterThan(50)
})

it('says its own limits', () => {
  const schema = at(document.components, 'schemas', 'CreateEmbeddingRequest', 'properties', 'input')
  expect(schema).toEqual({
    anyOf: [
      { type: 'string', minLength: 1, maxLength: 60 },
      { type: 'array', items: { type: 'string', minLength: 1, maxLength: 60 }, minItems: 1, maxItems: 3 },
    ],
  })
})

it('names the scope where a token is wanted, and nowhere else', () => {
  const open = openApiDocument([inferencePart()], { version: '1.0.0', needsToken: false })
  expect(at(document.paths, '/v1/embeddings', 'post')['security']).toEqual([{ bearer: ['infer'] }])
  expect(at(document.paths, '/v1/embeddings', 'post', 'responses')).toHaveProperty('401')
  expect(at(document.paths, '/health', 'get')).not.toHaveProperty('security')
  expect(JSON.stringify(open.paths)).not.toMatch(/bearer|"401"/)
  expect(open.components).not.toHaveProperty('securitySchemes')
})

it('has no two operations of one name', () => {
  const part = inferencePart()
  expect(() => openApiDocument([part, part], { version: '1', needsToken: false })).toThrow('is there twice')
  const [first] = part.operations
  if (!first) throw new Error('there is none')
  const undescribed = { ...part, operations: [{ ...first, path: '/x/{other}' }] }
  expect(() => openApiDocument([undescribed], { version: '1', needsToken: false })).toThrow('{other} is not described')
})
