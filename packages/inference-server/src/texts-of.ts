import { z, type ZodType } from 'zod'

import { badRequest, type HttpError } from './http-error.ts'
import type { Limits } from './inference-options.ts'
import { readByHand, textSchema } from './openapi/json-schema.ts'

/** A field of a text or a list of texts, which `textsOf` reads. */
export const textsField = (most: 'maxInputs' | 'maxPrompts'): ZodType =>
  readByHand(
    z.unknown().optional(),
    (limits: Limits) => {
      const text = textSchema(limits)
      return { anyOf: [text, { type: 'array', items: text, minItems: 1, maxItems: limits[most] }] }
    },
    { required: true },
  )

/**
 * The texts of a request.
 *
 * @param field - That they came in.
 * @throws {HttpError} 400: none, too many, an empty one, or token ids, which are of the client's tokenizer.
 */
export function textsOf(input: unknown, most: number, field: string): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(input) ? input : [input]
  const wrong = (message: string, code?: string): HttpError => badRequest(message, { param: field, code })
  if (input === undefined || input === null) throw wrong(`${field} is wanted: a text, or a list of texts`)
  assertCount(texts.length, most, field)
  for (const text of texts) {
    if (isTokens(text)) throw wrong(TOKENS, 'unsupported_value')
    if (typeof text !== 'string') throw wrong(`${field} is a text, or a list of texts`)
    if (text === '') throw wrong('a text is empty', 'empty_input')
  }
  return texts.filter((text) => typeof text === 'string')
}

/** @throws {HttpError} 400: there is none, or there are too many. */
export function assertCount(count: number, most: number, field: string): void {
  if (count === 0) throw badRequest(`${field} is an empty list`, { param: field, code: 'empty_input' })
  if (count > most) throw badRequest(`${count} texts; at most ${most} are taken at a time`, { param: field })
}

const TOKENS =
  "token ids are those of the client's tokenizer, and not of this model: send texts (of embeddings: check_embedding_ctx_length=False in LangChain for Python)"

const isTokens = (value: unknown): boolean =>
  typeof value === 'number' ||
  (Array.isArray(value) && value.length > 0 && value.every((each: unknown) => typeof each === 'number'))
