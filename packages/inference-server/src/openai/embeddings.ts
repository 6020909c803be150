import { z, type ZodType } from 'zod'

import { embedTexts } from '../embed-texts.ts'
import { RESULT_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import type { Route } from '../route.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { base64Of } from '../vector-of.ts'
import { EMBEDDINGS } from './answer-schemas.ts'

interface EmbeddingsRequest {
  model?: string | null | undefined
  input?: unknown
  encoding_format?: 'float' | 'base64' | null | undefined
  dimensions?: number | null | undefined
  /** Ours: cut what the model has no room for, and say so, instead of refusing it. */
  truncate?: boolean | null | undefined
}

const REQUEST: ZodType<EmbeddingsRequest> = z.object({
  model: z.string().nullish(),
  input: textsField('maxInputs'),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
  truncate: z.boolean().nullish(),
})

/** `POST /v1/embeddings`. The vectors are what the repository makes of a text: normalised where it says so. */
export const embeddingsRoute: Route = {
  method: 'POST',
  path: '/v1/embeddings',
  dialect: 'openai',
  scope: 'infer',
  described: {
    id: 'createEmbedding',
    summary: 'Vectors of texts, as OpenAI answers',
    description: 'Without `truncate` a text that the model has no room for is refused.',
    body: { schema: REQUEST, example: { input: ['What is IPFS?', 'A protocol.'] } },
    answers: { 200: { summary: 'a vector of each text', headers: RESULT_HEADERS, json: EMBEDDINGS } },
  },
  async run(asked) {
    const { model: named, input, encoding_format: format, ...request } = parseAs(REQUEST, await asked.json())
    const { model, values, headers, tokens } = await embedTexts(asked, {
      texts: textsOf(input, asked.limits.maxInputs, 'input'),
      field: 'input',
      named: named ?? undefined,
      dimensions: request.dimensions ?? undefined,
      truncate: request.truncate ?? false,
    })
    const encode = format === 'base64' ? base64Of : (vector: Float32Array): number[] => Array.from(vector)
    return {
      headers,
      body: {
        json: {
          object: 'list',
          model: asked.ofPath ?? named ?? model.name,
          data: values.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
          // What nobody counted is not made up.
          ...(tokens && { usage: { prompt_tokens: tokens.input, total_tokens: tokens.input } }),
        },
      },
    }
  },
}
