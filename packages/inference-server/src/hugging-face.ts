import { z, type ZodType } from 'zod'

import { classifyTexts } from './classify-texts.ts'
import { TEI_HEADERS } from './openapi/headers.ts'
import { parseAs } from './parse.ts'
import type { ServedTask } from './ports.ts'
import type { Answer, Asked, Route } from './route.ts'
import { COSINES, LABELS_OF_EACH, RANKS, VECTORS } from './tei/answer-schemas.ts'
import { embed, EMBED_REQUEST } from './tei/embed.ts'
import { rerank, RERANK_REQUEST } from './tei/rerank.ts'
import { similarity, SIMILARITY_REQUEST } from './tei/similarity.ts'
import { textsField, textsOf } from './texts-of.ts'

/** Of which Hugging Face's clients send no more than an input. */
const TASKS: readonly ServedTask[] = ['feature-extraction', 'text-classification', 'rerank']

interface AnyRequest {
  inputs?: unknown
  model?: string | null | undefined
}

const ANY: ZodType<AnyRequest> = z.object({ inputs: z.unknown().optional(), model: z.string().nullish() })

/** What its model is for says what is asked for: vectors or similarities, labels, or a ranking. */
async function answerOf(asked: Asked): Promise<Answer> {
  const body = await asked.json()
  const { inputs, model: named } = parseAs(ANY, body)
  const { tasks } = await asked.model(TASKS, named ?? undefined)
  if (tasks.includes('feature-extraction')) return isComparison(inputs) ? similarity(asked, body) : embed(asked, body)
  return tasks.includes('text-classification') ? classify(asked, body) : rerank(asked, body)
}

const isComparison = (inputs: unknown): boolean =>
  typeof inputs === 'object' && inputs !== null && 'source_sentence' in inputs

interface ClassifyRequest extends AnyRequest {
  parameters?:
    | { top_k?: number | null | undefined; function_to_apply?: 'softmax' | 'sigmoid' | 'none' | null | undefined }
    | null
    | undefined
}

const CLASSIFY: ZodType<ClassifyRequest> = z.object({
  inputs: textsField('maxInputs'),
  model: z.string().nullish(),
  parameters: z
    .object({ top_k: z.int().min(1).nullish(), function_to_apply: z.enum(['softmax', 'sigmoid', 'none']).nullish() })
    .nullish(),
})

/** A list of labels for each text, of one text too, where `/predict` gives a list alone. */
async function classify(asked: Asked, body: unknown): Promise<Answer> {
  const { inputs, model, parameters } = parseAs(CLASSIFY, body)
  const { top_k: count, function_to_apply: applied } = parameters ?? {}
  const { values, headers } = await classifyTexts(asked, {
    texts: textsOf(inputs, asked.limits.maxInputs, 'inputs'),
    field: 'inputs',
    named: model ?? undefined,
    topK: count ?? undefined,
    applied: applied ?? undefined,
    truncate: false,
  })
  return { headers, body: { json: values } }
}

/** Which of them it is, the model says. */
const REQUEST: ZodType = z.union([EMBED_REQUEST, SIMILARITY_REQUEST, CLASSIFY, RERANK_REQUEST])
const ANSWER: ZodType = z.union([VECTORS, COSINES, LABELS_OF_EACH, RANKS])

const at = (path: string, id: string, example: unknown): Route => ({
  method: 'POST',
  path,
  dialect: 'tei',
  scope: 'infer',
  described: {
    id,
    summary: 'Vectors, similarities, labels or a ranking, by what the model is for',
    body: { schema: REQUEST, example },
    answers: { 200: { summary: 'as of the model', headers: TEI_HEADERS, json: ANSWER } },
  },
  run: answerOf,
})

const TEXTS = { inputs: ['What is IPFS?', 'A protocol.'] }
const COMPARISON = { inputs: { source_sentence: 'What is IPFS?', sentences: ['A protocol.', 'A fruit.'] } }

/** As Hugging Face's clients ask an endpoint that has one model, and a server that has several. */
export const HUGGING_FACE_ROUTES: readonly Route[] = [
  at('/', 'runModel', TEXTS),
  at('/pipeline/feature-extraction', 'extractFeatures', TEXTS),
  at('/pipeline/sentence-similarity', 'compareSentences', COMPARISON),
]
