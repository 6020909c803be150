import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { listenOnLoopback } from './serve-on-loopback.ts'

export interface ServedHandler {
  /** Without a slash behind it. */
  url: string
  /** `METHOD target [range]` of each request so far. */
  requests: string[]
  /** Breaks connections off from now on. */
  close: () => Promise<void>
}

/** Serves a fetch-style handler over HTTP on loopback until the test ends. */
export async function serveHandler(handler: (request: Request) => Promise<Response>): Promise<ServedHandler> {
  const requests: string[] = []
  const server = await listenOnLoopback((incoming, outgoing) => {
    const { range } = incoming.headers
    requests.push(`${incoming.method} ${incoming.url}${range === undefined ? '' : ` [${range}]`}`)
    // A client that goes away is no failure of the test.
    answer(handler, incoming, outgoing).catch(() => outgoing.destroy())
  })
  return { ...server, requests }
}

function toStream(incoming: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces: AsyncIterator<Buffer<ArrayBuffer>> = incoming.iterator({ destroyOnReturn: false })
  return new ReadableStream({
    async pull(controller) {
      const next = await pieces.next()
      if (next.done === true) controller.close()
      else controller.enqueue(next.value)
    },
    cancel: async () => {
      await pieces.return?.()
      incoming.resume()
    },
  })
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
  const { method = 'GET' } = incoming
  const body = method === 'GET' || method === 'HEAD' ? {} : { body: toStream(incoming), duplex: 'half' as const }
  const response = await handler(
    new Request(`http://${incoming.headers.host}${incoming.url}`, { method, headers, signal: gone.signal, ...body }),
  )
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  if (response.body === null) outgoing.end()
  // Closes the connection when the body fails, and the body when the connection does.
  else await pipeline(response.body, outgoing)
}
