import { toErrorAnswer, type HttpError } from '@x/inference-server'

/** Whose errors: those of OpenAI, or those of the hub and of what is stored. */
export type ErrorShape = 'openai' | 'json'

/** What answers a request that no handler is given. */
export function toRefusal({ method }: Request, error: HttpError, shape: ErrorShape): Response {
  const { status, message, code, headers } = error
  const json = { error: message, ...(code !== undefined && { code }) }
  const body = JSON.stringify(shape === 'openai' ? toErrorAnswer('openai', error).body : json)
  return new Response(method === 'HEAD' ? null : body, {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // Programs of the hub show it.
      ...(shape === 'json' && { 'x-error-message': message }),
      ...headers,
    },
  })
}
