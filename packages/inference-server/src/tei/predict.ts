import { z, type ZodType } from 'zod'

import { classifyTexts } from '../classify-texts.ts'
import { badRequest } from '../http-error.ts'
import { TEI_HEADERS } from '../openapi/headers.ts'
import { readByHand, textSchema } from '../openapi/json-schema.ts'
import { parseAs } from '../parse.ts'
import type { TextPair } from '../ports.ts'
import type { Route } from '../route.ts'
import { assertCount, textsOf } from '../texts-of.ts'
import { PREDICTION } from './answer-schemas.ts'
import { computeHeaders, TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface PredictRequest extends TeiRequest {
  inputs?: unknown
  raw_scores?: boolean | null | undefined
}

const INPUTS: ZodType = readByHand(
  z.unknown().optional(),
  (limits) => {
    const text = textSchema(limits)
    const sequence = { type: 'array', items: text, minItems: 1, maxItems: 2 }
    const batch = {
      type: 'array',
      items: { anyOf: [text, sequence] },
      contains: { type: 'array' },
      maxItems: limits.maxInputs,
      description: 'several, of which one at least is a list',
    }
    return { anyOf: [text, { ...sequence, description: 'one text, or a pair' }, batch] }
  },
  { required: true },
)

const REQUEST: ZodType<PredictRequest> = z.object({
  ...TEI_FIELDS,
  inputs: INPUTS,
  raw_scores: z.boolean().nullish(),
})

/** `POST /predict` of text-embeddings-inference: all labels, the likeliest first; of one text or pair a list of them, of several a list of lists. */
export const predictRoute: Route = {
  method: 'POST',
  path: '/predict',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'predict',
    summary: 'Labels of texts or pairs of texts',
    body: { schema: REQUEST, example: { inputs: [['What a day.'], ['Not again.']] } },
    answers: {
      200: {
        summary: 'of one its labels, the likeliest first; of several a list of them',
        headers: TEI_HEADERS,
        json: PREDICTION,
      },
    },
  },
  async run(asked) {
    const { inputs, raw_scores: isRaw, ...request } = parseAs(REQUEST, await asked.json())
    const { texts, isBatch } = sequencesOf(inputs, asked.limits.maxInputs)
    const { values, headers, tokens } = await classifyTexts(asked, {
      ...teiOptionsOf(request),
      texts,
      field: 'inputs',
      applied: isRaw === true ? 'none' : undefined,
    })
    const read = texts.flatMap((text) => (typeof text === 'string' ? [text] : [text.text, text.text_pair]))
    return {
      headers: { ...headers, ...computeHeaders(read, tokens) },
      body: { json: isBatch ? values : values[0] },
    }
  },
}

/**
 * One text, or one list of a text or a pair; or a list of such lists, which is several inputs.
 *
 * @throws {HttpError} 400: something else, too many, or a text that is empty.
 */
function sequencesOf(inputs: unknown, most: number): { texts: readonly (string | TextPair)[]; isBatch: boolean } {
  const list: readonly unknown[] = Array.isArray(inputs) ? inputs : [inputs]
  const isBatch = list.length === 0 || list.some((one) => Array.isArray(one))
  // Of the whole it is looked at once whether there are any, and how many.
  const several = isBatch ? list : [list]
  assertCount(several.length, most, 'inputs')
  return { texts: several.map(sequenceOf), isBatch }
}

function sequenceOf(input: unknown): string | TextPair {
  if (Array.isArray(input) && input.length > 2) {
    const message = 'an input is a text, or a pair of texts; several are a list of lists, as [["a"], ["b"]]'
    throw badRequest(message, { param: 'inputs' })
  }
  const [text = '', pair] = textsOf(input, 2, 'inputs')
  return pair === undefined ? text : { text, text_pair: pair }
}
