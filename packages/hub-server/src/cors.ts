import type { HubHandlerOptions } from './hub-options.ts'

const EXPOSED = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Length',
  'Content-Range',
  'ETag',
  'Link',
  'Retry-After',
  'X-Error-Code',
  'X-Error-Message',
  'X-HF-Warning',
  'X-Linked-ETag',
  'X-Linked-Size',
  'X-Repo-Commit',
  // Not sent here; a page that looks for it must find out so.
  'X-Xet-Hash',
]
const ACCEPTED =
  'Accept, Authorization, Cache-Control, Content-Type, If-Match, If-None-Match, If-Range, Range, User-Agent'

/** Headers for a page that may read the answer; none for another. */
export function corsHeaders(cors: HubHandlerOptions['cors'], request: Request): Record<string, string> {
  if (cors === undefined) return {}
  const { origins } = cors
  // What a page under COEP loads without CORS names no origin.
  const always = { 'cross-origin-resource-policy': 'cross-origin', ...(origins !== '*' && { vary: 'Origin' }) }
  const origin = request.headers.get('origin')
  const allowed = origins === '*' ? '*' : origin !== null && origins.includes(origin) ? origin : undefined
  if (allowed === undefined) return always
  const headers = {
    ...always,
    'access-control-allow-origin': allowed,
    'access-control-expose-headers': EXPOSED.join(', '),
  }
  if (request.method !== 'OPTIONS') return headers
  return {
    ...headers,
    'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
    'access-control-allow-headers': ACCEPTED,
    'access-control-max-age': '86400',
    // A public page that asks a machine of a private network.
    ...(request.headers.has('access-control-request-private-network') && {
      'access-control-allow-private-network': 'true',
    }),
  }
}
