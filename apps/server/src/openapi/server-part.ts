import type { JsonObject, OpenApiOperation, OpenApiPart } from '@x/inference-server'

import { answer, answers, errorComponents, fields, json, listOf, TEXT } from './describe.ts'

const REASON = fields({ what: TEXT, why: TEXT })
const READINESS = fields({ ready: { type: 'boolean' }, reasons: listOf(REASON) }, ['reasons'])

/** Who comes from elsewhere is refused without a token, too. */
const open = (good: Readonly<Record<number, JsonObject>>): Record<string, JsonObject> => {
  const { 401: _, 429: _busy, ...responses } = answers(good, [])
  return responses
}

const get = (
  path: string,
  operation: Pick<OpenApiOperation, 'id' | 'summary' | 'scope' | 'responses'>,
): OpenApiOperation => ({
  method: 'GET',
  path,
  tag: 'server',
  ...operation,
})

/** What the server says of itself. */
export const SERVER_PART: OpenApiPart = {
  tags: [{ name: 'server', description: 'the server itself' }],
  pathParameters: {},
  operations: [
    get('/healthz', {
      id: 'isAlive',
      summary: 'Whether the process turns its loop',
      scope: 'none',
      responses: open({ 200: answer('it does', { 'text/plain': { const: 'ok\n' } }) }),
    }),
    get('/readyz', {
      id: 'isReady',
      summary: 'Whether the server should be asked now; why not, it says to who may ask',
      scope: 'none',
      responses: open({ 200: json('it should', READINESS), 503: json('it should not', READINESS) }),
    }),
    get('/metrics', {
      id: 'getMetrics',
      summary: 'What is counted, for Prometheus',
      scope: 'read',
      responses: answers({ 200: answer('text format 0.0.4', { 'text/plain': TEXT }) }, []),
    }),
    get('/openapi.json', {
      id: 'getOpenApi',
      summary: 'This document',
      scope: 'read',
      responses: answers({ 200: json('OpenAPI 3.1', { type: 'object', required: ['openapi', 'paths'] }) }, []),
    }),
    get('/docs', {
      id: 'getDocs',
      summary: 'This document as a page',
      scope: 'read',
      responses: answers({ 200: answer('one page, with nothing to fetch', { 'text/html': TEXT }) }, []),
    }),
  ],
  components: errorComponents('stored'),
}
