import { InvalidInputError } from '@x/storage-core'

import type { JsonObject } from './json-schema.ts'
import type { OpenApiOperation, OpenApiPart } from './open-api-part.ts'

export interface OpenApiDocumentOptions {
  /** Of the program that serves. */
  version: string
  /** Whether who asks has to show a token. */
  needsToken: boolean
}

/** A document of OpenAPI 3.1. */
export interface OpenApiDocument {
  readonly openapi: '3.1.1'
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly servers: readonly { readonly url: string }[]
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  /** By path and method. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>
  readonly components: JsonObject
}

const DESCRIPTION = `HEAD is answered where GET is. A path's segments are percent-encoded. Another method of a path is 405, a
Host that is not this server's 421, and a request of a web page from elsewhere 403.`

/**
 * What a server answers, in all its parts.
 *
 * @throws {InvalidInputError} Two operations have the same id, or path and method; or a path has something that is not described.
 */
export function openApiDocument(
  parts: readonly OpenApiPart[],
  { version, needsToken }: OpenApiDocumentOptions,
): OpenApiDocument {
  const paths: Record<string, Record<string, JsonObject>> = {}
  const ids = new Set<string>()
  let hasSecurity = false
  for (const { operations, pathParameters } of parts) {
    for (const operation of operations) {
      const { id, path } = operation
      const method = operation.method.toLowerCase()
      const methods = (paths[path] ??= {})
      if (ids.has(id) || method in methods) throw new InvalidInputError(`${id} is there twice`, { input: id })
      ids.add(id)
      const isSecured = operation.scope !== 'none' && (needsToken || operation.scope === 'admin')
      hasSecurity ||= isSecured
      methods[method] = toOperation(operation, pathParameters, isSecured)
    }
  }
  return {
    openapi: '3.1.1',
    info: { title: 'IPFS Accelerate', version, description: DESCRIPTION.replaceAll('\n', ' ') },
    servers: [{ url: '/' }],
    tags: parts.flatMap(({ tags }) => tags),
    paths,
    components: {
      ...mergedComponents(parts),
      ...(hasSecurity && { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } }),
    },
  }
}

function toOperation(
  { id, path, tag, summary, description, scope, variantOf, responses, requestBody, ...operation }: OpenApiOperation,
  pathParameters: OpenApiPart['pathParameters'],
  isSecured: boolean,
): JsonObject {
  const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => name)
  const parameters = [...names.map((name) => pathParameter(name, pathParameters)), ...(operation.parameters ?? [])]
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(variantOf !== undefined && { 'x-variant-of': variantOf }),
    ...(isSecured && { security: [{ bearer: [scope] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody && { requestBody }),
    responses: isSecured ? responses : Object.fromEntries(Object.entries(responses).filter(([code]) => code !== '401')),
  }
}

function pathParameter(name: string, described: OpenApiPart['pathParameters']): JsonObject {
  const description = described[name]
  if (description === undefined) throw new InvalidInputError(`{${name}} is not described`, { input: name })
  return { name, in: 'path', required: true, description, schema: { type: 'string', minLength: 1 } }
}

function mergedComponents(parts: readonly OpenApiPart[]): Record<string, Record<string, JsonObject>> {
  const merged: Record<string, Record<string, JsonObject>> = {}
  for (const { components = {} } of parts) {
    for (const [kind, named] of Object.entries(components)) merged[kind] = { ...merged[kind], ...named }
  }
  return merged
}
