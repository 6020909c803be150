import { createServer, type RequestListener } from 'node:http'

import { onTestFinished } from 'vitest'

export interface LoopbackServer {
  /** Without a slash behind it. */
  url: string
  /** Breaks connections off from now on. The test's end does so too. */
  close: () => Promise<void>
}

/** A server on a free port of loopback until the test ends. */
export async function listenOnLoopback(listener: RequestListener): Promise<LoopbackServer> {
  // A client that stands still for longer than the 5 s of Node would meet a connection that is about to close.
  const server = createServer({ keepAliveTimeout: 60_000 }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  onTestFinished(close)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return { url: `http://127.0.0.1:${address.port}`, close }
}

/** As `listenOnLoopback`; resolves to the server's URL, without a slash behind it. */
export const serveOnLoopback = async (listener: RequestListener): Promise<string> =>
  (await listenOnLoopback(listener)).url
