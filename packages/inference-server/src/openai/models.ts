import { findModel } from '../model-of-request.ts'
import type { ServedModel } from '../ports.ts'
import type { Route } from '../route.ts'
import { MODEL, MODELS } from './answer-schemas.ts'

/** As OpenAI's clients list it, and what is known of it here beside. */
const toModel = ({ name, cid, tasks, createdAt }: ServedModel): Record<string, unknown> => ({
  id: name,
  object: 'model',
  created: Math.floor(createdAt.getTime() / 1000),
  owned_by: 'ipfs-accelerate',
  cid: cid.toString(),
  tasks,
})

export const modelsRoute: Route = {
  method: 'GET',
  dialect: 'openai',
  scope: 'infer',
  path: '/v1/models',
  described: {
    id: 'listModels',
    summary: 'The models that are served',
    answers: { 200: { summary: 'all of them', json: MODELS } },
  },
  run: async ({ ports }) => ({ body: { json: { object: 'list', data: ports.models.list().map(toModel) } } }),
}

export const modelRoute: Route = {
  method: 'GET',
  dialect: 'openai',
  scope: 'infer',
  // A name may have a slash in it.
  path: '/v1/models/:id{.+}',
  described: {
    id: 'retrieveModel',
    summary: 'A model that is served',
    answers: { 200: { summary: 'what is known of it', json: MODEL } },
    errors: [404],
  },
  async run({ ports, parameter, signal, about }) {
    const model = await findModel(ports.models, parameter('id'), signal)
    about(model)
    return { body: { json: toModel(model) } }
  },
}
