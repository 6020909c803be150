import {
  documentPage,
  HttpError,
  inferencePart,
  openApiDocument,
  type InferenceHandlerOptions,
  type OpenApiPart,
} from '@x/inference-server'

import type { Mount } from '../mount.ts'
import { GATEWAY_PART } from './gateway-part.ts'
import { HUB_PART } from './hub-part.ts'
import { SERVER_PART } from './server-part.ts'
import { storagePart } from './storage-part.ts'

export interface OpenApiMountsOptions {
  /** Of the handler of models, whose limits are said. */
  inference: InferenceHandlerOptions
  /** Whether there is a store behind the port. */
  hasStorage: boolean
  needsToken: boolean
  version: string
  /** Of what else shares the port. */
  others?: readonly OpenApiPart[] | undefined
}

const COMMON = { 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' }

/** `GET /openapi.json`, what the server answers, and `/docs`, the same as a page; for who may read. The page is made at the first request. */
export function openApiMounts(options: OpenApiMountsOptions): readonly Mount[] {
  const { inference, hasStorage, needsToken, version, others = [] } = options
  const stored = hasStorage ? [GATEWAY_PART, HUB_PART, storagePart()] : []
  const document = openApiDocument([inferencePart(inference), ...stored, ...others, SERVER_PART], {
    version,
    needsToken,
  })
  const text = JSON.stringify(document)
  let page: ReturnType<typeof documentPage> | undefined
  return [
    at('/openapi.json', async () => ({ body: text, headers: { 'content-type': 'application/json; charset=utf-8' } })),
    at('/docs', async () => {
      const { html, contentSecurityPolicy } = await (page ??= documentPage(document))
      const headers = {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': contentSecurityPolicy,
        'referrer-policy': 'no-referrer',
      }
      return { body: html, headers }
    }),
  ]
}

interface Page {
  body: string
  headers: Record<string, string>
}

const at = (path: string, make: () => Promise<Page>): Mount => ({
  name: 'docs',
  owns: (pathname) => pathname === path,
  scope: () => 'read',
  errors: 'json',
  async handle({ method }) {
    if (method !== 'GET' && method !== 'HEAD') {
      const headers = { allow: 'GET, HEAD' }
      throw new HttpError(405, 'GET, HEAD are answered', { type: 'invalid_request_error', headers })
    }
    const { body, headers } = await make()
    const bytes = new TextEncoder().encode(body)
    const length = { 'content-length': String(bytes.length) }
    return new Response(method === 'HEAD' ? null : bytes, { headers: { ...COMMON, ...headers, ...length } })
  },
})
