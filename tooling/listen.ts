import { createServer, type RequestListener } from 'node:http'

export interface LoopbackServer {
  /** Without a slash behind it. */
  url: string
  /** Breaks connections off from now on. */
  close: () => Promise<void>
}

/** A server on a free port of loopback. */
export async function listen(listener: RequestListener): Promise<LoopbackServer> {
  // A client that stands still for longer than the 5 s of Node would meet a connection that is about to close.
  const server = createServer({ keepAliveTimeout: 60_000 }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
