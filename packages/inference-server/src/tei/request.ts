import type { RunTokens } from '@x/infer-core'
import { z, type ZodType } from 'zod'

import { badRequest } from '../http-error.ts'
import { notTaken } from '../openapi/json-schema.ts'

/** What all requests of text-embeddings-inference may have, and `model`, which is ours: where several are served. */
export interface TeiRequest {
  model?: string | null | undefined
  truncate?: boolean | null | undefined
  truncation_direction?: 'Left' | 'Right' | 'left' | 'right' | null | undefined
  prompt_name?: string | null | undefined
}

export const TEI_FIELDS: { [Field in keyof Required<TeiRequest>]: ZodType<TeiRequest[Field]> } = {
  model: z.string().nullish(),
  truncate: z.boolean().nullish(),
  truncation_direction: notTaken(z.enum(['Left', 'Right', 'left', 'right']).nullish(), 'Right', 'right'),
  prompt_name: notTaken(z.string().nullish()),
}

/**
 * How the model is asked, of what all requests may say.
 *
 * @throws {HttpError} 400: something that is not done here.
 */
export function teiOptionsOf(request: TeiRequest): { named: string | undefined; truncate: boolean } {
  if (request.truncation_direction?.toLowerCase() === 'left') throw notDone('truncation_direction', 'Left')
  if (request.prompt_name !== undefined && request.prompt_name !== null)
    throw notDone('prompt_name', request.prompt_name)
  return { named: request.model ?? undefined, truncate: request.truncate ?? false }
}

const notDone = (param: string, value: string): Error =>
  badRequest(`${param} ${JSON.stringify(value.slice(0, 100))} is not done here`, { param, code: 'unsupported_value' })

/** What was read, as text-embeddings-inference says it. */
export function computeHeaders(texts: readonly string[], tokens: RunTokens | undefined): Record<string, string> {
  const characters = texts.reduce((sum, text) => sum + Array.from(text).length, 0)
  return {
    'x-compute-characters': String(characters),
    // What nobody counted is not made up.
    ...(tokens && { 'x-compute-tokens': String(tokens.input) }),
  }
}
