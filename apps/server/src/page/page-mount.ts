import { HttpError } from '@x/inference-server'

import type { Mount } from '../mount.ts'
import type { PageFiles } from './page-files.ts'

/**
 * Scripts, workers and styles of this server alone. The page asks whom its user names: gateways, a hub, peers.
 *
 * `wasm-unsafe-eval`: the runtime is WebAssembly. `blob:`: a picture or a sound that the user gave, and the runtime's threads.
 */
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self' http: https: ws: wss: blob: data:",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  // The two that make a page cross-origin isolated: without them it has no threads in WebAssembly.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(self), geolocation=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Bundlers name what lies there by its bytes. */
const NAMED_BY_BYTES = /^\/assets\/[^/]*-[\w-]{8,}\.[a-z\d]+$/

/** A page's files, for everybody: there is nothing in them that is not in the package. What the page asks for is as for any client. */
export function pageMount(files: PageFiles): Mount {
  return {
    name: 'page',
    owns: files.has,
    scope: () => 'none',
    errors: 'json',
    async handle(request) {
      const { method, headers: asked } = request
      if (method !== 'GET' && method !== 'HEAD') {
        const headers = { allow: 'GET, HEAD' }
        throw new HttpError(405, 'GET, HEAD are answered', { type: 'invalid_request_error', headers })
      }
      const { pathname } = new URL(request.url)
      const { body, sha256, type } = await files.read(pathname)
      const etag = `"${sha256}"`
      const headers = {
        ...HEADERS,
        etag,
        'cache-control': NAMED_BY_BYTES.test(pathname) ? 'public, max-age=31536000, immutable' : 'no-cache',
      }
      if (matches(asked.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })
      return new Response(method === 'HEAD' ? null : body, {
        headers: { ...headers, 'content-type': type, 'content-length': String(body.size) },
      })
    },
  }
}

/** RFC 9110, 13.1.2. */
const matches = (header: string | null, etag: string): boolean =>
  header !== null && header.split(',').some((one) => ['*', etag, `W/${etag}`].includes(one.trim()))
