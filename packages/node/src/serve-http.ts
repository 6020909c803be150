import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { decideGates, mayReach, type Environment, type GateSettings } from '@x/gating'
import { BackendError, GatedError, InvalidInputError } from '@x/storage-core'

import { codeOf } from './code-of.ts'
import { assertHostName, toRequest } from './to-request.ts'

export interface ServeHttpOptions {
  /** An address of this machine alone: 127.0.0.1, ::1 or localhost. Default 127.0.0.1. */
  host?: string | undefined
  /** Default 0: one that is free. */
  port?: number | undefined
  /**
   * More names that a client may ask for, such as that of a server with TLS in front. Without scheme and port. Default: only
   * names of this machine, so that no web page reads what is served by a name of its own that leads here.
   */
  names?: readonly string[] | undefined
  /** Hears of what is no error of anybody's call, such as a handler that failed, or a name that was refused. */
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

const GONE = new Error('the client went away')

/** Names that are said to have been refused: each can be made up. */
const MOST_REFUSED = 100

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/**
 * Serves a fetch-style handler over HTTP/1.1, to this machine. The handler sees paths and headers as they came, at
 * `http://localhost`. A body is read as the handler reads it, in any method but GET and HEAD.
 *
 * A request for another name than this machine's is answered with 421, a method that fetch does not have with 501, and what
 * is no request with 400.
 *
 * @throws {InvalidInputError} A host that is not this machine: who serves others puts a server with TLS in front of it. Or
 *   one of `names` is none.
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
  names.forEach(assertHostName)
  const refused = new Set<string>()
  const onRefused = (name: string): void => {
    if (refused.size === MOST_REFUSED || refused.has(name)) return
    refused.add(name)
    onWarning?.(`a request for ${name} was refused (421): it is no name of this machine, nor one that is allowed`)
  }
  const server = createServer((incoming, outgoing) => {
    answer(handler, { incoming, outgoing, names, onRefused }).catch((error: unknown) => {
      // A body that breaks off breaks the connection.
      outgoing.destroy()
      // A client that goes away is no failure of the server.
      if (error !== GONE && codeOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE')
        onWarning?.(`${incoming.method} ${incoming.url}: ${error instanceof Error ? error.message : String(error)}`)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const why = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
      reject(new BackendError(`cannot listen on ${host}:${port} (${why})`, { cause, retryable: false }))
    })
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
  onRefused: (name: string) => void
}

async function answer(
  handler: (request: Request) => Promise<Response>,
  { incoming, outgoing, names, onRefused }: Exchange,
): Promise<void> {
  const gone = new AbortController()
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) gone.abort(GONE)
  })
  const request = toRequest(incoming, { names, signal: gone.signal, onRefused })
  if (typeof request === 'number') {
    outgoing.writeHead(request).end()
    return
  }
  const response = await handler(request)
  try {
    // To who went away meanwhile, nobody would read the body to its end.
    gone.signal.throwIfAborted()
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  } catch (error) {
    // What it says to that is no news.
    await response.body?.cancel(error).catch(() => undefined)
    throw error
  }
  if (response.body === null) outgoing.end()
  // Closes the connection when the body fails, and the body when the connection does.
  else await pipeline(response.body, outgoing)
}
