import { badRequest } from '../http-error.ts'
import type { ModelFacts, ServedModel, ServedTask } from '../ports.ts'
import { modelHeader } from '../results-of.ts'
import type { Route } from '../route.ts'
import { INFO } from './answer-schemas.ts'

/** What text-embeddings-inference has names for. */
const TASKS: readonly ServedTask[] = ['feature-extraction', 'text-classification', 'rerank']

/** `GET /info` of text-embeddings-inference, as far as it is known: fields of which nothing is known are not there. */
export const infoRoute: Route = {
  method: 'GET',
  path: '/info',
  ofModel: true,
  dialect: 'tei',
  scope: 'infer',
  described: {
    id: 'info',
    summary: 'What is known of the only model, or of that of the path',
    answers: { 200: { summary: 'what is known', headers: ['x-ipfs-accelerate-model'], json: INFO } },
    errors: [404, 422],
  },
  async run({ ports, limits, signal, model: modelFor }) {
    const model = await modelFor(TASKS, undefined)
    const facts = await ports.models.describe(model, { signal })
    return {
      headers: modelHeader(model),
      body: {
        json: {
          model_id: model.name,
          model_sha: model.cid.toString(),
          served_model_name: model.name,
          model_dtype: facts.dtype,
          model_type: typeOf(model, facts),
          max_input_length: facts.maxTokens,
          max_client_batch_size: limits.maxInputs,
          auto_truncate: false,
        },
      },
    }
  },
}

function typeOf({ tasks }: ServedModel, { labels, pooling }: ModelFacts): Record<string, unknown> {
  if (tasks.includes('feature-extraction')) return { embedding: { pooling } }
  const known = labels && {
    id2label: Object.fromEntries(labels.entries()),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  }
  if (tasks.includes('text-classification')) return { classifier: { ...known } }
  if (tasks.includes('rerank')) return { reranker: { ...known } }
  throw badRequest('text-embeddings-inference has no name for what this model does', { code: 'model_not_suitable' })
}
