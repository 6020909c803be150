import type { GatewayOptions } from './gateway-options.ts'

const EXPOSED = [
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Length',
  'Content-Location',
  'Content-Range',
  'ETag',
  'Ipfs-Uri',
  'Retry-After',
  'X-Ipfs-Path',
  'X-Ipfs-Roots',
]

/** Headers for a page that may read the answer; none for another. */
export function corsHeaders(cors: GatewayOptions['cors'], request: Request): Record<string, string> {
  if (cors === undefined) return {}
  const { origins } = cors
  const origin = request.headers.get('origin')
  const allowed = origins === '*' ? '*' : origin !== null && origins.includes(origin) ? origin : undefined
  if (allowed === undefined) return {}
  const headers = { 'access-control-allow-origin': allowed, 'access-control-expose-headers': EXPOSED.join(', ') }
  if (request.method !== 'OPTIONS') return headers
  return {
    ...headers,
    'access-control-allow-methods': 'GET, HEAD, OPTIONS',
    'access-control-allow-headers': 'Accept, Cache-Control, If-None-Match, If-Range, Range',
    'access-control-max-age': '86400',
  }
}
