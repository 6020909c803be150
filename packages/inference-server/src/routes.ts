import { HUGGING_FACE_ROUTES } from './hugging-face.ts'
import { OIP_ROUTES } from './oip/routes.ts'
import { chatRoute } from './openai/chat.ts'
import { completionsRoute } from './openai/completions.ts'
import { embeddingsRoute } from './openai/embeddings.ts'
import { modelRoute, modelsRoute } from './openai/models.ts'
import { cohereRerankRoute } from './openai/rerank.ts'
import { receiptRoute } from './receipts.ts'
import type { Route } from './route.ts'
import { TEI_ROUTES } from './tei/routes.ts'

/** All that there are. */
export const ROUTES: readonly Route[] = [
  embeddingsRoute,
  chatRoute,
  completionsRoute,
  cohereRerankRoute,
  modelsRoute,
  modelRoute,
  ...TEI_ROUTES,
  ...HUGGING_FACE_ROUTES,
  ...OIP_ROUTES,
  receiptRoute,
]

/** Whether it is also there of one model, under `/models/{model}`. */
export const isOfModel = ({ method, ofModel = method === 'POST' }: Route): boolean => ofModel

/** Its path with what varies in braces. */
export const templateOf = ({ path }: Pick<Route, 'path'>): string => path.replaceAll(/:(\w+)(?:\{.*?\})?/g, '{$1}')
