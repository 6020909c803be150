import { findModel } from '../model-of-request.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { UNHEALTHY_ANSWER } from './answer-schemas.ts'

const NONE: Answer = { body: { bytes: new Uint8Array(0), type: 'text/plain; charset=utf-8' } }

const UNHEALTHY: Answer = { status: 503, body: { json: { error: 'unhealthy', error_type: 'Unhealthy' } } }

/** Whether the model of the path, or else each model that is served, would be run now. */
async function health({ ports, ofPath, signal }: Asked): Promise<Answer> {
  const models = ofPath === undefined ? ports.models.list() : [await findModel(ports.models, ofPath, signal)]
  return models.every((model) => ports.inference.isReady(model)) ? NONE : UNHEALTHY
}

const at = (path: string, id: string): Route => ({
  method: 'GET',
  path,
  ofModel: true,
  dialect: 'tei',
  scope: 'none',
  described: {
    id,
    summary: 'Whether each model, or that of the path, would be run now',
    answers: { 200: { summary: 'yes', isEmpty: true }, 503: { summary: 'no', json: UNHEALTHY_ANSWER } },
  },
  run: health,
})

/** `GET /health` of text-embeddings-inference, and its other name. */
export const HEALTH_ROUTES: readonly Route[] = [at('/health', 'health'), at('/ping', 'ping')]
