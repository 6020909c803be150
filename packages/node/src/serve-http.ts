import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { decideGates, mayReach, type Environment, type GateSettings } from '@x/gating'
import { BackendError, GatedError, InvalidInputError } from '@x/storage-core'

import { toRequest } from './to-request.ts'

export interface ServeHttpOptions {
  /** An address of this machine alone: 127.0.0.1, ::1 or localhost. Default 127.0.0.1. */
  host?: string | undefined
  /** Default 0: one that is free. */
  port?: number | undefined
  /**
   * More names that a client may ask for, such as that of a server with TLS in front. Without ports. Default: only names of
   * this machine, so that no web page reads what is served by a name of its own that leads here.
   */
  names?: readonly string[] | undefined
  /** Hears of what is no error of anybody's call, such as a connection that could not be taken. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

export interface HttpServer {
  /** Without a slash behind it. */
  readonly url: string
  /** Stops listening; answers that have begun are broken off. */
  close(): Promise<void>
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/**
 * Serves a fetch-style handler over HTTP/1.1, to this machine. The handler sees paths and headers as they came, at
 * `http://localhost`. Only GET and HEAD have a request without a body, so others reach the handler without theirs.
 *
 * A request for another name than this machine's is answered with 421, a method that fetch does not have with 501, and what
 * is no request with 400.
 *
 * @throws {InvalidInputError} A host that is not this machine: who serves others puts a server with TLS in front of it.
 * @throws {GatedError} The network is off.
 * @throws {BackendError} The port is taken.
 */
export async function serveHttp(
  handler: (request: Request) => Promise<Response>,
  options: ServeHttpOptions = {},
): Promise<HttpServer> {
  const { host = '127.0.0.1', port = 0, names = [], onWarning, gates: given, environment = process.env } = options
  if (!LOOPBACK.has(host))
    throw new InvalidInputError(`${host} is not an address of this machine alone`, { input: host })
  const gates = decideGates({ environment, options: given })
  if (!mayReach(gates, 'network', host)) {
    const { reason } = gates.features.network
    throw new GatedError(`network: may not listen on ${host}. ${reason}`, { feature: 'network' })
  }
  const server = createServer((incoming, outgoing) => {
    // A client that goes away is no failure of the server, and a body that breaks off breaks the connection.
    answer(handler, { incoming, outgoing, names }).catch(() => outgoing.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new BackendError(`cannot listen on ${host}:${port}`, { cause, retryable: false })),
    )
    server.listen(port, host, resolve)
  })
  // It would end the process if nobody listened.
  server.on('error', ({ message }) => onWarning?.(`${host}:${port}: ${message}`))
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new BackendError('it does not listen', { retryable: false })
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Exchange {
  incoming: IncomingMessage
  outgoing: ServerResponse
  names: readonly string[]
}

async function answer(
  handler: (request: Request) => Promise<Response>,
  { incoming, outgoing, names }: Exchange,
): Promise<void> {
  const gone = new AbortController()
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) gone.abort(new Error('the client went away'))
  })
  const request = toRequest(incoming, { names, signal: gone.signal })
  if (typeof request === 'number') {
    outgoing.writeHead(request).end()
    return
  }
  const response = await handler(request)
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  if (response.body === null) outgoing.end()
  // Closes the connection when the body fails, and the body when the connection does.
  else await pipeline(response.body, outgoing)
}
