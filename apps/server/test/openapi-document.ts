import type { JsonObject } from '@x/inference-server'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

export interface Operation {
  id: string
  method: string
  path: string
  said: JsonObject
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function at(value: unknown, ...keys: readonly string[]): JsonObject {
  let found: unknown = value
  for (const key of keys) found = isObject(found) ? found[key] : undefined
  if (isObject(found)) return found
  throw new TypeError(`no object at ${keys.join('.')}`)
}

export const operationsIn = (document: JsonObject): Operation[] =>
  Object.entries(at(document, 'paths')).flatMap(([path, methods]) =>
    Object.entries(at(methods)).map(([method, said]) => ({
      id: String(at(said)['operationId']),
      method: method.toUpperCase(),
      path,
      said: at(said),
    })),
  )

/** With no field in an object that is not described. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (!isObject(schema)) return schema
  const inside = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  return isObject(schema['properties']) ? { additionalProperties: false, ...inside } : inside
}

export interface DocumentReader {
  /** What tells whether a value is what the document says. */
  validatorOf: (schema: unknown) => ValidateFunction
  /** The same, of which nothing is there that is not described. */
  exactValidatorOf: (schema: unknown) => ValidateFunction
  /** What stands where a reference leads. */
  resolve: (value: unknown) => JsonObject
}

export function readDocument(document: JsonObject): DocumentReader {
  const { components } = document
  const of = (change: (schema: unknown) => unknown): ((schema: unknown) => ValidateFunction) => {
    const own = { $id: 'document:', components: change(components) }
    const ajv = new Ajv2020({ strict: false, formats: { base64: true }, schemas: [own] })
    // References are to the document, wherever they stand.
    const text = (schema: unknown): string => JSON.stringify(change(schema)).replaceAll('"#/', '"document:#/')
    return (schema) => ajv.compile(at(JSON.parse(text(schema))))
  }
  return {
    validatorOf: of((schema) => schema),
    exactValidatorOf: of(closed),
    resolve(value) {
      const { $ref } = at(value)
      return typeof $ref === 'string' ? at(document, ...$ref.slice('#/'.length).split('/')) : at(value)
    },
  }
}
