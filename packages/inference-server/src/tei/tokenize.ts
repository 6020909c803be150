import { z, type ZodType } from 'zod'

import { RESULT_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import { SERVED_TASKS } from '../ports.ts'
import type { Route } from '../route.ts'
import { runTexts } from '../run-texts.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { TOKENS } from './answer-schemas.ts'
import { TEI_FIELDS, teiOptionsOf, type TeiRequest } from './request.ts'

interface TokenizeRequest extends Pick<TeiRequest, 'model' | 'prompt_name'> {
  inputs?: unknown
  add_special_tokens?: boolean | null | undefined
}

const REQUEST: ZodType<TokenizeRequest> = z.object({
  model: TEI_FIELDS.model,
  prompt_name: TEI_FIELDS.prompt_name,
  inputs: textsField('maxInputs'),
  add_special_tokens: z.boolean().nullish(),
})

/** `POST /tokenize` of text-embeddings-inference: the tokens of each text, all of them. Where in the text they stand is not known. */
export const tokenizeRoute: Route = {
  method: 'POST',
  path: '/tokenize',
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'tokenize',
    summary: 'The tokens of texts',
    body: { schema: REQUEST, example: { inputs: 'What is IPFS?' } },
    answers: { 200: { summary: 'the tokens of each text', headers: RESULT_HEADERS, json: TOKENS } },
  },
  async run(asked) {
    const { inputs, add_special_tokens: isWhole, ...request } = parseAs(REQUEST, await asked.json())
    const wanted = {
      ...teiOptionsOf(request),
      texts: textsOf(inputs, asked.limits.maxInputs, 'inputs'),
      field: 'inputs',
      servedFor: SERVED_TASKS,
      options: { add_special_tokens: isWhole ?? true },
    }
    const { values, headers } = await runTexts(asked, 'tokenize', wanted, ({ output }) => output)
    return {
      headers,
      body: { json: values.map((tokens) => tokens.map((token) => ({ ...token, start: null, stop: null }))) },
    }
  },
}
