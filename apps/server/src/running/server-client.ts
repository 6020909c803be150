import { mayReach, type Gates } from '@x/gating'
import { BackendError, GatedError, InvalidInputError, type AbortOptions } from '@x/storage-core'
import { oneLine } from '@x/storage-core/backend'

/** A server, as `GET /admin/v1/models` says it. */
export interface ServerReport {
  server: { pid: number; startedAt: string; version: string; isClosing: boolean; inFlight: number; queued: number }
  models: readonly {
    name: string
    cid: string
    tasks: readonly string[]
    requests: number
    held: readonly { task: string; state: string; bytes: number; queued: number; executionProvider: string | null }[]
  }[]
}

/** What a server refused, or could not do, under the code that it has there. */
export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly code: string
  constructor(message: string, code: string) {
    super(message)
    this.code = code
  }
}

/** A model that was loaded, or served no more. */
export interface LoadReport {
  name: string
  cid: string
  tasks: readonly string[]
}

export interface ServerClient {
  /** @throws {BackendError} It does not answer, or is no server of this program. */
  report(options?: AbortOptions): Promise<ServerReport>
  /** @throws {ServerError} As the server says it. */
  load(
    wanted: Readonly<Record<string, string | undefined>>,
    options?: AbortOptions & { onEvent?: ((event: Readonly<Record<string, unknown>>) => void) | undefined },
  ): Promise<LoadReport>
  /** @throws {ServerError} `NOT_FOUND`: it is not served. `IN_USE`: requests are about it. */
  unload(reference: string, options?: AbortOptions & { drain?: boolean | undefined }): Promise<LoadReport>
}

const PATH = '/admin/v1/models'

/**
 * Asks a server that runs.
 *
 * @param url - Of the server, without a path.
 * @throws {InvalidInputError} `url` is none of HTTP. @throws {GatedError} The gate `network` does not let it be reached.
 */
export function createServerClient({ url, token }: { url: string; token: string }, gates: Gates): ServerClient {
  const base = URL.parse(url)
  if (base === null || !/^https?:$/.test(base.protocol))
    throw new InvalidInputError(`${url} is no address of a server, such as http://127.0.0.1:8000`, { input: url })
  const { hostname, origin } = base
  if (!mayReach(gates, 'network', hostname))
    throw new GatedError(`${origin} may not be asked. ${gates.features.network.reason}`, { feature: 'network' })

  async function ask(path: string, { signal, ...init }: Omit<RequestInit, 'signal'> & AbortOptions): Promise<Response> {
    const headers = new Headers(init.headers)
    headers.set('authorization', `Bearer ${token}`)
    let response
    try {
      response = await fetch(`${origin}${path}`, { ...init, headers, redirect: 'error', signal: signal ?? null })
    } catch (cause) {
      signal?.throwIfAborted()
      throw new BackendError(`${origin} does not answer`, { cause, retryable: true })
    }
    if (response.ok) return response
    throw errorOf(origin, response.status, recordOf(jsonOf(await response.text())))
  }

  return {
    async report({ signal } = {}) {
      return asReport(origin, await (await ask(PATH, { signal })).json())
    },
    async load(wanted, { signal, onEvent } = {}) {
      const headers = { 'content-type': 'application/json' }
      const { body } = await ask(PATH, { method: 'POST', headers, body: JSON.stringify(wanted), signal })
      for await (const event of linesOf(body)) {
        if (event['event'] === 'loaded') return asModel(origin, event['model'])
        if (event['event'] === 'failed') throw errorOf(origin, Number(event['status']), event)
        onEvent?.(event)
      }
      throw new BackendError(`${origin} broke off`, { retryable: true })
    },
    async unload(reference, { drain = false, signal } = {}) {
      const path = `${PATH}/${encodeURIComponent(reference)}${drain ? '?drain=true' : ''}`
      const answer: unknown = await (await ask(path, { method: 'DELETE', signal })).json()
      return asModel(origin, recordOf(answer)['unloaded'])
    },
  }
}

type Fields = Readonly<Record<string, unknown>>

const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  400: 'INVALID_INPUT',
  401: 'REFUSED',
  403: 'REFUSED',
  409: 'IN_USE',
  501: 'UNSUPPORTED',
}

function errorOf(origin: string, status: number, { error, code }: Fields): Error {
  if (typeof error !== 'string') return new BackendError(`${origin} answered ${status}`, { retryable: false })
  const own = typeof code === 'string' && /^[A-Z_]+$/.test(code) ? code : CODE_OF_STATUS[status]
  if (code === 'model_not_found') return new ServerError(oneLine(error), 'NOT_FOUND')
  if (own !== undefined) return new ServerError(oneLine(error), own)
  return new BackendError(`${origin} answered ${status}: ${oneLine(error)}`, { retryable: status >= 500 })
}

const notOurs = (origin: string): BackendError =>
  new BackendError(`what ${origin} answers is not of this program`, { retryable: false })

const recordOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const numberOf = (value: unknown): number => (typeof value === 'number' ? value : NaN)

function asModel(origin: string, value: unknown): LoadReport {
  const { name, cid, tasks } = recordOf(value)
  if (typeof name !== 'string' || typeof cid !== 'string') throw notOurs(origin)
  return { name, cid, tasks: listOf(tasks).map(textOf) }
}

function asReport(origin: string, value: unknown): ServerReport {
  const { server, models } = recordOf(value)
  const { pid, startedAt, version, isClosing, inFlight, queued } = recordOf(server)
  if (typeof pid !== 'number' || typeof startedAt !== 'string' || !Array.isArray(models)) throw notOurs(origin)
  return {
    server: {
      pid,
      startedAt,
      version: textOf(version),
      isClosing: isClosing === true,
      inFlight: numberOf(inFlight),
      queued: numberOf(queued),
    },
    models: models.map((model: unknown) => {
      const { requests, held } = recordOf(model)
      return { ...asModel(origin, model), requests: numberOf(requests), held: listOf(held).map(asHeld) }
    }),
  }
}

function asHeld(value: unknown): ServerReport['models'][number]['held'][number] {
  const { task, state, bytes, queued, executionProvider } = recordOf(value)
  return {
    task: textOf(task),
    state: textOf(state),
    bytes: numberOf(bytes),
    queued: numberOf(queued),
    executionProvider: typeof executionProvider === 'string' ? executionProvider : null,
  }
}

/** One JSON text on each line. */
async function* linesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Fields> {
  if (body === null) return
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) {
    const lines = (text + decoder.decode(bytes, { stream: true })).split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) yield recordOf(jsonOf(line))
  }
}
