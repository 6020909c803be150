import type { Engine } from '@x/infer-node'
import { HttpError, readJson, toHttpError, type ServedModel } from '@x/inference-server'
import { reasonOf, toBody } from '@x/storage-core/backend'

import type { LoadEvent, ModelLoads, ModelWanted } from '../models/model-loads.ts'
import type { ServedList } from '../models/served-list.ts'
import type { Mount } from '../mount.ts'
import { createLatest } from './latest-events.ts'
import { parseWanted } from './parse-wanted.ts'

const PATH = '/admin/v1/models'

/** What a server says of itself. */
export interface ServerState {
  pid: number
  /** Of this server, for who knows it by a file. */
  startedAt: string
  version: string
  isClosing: boolean
  inFlight: number
}

export interface AdminOptions {
  engine: Pick<Engine, 'stats'>
  served: ServedList
  loads: ModelLoads
  /** Something opens what a reference points to. */
  canLoad: boolean
  state: () => ServerState
  onWarning: ((message: string) => void) | undefined
}

/** `/admin/v1/models`: what is served and what it takes; models that come and go. For `admin` alone. */
export function adminMount(options: AdminOptions): Mount {
  return {
    name: 'admin',
    owns: (pathname) => pathname === PATH || pathname.startsWith(`${PATH}/`),
    scope: () => 'admin',
    errors: 'json',
    async handle(request) {
      try {
        return await answer(request, options)
      } catch (error) {
        const known = toHttpError(error)
        if (known.status >= 500) options.onWarning?.(`${request.method} ${PATH}: ${reasonOf(error)}`)
        throw known
      }
    },
  }
}

async function answer(request: Request, options: AdminOptions): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  const reference = pathname.slice(PATH.length + 1)
  if (reference === '') return answerAll(request, options)
  if (request.method !== 'DELETE') throw wrongMethod('DELETE')
  const model = await options.loads.unload(decoded(reference), { drain: searchParams.get('drain') === 'true' })
  return json({ unloaded: describe(model, options) })
}

async function answerAll(request: Request, options: AdminOptions): Promise<Response> {
  if (request.method === 'GET' || request.method === 'HEAD') return json(stateOf(options), request.method === 'HEAD')
  if (request.method !== 'POST') throw wrongMethod('GET, HEAD, POST')
  if (!options.canLoad) {
    const message = 'this server was started with nothing that opens models'
    throw new HttpError(501, message, { type: 'invalid_request_error' })
  }
  return answerLoad(request, parseWanted(await readJson(request, bodyLimits(request))), options)
}

const MAX_BODY_BYTES = 65_536
const STALL_TIMEOUT_MS = 30_000

const bodyLimits = ({ signal }: Request): Parameters<typeof readJson>[1] => ({
  maxBodyBytes: MAX_BODY_BYTES,
  stallTimeoutMs: STALL_TIMEOUT_MS,
  signal,
  take: () => undefined,
})

function stateOf(options: AdminOptions): object {
  const { engine, served, state } = options
  const { queued, queuedBytes } = engine.stats()
  return { server: { ...state(), queued, queuedBytes }, models: served.list().map((model) => describe(model, options)) }
}

function describe(model: ServedModel, { engine, served }: Pick<AdminOptions, 'engine' | 'served'>): object {
  const cid = model.cid.toString()
  const held = engine.stats().models.filter((one) => one.cid === cid)
  return {
    name: model.name,
    cid,
    tasks: model.tasks,
    servedSince: model.createdAt.toISOString(),
    requests: served.requestsOf(model),
    // One for each task, or graph, that it was opened for; what was not used for long may have left the memory.
    held: held.map(({ task, state, bytes, queued, executionProvider, usedMs, quarantinedUntilMs }) => ({
      task,
      state,
      bytes,
      queued,
      executionProvider: executionProvider ?? null,
      usedAt: new Date(usedMs).toISOString(),
      quarantinedUntil: quarantinedUntilMs === undefined ? null : new Date(quarantinedUntilMs).toISOString(),
    })),
  }
}

/** Events, one JSON text on each line; the last one says what came of it. */
function answerLoad(request: Request, wanted: ModelWanted, options: AdminOptions): Response {
  const stop = new AbortController()
  const body = toBody(toLines(loadEvents(wanted, options, stop.signal)), (reason) => stop.abort(reason), {
    signal: request.signal,
    onEnd: () => undefined,
  })
  return new Response(body, { headers: { ...COMMON, 'content-type': 'application/x-ndjson; charset=utf-8' } })
}

async function* loadEvents(wanted: ModelWanted, options: AdminOptions, signal: AbortSignal): AsyncGenerator {
  const events = createLatest<LoadEvent>()
  const loading = options.loads.load(wanted, (event) => events.push(event), { signal })
  const end = (): void => events.end()
  loading.then(end, end)
  yield* events.read()
  try {
    yield { event: 'loaded', model: describe(await loading, options) }
  } catch (error) {
    signal.throwIfAborted()
    const { status, code } = toHttpError(error)
    const said = reasonOf(error)
    options.onWarning?.(`${wanted.reference} was not loaded: ${said}`)
    // Whoever may ask for it runs the server, and is told of what lies on it.
    yield { event: 'failed', status, code: codeIn(error) ?? code ?? null, error: said }
  }
}

const codeIn = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

const encoder = new TextEncoder()

async function* toLines(events: AsyncGenerator): AsyncGenerator<Uint8Array> {
  for await (const event of events) yield encoder.encode(`${JSON.stringify(event)}\n`)
}

const COMMON = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

const json = (value: unknown, isHead = false): Response =>
  new Response(isHead ? null : `${JSON.stringify(value)}\n`, {
    headers: { ...COMMON, 'content-type': 'application/json; charset=utf-8' },
  })

function wrongMethod(allow: string): HttpError {
  return new HttpError(405, `${allow} are answered`, { type: 'invalid_request_error', headers: { allow } })
}

function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference)
  } catch (cause) {
    throw new HttpError(400, 'the model is not percent-encoded UTF-8', {
      type: 'invalid_request_error',
      cause,
    })
  }
}
