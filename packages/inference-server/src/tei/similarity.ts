import { z, type ZodType } from 'zod'

import { embedTexts } from '../embed-texts.ts'
import { assertFinite } from '../finite.ts'
import { TEI_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import { textField } from '../rank-documents.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { COSINES } from './answer-schemas.ts'
import { computeHeaders, TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface SimilarityRequest extends Pick<TeiRequest, 'model'> {
  inputs: { source_sentence: string; sentences?: unknown }
  parameters?: Omit<TeiRequest, 'model'> | null | undefined
}

const { model, ...PARAMETERS } = TEI_FIELDS

export const SIMILARITY_REQUEST: ZodType<SimilarityRequest> = z.object({
  model,
  inputs: z.object({ source_sentence: textField(), sentences: textsField('maxInputs') }),
  parameters: z.object(PARAMETERS).nullish(),
})

/** `POST /similarity` of text-embeddings-inference: the cosine of each sentence and the first one. Its receipts are of the sentences' vectors, the first one's before the others. */
export const similarityRoute: Route = {
  method: 'POST',
  path: '/similarity',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'similarity',
    summary: 'How alike sentences and a first one are',
    body: {
      schema: SIMILARITY_REQUEST,
      example: { inputs: { source_sentence: 'What is IPFS?', sentences: ['A protocol.', 'A fruit.'] } },
    },
    answers: { 200: { summary: 'a cosine of each sentence', headers: TEI_HEADERS, json: COSINES } },
  },
  run: async (asked) => similarity(asked, await asked.json()),
}

export async function similarity(asked: Asked, body: unknown): Promise<Answer> {
  const { inputs, parameters, ...request } = parseAs(SIMILARITY_REQUEST, body)
  const sentences = textsOf(inputs.sentences, asked.limits.maxInputs, 'inputs.sentences')
  const [source] = textsOf(inputs.source_sentence, 1, 'inputs.source_sentence')
  const texts = [source ?? '', ...sentences]
  const { values, headers, tokens } = await embedTexts(asked, {
    ...teiOptionsOf({ ...request, ...parameters }),
    texts,
    field: 'inputs',
    options: { normalize: true },
  })
  const [first = new Float32Array(), ...others] = values
  const cosines = others.map((vector) => cosine(first, vector))
  assertFinite(cosines)
  return { headers: { ...headers, ...computeHeaders(texts, tokens) }, body: { json: cosines } }
}

/** NaN where one of them has no direction. */
const cosine = (a: Float32Array, b: Float32Array): number => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
