import type { RunTokens, TaskOutput } from '@x/infer-core'
import { z, type ZodType } from 'zod'

import { badRequest, type HttpError } from './http-error.ts'
import { readByHand, textSchema } from './openapi/json-schema.ts'
import type { ServedModel } from './ports.ts'
import { resultsOf, truncatedHeader } from './results-of.ts'
import type { Asked } from './route.ts'

const TASK = 'rerank'

/** A field of documents, which `documentsOf` reads. */
export const documentsField = (): ZodType =>
  readByHand(
    z.unknown().optional(),
    ({ maxInputs, maxTextCharacters }) => ({
      type: 'array',
      items: { type: 'string', maxLength: maxTextCharacters },
      minItems: 1,
      maxItems: maxInputs,
    }),
    { required: true },
  )

/** A field of a text that is not empty. */
export const textField = (): ZodType<string> => readByHand(z.string(), textSchema)

export interface RankingAsked {
  query: string
  documents: readonly string[]
  /** The field of the documents, for errors. */
  field: string
  /** The model, as the request names it. */
  named: string | undefined
  /** How many to give. Default: all. */
  count?: number | undefined
  /** The number that the model gives, and not its sigmoid. */
  isRaw?: boolean | undefined
  /** Leaves out what the model has no room for, and says so, instead of refusing it. */
  truncate: boolean
}

export interface Ranking {
  model: ServedModel
  /** The best first. */
  ranked: TaskOutput<typeof TASK>
  headers: Record<string, string>
  tokens: RunTokens | undefined
}

/**
 * Documents by how well they answer a query.
 *
 * @throws {HttpError} 400: one would have been cut, or the query is empty.
 */
export async function rankDocuments(asked: Asked, wanted: RankingAsked): Promise<Ranking> {
  const { ports, signal, caller } = asked
  const { query, documents, field, named, count, isRaw = false, truncate } = wanted
  if (query === '') throw badRequest('the query is empty', { code: 'empty_input', param: 'query' })
  const model = await asked.model([TASK], named)
  const options = { top_k: count, function_to_apply: isRaw ? 'none' : 'sigmoid' }
  const answer = await ports.inference.run(TASK, model, { query, documents }, { caller, signal, options })
  if (!truncate) assertWhole(answer.tokens, field)
  const { headers, tokens } = await resultsOf(model, [answer], ports.receipts)
  return { model, ranked: answer.output, headers: { ...headers, ...truncatedHeader([answer]) }, tokens }
}

/**
 * The documents of a request. One may be empty: it is ranked as any other.
 *
 * @throws {HttpError} 400: none, too many, or one is no text.
 */
export function documentsOf(given: unknown, most: number, field: string): readonly string[] {
  const wrong = (message: string, code?: string): HttpError => badRequest(message, { param: field, code })
  if (!Array.isArray(given)) throw wrong(`${field} is wanted, a list of texts`)
  const documents: readonly unknown[] = given
  if (documents.length === 0) throw wrong(`${field} is an empty list`, 'empty_input')
  if (documents.length > most) throw wrong(`${documents.length} texts; at most ${most} are taken at a time`)
  const texts = documents.filter((document) => typeof document === 'string')
  if (texts.length < documents.length) throw wrong(`${field} is a list of texts, and of nothing else`)
  return texts
}

/** @throws {HttpError} 400: part of a document was not read. */
function assertWhole(tokens: RunTokens | undefined, field: string): void {
  if (tokens === undefined || tokens.cut === 0) return
  throw badRequest(
    `${field} have, each with the query before it, ${tokens.cut} tokens more than the model reads; with "truncate": true they are left out`,
    { code: 'context_length_exceeded', param: field },
  )
}
