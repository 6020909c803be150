import type { RequestListener } from 'node:http'

import { onTestFinished } from 'vitest'

import { listen, type LoopbackServer } from './listen.ts'

/** A server on a free port of loopback until the test ends. */
export async function listenOnLoopback(listener: RequestListener): Promise<LoopbackServer> {
  const server = await listen(listener)
  onTestFinished(server.close)
  return server
}

/** As `listenOnLoopback`; resolves to the server's URL, without a slash behind it. */
export const serveOnLoopback = async (listener: RequestListener): Promise<string> =>
  (await listenOnLoopback(listener)).url
