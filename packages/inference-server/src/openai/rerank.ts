import { z, type ZodType } from 'zod'

import { RESULT_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import { documentsField, documentsOf, rankDocuments, textField } from '../rank-documents.ts'
import type { Route } from '../route.ts'
import { RANKING } from './answer-schemas.ts'

interface RerankRequest {
  model?: string | null | undefined
  query: string
  documents?: unknown
  top_n?: number | null | undefined
  return_documents?: boolean | null | undefined
  /** Ours, as of embeddings. */
  truncate?: boolean | null | undefined
}

const REQUEST: ZodType<RerankRequest> = z.object({
  model: z.string().nullish(),
  query: textField(),
  documents: documentsField(),
  top_n: z.int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
  truncate: z.boolean().nullish(),
})

/** `POST /v1/rerank`, as Cohere, Jina and Together are asked: OpenAI has none. `relevance_score` is from 0 to 1. */
export const cohereRerankRoute: Route = {
  method: 'POST',
  path: '/v1/rerank',
  dialect: 'openai',
  scope: 'infer',
  described: {
    id: 'createRerank',
    summary: 'Documents by how well they answer a query, as Cohere and Jina answer',
    body: { schema: REQUEST, example: { query: 'What is IPFS?', documents: ['A protocol.', 'A fruit.'] } },
    answers: { 200: { summary: 'the best first', headers: RESULT_HEADERS, json: RANKING } },
  },
  async run(asked) {
    const { model: named, query, documents, ...request } = parseAs(REQUEST, await asked.json())
    const { model, ranked, headers, tokens } = await rankDocuments(asked, {
      query,
      documents: documentsOf(documents, asked.limits.maxInputs, 'documents'),
      field: 'documents',
      named: named ?? undefined,
      count: request.top_n ?? undefined,
      truncate: request.truncate ?? false,
    })
    return {
      headers,
      body: {
        json: {
          id: `rerank-${crypto.randomUUID()}`,
          object: 'list',
          model: asked.ofPath ?? named ?? model.name,
          results: ranked.map(({ index, score, document }) => ({
            index,
            relevance_score: score,
            ...(request.return_documents && { document: { text: document } }),
          })),
          // What nobody counted is not made up.
          ...(tokens && {
            usage: { prompt_tokens: tokens.input, completion_tokens: 0, total_tokens: tokens.input },
          }),
          meta: {},
        },
      },
    }
  },
}
