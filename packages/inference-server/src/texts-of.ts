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
 * The texts of an embeddings request.
 *
 * @param field - That they came in.
 *
 * @throws {HttpError} 400: none, too many, an empty one, or token ids, which are of the client's tokenizer.
 */
export function textsOf(input: unknown, most: number, field: string): readonly string[] {
  const texts: readonly unknown[] = Array.isArray(input) ? input : [input]
  const wrong = (message: string, code?: string): HttpError => badRequest(message, { param: field, code })
  if (input === undefined || input === null) throw wrong(`${field} is wanted: a text, or a list of texts`)
  if (texts.length === 0) throw wrong(`${field} is an empty list`, 'empty_input')
  if (texts.length > most) throw wrong(`${texts.length} texts; at most ${most} are taken at a time`)
  for (const text of texts) {
    if (typeof text === 'number' || Array.isArray(text)) {
      throw badRequest(
        "token ids are those of the client's tokenizer, and not of this model: send texts (check_embedding_ctx_length=False in LangChain for Python)",
        { param: field, code: 'unsupported_value' },
      )
    }
    if (typeof text !== 'string') throw wrong(`${field} is a text, or a list of texts`)
    if (text === '') throw wrong('a text is empty', 'empty_input')
  }
  return texts.filter((text) => typeof text === 'string')
}
