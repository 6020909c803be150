import type { Scope } from '../admit.ts'
import type { JsonObject } from './json-schema.ts'

/** A request that is answered, as OpenAPI says it. */
export interface OpenApiOperation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With what varies in braces. */
  readonly path: string
  /** No other's, and for ever. */
  readonly id: string
  readonly tag: string
  /** One line. */
  readonly summary: string
  readonly description?: string | undefined
  readonly scope: Scope
  /** The id of an operation of which this is another path. */
  readonly variantOf?: string | undefined
  /** Of its query and headers; of its path there are those that the part describes. */
  readonly parameters?: readonly JsonObject[] | undefined
  readonly requestBody?: JsonObject | undefined
  /** By status. That of 401 is left out where nobody has a token. */
  readonly responses: Readonly<Record<string, JsonObject>>
}

/** What one handler of those that share a port answers, for `openApiDocument`. */
export interface OpenApiPart {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  /** What stands for what varies in paths, by name. */
  readonly pathParameters: Readonly<Record<string, string>>
  readonly operations: readonly OpenApiOperation[]
  /** By kind and name, for `$ref`. */
  readonly components?: Readonly<Record<string, Readonly<Record<string, JsonObject>>>> | undefined
}
