import type { GatewayOptions } from '@x/gateway-server'
import type { ContentSource } from '@x/storage-core'

import { loadPackage } from './backends/load-package.ts'
import { serveHttp, type HttpServer, type ServeHttpOptions } from './serve-http.ts'

/**
 * Serves what a store holds as a trustless gateway, to this machine.
 *
 * @throws {UnsupportedError} `@x/gateway-server` is not installed.
 * @throws As `serveHttp`.
 */
export async function serveGateway(
  store: ContentSource,
  options: GatewayOptions & ServeHttpOptions = {},
): Promise<HttpServer> {
  const { createGatewayHandler } = await loadPackage('@x/gateway-server', () => import('@x/gateway-server'))
  const onRequest: GatewayOptions['onRequest'] = (event) => {
    options.onRequest?.(event)
    const { method, target, status = 0, error } = event
    // What breaks off later is known there, too.
    if (status >= 500) options.onWarning?.(`${method} ${target}: ${error instanceof Error ? error.message : status}`)
  }
  return serveHttp(createGatewayHandler(store, { ...options, onRequest }), options)
}
