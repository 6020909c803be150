import type { Plugin } from 'vite'

/**
 * What a page on a host that sends no policy of its own may load. The server's own (`page-mount.ts` of `@x/server`) holds besides.
 *
 * Scripts, workers and styles of its own place alone. Whom it asks the user says: gateways, a hub, peers. A worker has the policy that comes with
 * its file, if one does. `blob:`: pictures and sounds that the user gave.
 */
export const PAGE_POLICY: string = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' http: https: ws: wss: blob: data:",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Writes it into the page first of all, but not while it is developed: Vite then loads what it forbids. */
export const pagePolicy = (): Plugin => ({
  name: 'page-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      attrs: { 'http-equiv': 'Content-Security-Policy', content: PAGE_POLICY },
      injectTo: 'head-prepend',
    },
  ],
})
