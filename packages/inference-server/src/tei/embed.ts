import { z, type ZodType } from 'zod'

import { embedTexts } from '../embed-texts.ts'
import { TEI_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { VECTORS } from './answer-schemas.ts'
import { computeHeaders, TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface EmbedRequest extends TeiRequest {
  inputs?: unknown
  normalize?: boolean | null | undefined
  dimensions?: number | null | undefined
}

export const EMBED_REQUEST: ZodType<EmbedRequest> = z.object({
  ...TEI_FIELDS,
  inputs: textsField('maxInputs'),
  normalize: z.boolean().nullish(),
  dimensions: z.int().min(1).nullish(),
})

/** `POST /embed` of text-embeddings-inference. Vectors are normalised unless `normalize` is false, whatever the repository says. */
export const embedRoute: Route = {
  method: 'POST',
  path: '/embed',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'embed',
    summary: 'Vectors of texts, as text-embeddings-inference answers',
    body: { schema: EMBED_REQUEST, example: { inputs: ['What is IPFS?', 'A protocol.'] } },
    answers: { 200: { summary: 'a vector of each text', headers: TEI_HEADERS, json: VECTORS } },
  },
  run: async (asked) => embed(asked, await asked.json()),
}

export async function embed(asked: Asked, body: unknown): Promise<Answer> {
  const { inputs, normalize, dimensions, ...request } = parseAs(EMBED_REQUEST, body)
  const options = teiOptionsOf(request)
  const texts = textsOf(inputs, asked.limits.maxInputs, 'inputs')
  const { values, headers, tokens } = await embedTexts(asked, {
    ...options,
    texts,
    field: 'inputs',
    options: { normalize: normalize ?? true },
    dimensions: dimensions ?? undefined,
  })
  return {
    headers: { ...headers, ...computeHeaders(texts, tokens) },
    body: { json: values.map((vector) => Array.from(vector)) },
  }
}
