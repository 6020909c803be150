import { createServer, type RequestListener } from 'node:http'

import { onTestFinished } from 'vitest'

/** A server on a free port of loopback until the test ends; resolves to its URL, without a slash behind it. */
export async function serveOnLoopback(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return `http://127.0.0.1:${address.port}`
}
