import { once } from 'node:events'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream/promises'

export interface HandlerServer {
  url: string
  close(): Promise<void>
}

/** A fetch-style handler on a free loopback port. */
export async function serveHandler(handle: (request: Request) => Promise<Response>): Promise<HandlerServer> {
  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming
    const left = new AbortController()
    outgoing.on('close', () => left.abort(new Error('the client went away')))
    const given = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)])
    const answer = async (): Promise<void> => {
      const request = new Request(`http://${headers.host}${url}`, { method, headers: given, signal: left.signal })
      const response = await handle(request)
      outgoing.writeHead(response.status, Object.fromEntries(response.headers))
      if (response.body === null) outgoing.end()
      else await pipeline(response.body, outgoing)
    }
    answer().catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
