import { z, type ZodType } from 'zod'

import { createNumberCount } from '../json-numbers.ts'
import { TEI_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import type { Route } from '../route.ts'
import { runTexts } from '../run-texts.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { vectorsOf } from '../vector-of.ts'
import { TOKEN_VECTORS } from './answer-schemas.ts'
import { computeHeaders, TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface EmbedAllRequest extends TeiRequest {
  inputs?: unknown
}

const REQUEST: ZodType<EmbedAllRequest> = z.object({ ...TEI_FIELDS, inputs: textsField('maxInputs') })

/** `POST /embed_all` of text-embeddings-inference: a vector for each token, as the model gives it. */
export const embedAllRoute: Route = {
  method: 'POST',
  path: '/embed_all',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'embedAll',
    summary: 'A vector of each token of texts',
    body: { schema: REQUEST, example: { inputs: 'What is IPFS?' } },
    answers: { 200: { summary: 'of each text a vector of each token', headers: TEI_HEADERS, json: TOKEN_VECTORS } },
  },
  async run(asked) {
    const { inputs, ...request } = parseAs(REQUEST, await asked.json())
    const texts = textsOf(inputs, asked.limits.maxInputs, 'inputs')
    const wanted = { ...teiOptionsOf(request), texts, field: 'inputs', options: { pooling: 'none', normalize: false } }
    const count = createNumberCount()
    const { values, headers, tokens } = await runTexts(asked, 'feature-extraction', wanted, ({ output }) => {
      count(output.data.length)
      return vectorsOf(output)
    })
    return {
      headers: { ...headers, ...computeHeaders(texts, tokens) },
      body: { json: values.map((vectors) => vectors.map((vector) => Array.from(vector))) },
    }
  },
}
