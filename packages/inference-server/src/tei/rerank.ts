import { z, type ZodType } from 'zod'

import { TEI_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import { documentsField, documentsOf, rankDocuments, textField } from '../rank-documents.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { RANKS } from './answer-schemas.ts'
import { computeHeaders, TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface RerankRequest extends TeiRequest {
  query: string
  texts?: unknown
  raw_scores?: boolean | null | undefined
  return_text?: boolean | null | undefined
}

export const RERANK_REQUEST: ZodType<RerankRequest> = z.object({
  ...TEI_FIELDS,
  query: textField(),
  texts: documentsField(),
  raw_scores: z.boolean().nullish(),
  return_text: z.boolean().nullish(),
})

/** `POST /rerank` of text-embeddings-inference: the best first, `score` from 0 to 1 unless `raw_scores` is true. */
export const rerankRoute: Route = {
  method: 'POST',
  path: '/rerank',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'rerank',
    summary: 'Texts by how well they answer a query',
    body: { schema: RERANK_REQUEST, example: { query: 'What is IPFS?', texts: ['A protocol.', 'A fruit.'] } },
    answers: { 200: { summary: 'the best first', headers: TEI_HEADERS, json: RANKS } },
  },
  run: async (asked) => rerank(asked, await asked.json()),
}

export async function rerank(asked: Asked, body: unknown): Promise<Answer> {
  const { query, texts, raw_scores: isRaw, return_text: withText, ...request } = parseAs(RERANK_REQUEST, body)
  const documents = documentsOf(texts, asked.limits.maxInputs, 'texts')
  const wanted = { ...teiOptionsOf(request), query, documents, field: 'texts', isRaw: isRaw ?? false }
  const { ranked, headers, tokens } = await rankDocuments(asked, wanted)
  return {
    headers: { ...headers, ...computeHeaders([query, ...documents], tokens) },
    body: { json: ranked.map(({ index, score, document }) => ({ index, score, ...(withText && { text: document }) })) },
  }
}
