import { Hono, type Context } from 'hono'

import { ADMIT_ALL, whenAdmitted } from './admit.ts'
import { createBodyBudget } from './body-budget.ts'
import { withBoundedTexts } from './bounded-texts.ts'
import { startDeadline, type Deadline } from './deadline.ts'
import { toErrorAnswer, type Dialect } from './dialect.ts'
import { EVENT_STREAM_HEADERS, EVENT_STREAM_TYPE, toEventStream } from './event-stream.ts'
import { HttpError, toHttpError } from './http-error.ts'
import { toLimits, type InferenceHandlerOptions, type InferenceRequestEvent } from './inference-options.ts'
import { modelOfPath, modelOfRequest, unknownModel } from './model-of-request.ts'
import { targetOf, type Target } from './models-prefix.ts'
import { readTensorBody } from './oip/tensor-body.ts'
import type { InferencePorts, ServedModel } from './ports.ts'
import { readJson } from './read-body.ts'
import type { Answer, Asked, Route } from './route.ts'
import { isOfModel, ROUTES, templateOf } from './routes.ts'
import { startRequestSpan, type RequestSpan } from './tracing.ts'

const PATHS_OF_MODEL = ROUTES.filter(isOfModel).map(({ path }) => path)

/** What an answer goes on with behind its headers. */
interface Streaming {
  dialect: Dialect
  request: Request
  deadline: Deadline
  log: RequestLog
}

/** What goes through the router with a request. */
interface Bindings {
  log: RequestLog
  target: Target
}

/**
 * Models behind the HTTP APIs that clients speak. It opens no port, and opens nothing because of a request but what `ports` have.
 *
 * When `request.signal` aborts before there is an answer, what it asked for is stopped, and the handler rejects with its reason.
 *
 * @throws {InvalidInputError} An option that cannot be.
 */
export function createInferenceHandler(
  ports: InferencePorts,
  options: InferenceHandlerOptions = {},
): (request: Request) => Promise<Response> {
  const limits = toLimits(options)
  const shareFor = createBodyBudget(limits.maxBodiesBytes, limits.maxBodiesBytesPerCaller)
  const bounded = withBoundedTexts(ports.inference, limits.maxTextCharacters)
  const { admit = ADMIT_ALL } = options

  const answerTo = (route: Route, context: Context<{ Bindings: Bindings }>): Promise<Response> =>
    whenAdmitted(admit, context.req.raw, route, (caller) => answerAdmitted(route, context, caller))

  async function answerAdmitted(
    { run, path, dialect }: Route,
    context: Context<{ Bindings: Bindings }>,
    caller: string,
  ): Promise<Response> {
    const { raw: request } = context.req
    const { log, target } = context.env
    const { ref: ofPath } = target
    log.route = path
    const about = (model: ServedModel): void => {
      log.model = model.cid.toString()
      if (!ports.models.hold) return
      const release = ports.models.hold(model)
      if (release === undefined) throw unknownModel()
      log.atEnd.push(release)
    }
    const deadline = startDeadline(request.signal, limits.deadlineMs)
    const { signal } = deadline
    const share = shareFor(caller)
    const bodyLimits = { ...limits, signal, take: (bytes: number) => share.take(bytes) }
    let isStream = false
    try {
      const asked: Asked = {
        request,
        ports: { ...ports, inference: log.span.traced(bounded) },
        limits,
        signal,
        parameter: (name) => context.req.param(name) ?? '',
        json: () => readJson(request, bodyLimits),
        tensors: () => readTensorBody(request, bodyLimits),
        version: options.version,
        caller,
        ofPath,
        async model(tasks, named) {
          const { models } = ports
          const model = await (ofPath === undefined
            ? modelOfRequest(models, tasks, named, signal)
            : modelOfPath(models, tasks, { ofPath, named }, signal))
          about(model)
          return model
        },
        about,
      }
      const { status, headers, body } = await run(asked)
      if (!('events' in body)) return toResponse({ status, headers, body }, log)
      request.signal.throwIfAborted()
      isStream = true
      return toStreamResponse(headers, toStream(body.events, { dialect, request, deadline, log }), log)
    } finally {
      share.release()
      if (!isStream) deadline.release()
    }
  }

  /** What is still to come of an answer: until its end its deadline holds, and its log is open. */
  function toStream(
    events: AsyncGenerator,
    { dialect, request, deadline, log }: Streaming,
  ): ReadableStream<Uint8Array> {
    log.isOpen = true
    return toEventStream(events, {
      signal: request.signal,
      readTimeoutMs: limits.readTimeoutMs,
      toErrorEvent(error) {
        log.error = causeOf(error)
        log.hasFailed = true
        deadline.stop(error)
        return toErrorAnswer(dialect, toHttpError(error)).body
      },
      stop: (reason) => deadline.stop(reason),
      onEnd(outcome, error) {
        deadline.release()
        log.error ??= error
        log.end(200, log.hasFailed ? 'failed' : outcome)
      },
    })
  }

  const app = routerOf(answerTo)
  return async (request) => {
    const log = startLog(request, options.onRequest)
    const target = targetOf(new URL(request.url).pathname, PATHS_OF_MODEL)
    const response = request.signal.aborted ? undefined : await app.fetch(request, { log, target })
    if (response !== undefined && log.isOpen) return response
    if (response === undefined || request.signal.aborted) {
      log.end(undefined, 'cancelled')
      throw request.signal.reason
    }
    log.end(response.status, response.status >= 500 ? 'failed' : 'finished')
    return response
  }
}

function routerOf(
  answerTo: (route: Route, context: Context<{ Bindings: Bindings }>) => Promise<Response>,
): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>({ getPath: (_request, options) => options?.env?.target.path ?? '/' })
  const guarded = async (
    context: Context<{ Bindings: Bindings }>,
    dialect: Dialect,
    work: () => Promise<Response>,
  ): Promise<Response> => {
    try {
      return await work()
    } catch (error) {
      const httpError = toHttpError(error)
      context.env.log.error = causeOf(error)
      return toErrorResponse(dialect, httpError, context.env.log)
    }
  }
  for (const route of ROUTES)
    app.on(route.method, route.path, (context) => guarded(context, route.dialect, () => answerTo(route, context)))
  for (const { path, dialect } of ROUTES) {
    const methods = ROUTES.filter((route) => route.path === path).map(({ method }) => method)
    const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
    app.options(path, () => new Response(null, { status: 204, headers: { allow } }))
    app.all(path, (context) =>
      guarded(context, dialect, () => {
        const wrongMethod = new HttpError(405, `${allow} are answered`, {
          type: 'invalid_request_error',
          headers: { allow },
        })
        return Promise.reject(wrongMethod)
      }),
    )
  }
  app.notFound((context) => guarded(context, 'openai', () => Promise.reject(unknownRoute())))
  return app
}

function unknownRoute(): HttpError {
  const known = ROUTES.map((route) => `${route.method} ${templateOf(route)}`)
  return new HttpError(404, `there is nothing here of that path; there are ${known.join(', ')}`, {
    type: 'not_found_error',
  })
}

const causeOf = (error: unknown): unknown => (error instanceof HttpError ? error.cause : error)

const JSON_TYPE = 'application/json; charset=utf-8'
const encoder = new TextEncoder()

function toStreamResponse(headers: Answer['headers'], stream: ReadableStream<Uint8Array>, log: RequestLog): Response {
  return new Response(stream, {
    status: 200,
    headers: { ...EVENT_STREAM_HEADERS, 'content-type': EVENT_STREAM_TYPE, ...common(log), ...headers },
  })
}

interface WholeAnswer extends Pick<Answer, 'status' | 'headers'> {
  body: Exclude<Answer['body'], { events: unknown }>
}

function toResponse({ status = 200, headers, body }: WholeAnswer, log: RequestLog): Response {
  const isJson = 'json' in body
  const bytes = isJson ? encoder.encode(JSON.stringify(body.json)) : body.bytes
  return new Response(bytes, {
    status,
    headers: {
      'cache-control': 'no-store',
      'content-type': isJson ? JSON_TYPE : body.type,
      'content-length': String(bytes.length),
      ...common(log),
      ...headers,
    },
  })
}

function toErrorResponse(dialect: Dialect, error: HttpError, log: RequestLog): Response {
  const { status, body } = toErrorAnswer(dialect, error)
  return toResponse({ status, headers: error.headers, body: { json: body } }, log)
}

const common = ({ id }: RequestLog): Record<string, string> => ({
  'x-request-id': id,
  'x-content-type-options': 'nosniff',
})

interface RequestLog {
  readonly id: string
  readonly span: RequestSpan
  /** Of those that there are. */
  route: string | undefined
  model: string | undefined
  error: unknown
  /** Its answer goes on behind its headers, and ends it. */
  isOpen: boolean
  /** The client was told of an error behind the headers. */
  hasFailed: boolean
  /** Called when it ends. */
  readonly atEnd: (() => void)[]
  end(status: number | undefined, outcome: InferenceRequestEvent['outcome']): void
}

/** What a client may call its request. */
const REQUEST_ID = /^[A-Za-z0-9_-]{1,128}$/

function startLog(request: Request, onRequest: InferenceHandlerOptions['onRequest']): RequestLog {
  const { method, url, headers } = request
  const started = performance.now()
  const given = headers.get('x-request-id')
  const log: RequestLog = {
    id: given !== null && REQUEST_ID.test(given) ? given : crypto.randomUUID(),
    span: startRequestSpan(request),
    route: undefined,
    model: undefined,
    error: undefined,
    isOpen: false,
    hasFailed: false,
    atEnd: [],
    end(status, outcome) {
      const { id, route, model, error, span, atEnd } = log
      for (const done of atEnd.splice(0)) done()
      span.end({ route, status, outcome, error })
      const { pathname: path } = new URL(url)
      const durationMs = performance.now() - started
      const failure = error === undefined ? {} : { error }
      onRequest?.({
        id,
        method,
        path,
        ...(route !== undefined && { route }),
        status,
        model,
        durationMs,
        outcome,
        ...failure,
      })
    },
  }
  return log
}
