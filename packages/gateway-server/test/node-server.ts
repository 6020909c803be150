import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { onTestFinished } from 'vitest'

/** Serves a fetch-style handler over HTTP on loopback until the test ends; resolves to its URL, without a slash behind it. */
export async function serveOnLoopback(handler: (request: Request) => Promise<Response>): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    // A client that goes away is no failure of the test.
    answer(handler, incoming, outgoing).catch(() => outgoing.destroy())
  })
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

async function answer(
  handler: (request: Request) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Error('the client went away'))
  })
  const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)])
  const url = `http://${incoming.headers.host}${incoming.url}`
  const response = await handler(new Request(url, { method: incoming.method ?? 'GET', headers, signal: gone.signal }))
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  if (response.body === null) outgoing.end()
  // Closes the connection when the body fails, and the body when the connection does.
  else await pipeline(response.body, outgoing)
}
