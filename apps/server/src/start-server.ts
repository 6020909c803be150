import { setTimeout } from 'node:timers/promises'

import { createCache, type CacheArea } from '@x/cache'
import type { GateInputs } from '@x/gating'
import { createEngine, type EngineOptions, type EngineRunOptions } from '@x/infer-node'
import {
  createInferenceHandler,
  type Admit,
  type InferenceHandlerOptions,
  type InferenceRequestEvent,
  type ServedModel,
  type ServedTask,
} from '@x/inference-server'
import type { OpenedModel } from '@x/model-loader'
import { isThisMachine, serveHttp, type CloseHttpOptions, type ResultMode, type ServeHttpOptions } from '@x/node'
import type { EndpointSettings } from '@x/remote-inference'
import { InvalidInputError, type ContentStore } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { adminMount, type ServerState } from './admin/admin-mount.ts'
import { createAdmission, type AdmissionOptions } from './admission.ts'
import { assertCors, type Cors } from './cors.ts'
import { createFront } from './front.ts'
import { healthMounts } from './health.ts'
import { inferenceOn } from './inference-on.ts'
import { metricsMount } from './metrics/metrics-mount.ts'
import { createServerMetrics } from './metrics/server-metrics.ts'
import { factsOf } from './model-facts.ts'
import { createModelLoads, type OpenModelToServe } from './models/model-loads.ts'
import { loadServed, toServed } from './models/serve-model.ts'
import { createServedList } from './models/served-list.ts'
import { openRemote } from './open-remote.ts'
import { ADMIN_PART } from './openapi/admin-part.ts'
import { openApiMounts } from './openapi/openapi-mounts.ts'
import { ownVersion } from './own-version.ts'
import { openPageFiles } from './page/page-files.ts'
import { pageMount } from './page/page-mount.ts'
import { receiptsOf } from './receipts-of.ts'
import { storedMounts } from './stored-mounts.ts'
import { withRemote, type UseOfEndpoints } from './with-remote.ts'

export interface ModelToServe {
  /** Verified, and to stay open until the server is closed, which does not close it. */
  model: OpenedModel
  /** What clients may call it beside its CID. Default: the name that it was opened by, else its CID. */
  name?: string | undefined
  /**
   * What for; `raw-tensors`: only for its graphs to be run on tensors as they are, as those of any model are. Default: what its
   * repository says that it is, of what there are routes for (`SERVED_TASKS`).
   */
  task?: ServedTask | 'raw-tensors' | undefined
  /** Which variant of it. Default: as `chooseDtype` says. */
  dtype?: EngineRunOptions['dtype']
}

export interface StartServerOptions
  extends Omit<ServeHttpOptions, 'allowRemote'>, Omit<InferenceHandlerOptions, 'admit'>, AdmissionOptions {
  /**
   * What it holds is served too: as a trustless gateway, its models as a Hugging Face hub, and the store itself, to which who may
   * write can add. Not closed here. Default: nothing.
   */
  storage?: ContentStore | undefined
  /** A folder with a web page, which is served at `/`. Default: none. */
  page?: string | undefined
  /** Of an upload into it at most. Bytes. Default: what the store takes. */
  maxAddBytes?: number | undefined
  /** Which web pages may ask, beside those of this server. Default: none. */
  cors?: Cors | undefined
  /** What runs the models: threads, memory, execution providers. */
  engine?: Omit<EngineOptions, 'openModel' | 'cache' | 'onWarning'> | undefined
  /**
   * Where results are kept, and found again, beside memory, such as `openResults` of `@x/node`. It is to stay open until the server is closed,
   * which does not close it. Default: nowhere, and each is computed.
   */
  results?: CacheArea | undefined
  /** What is done with results that are kept. Default `use`. */
  resultMode?: ResultMode | undefined
  /**
   * Others that may be asked for the same models, where the gate `remote-inference` is open; it is closed by default. Which one answered stands
   * in the answer. Where it is closed `onWarning` is told once. Default: none.
   */
  endpoints?: readonly EndpointSettings[] | undefined
  /** When: after this machine had too much to do, crashed, or had no room; or before it. Default `fallback`. */
  useEndpoints?: UseOfEndpoints | undefined
  /** Opens models that are added while it runs (`POST /admin/v1/models`). Default: none can be added. */
  openModel?: OpenModelToServe | undefined
  /** What a configuration file says of the gate `remote-inference`; `gates` and `environment` win over it. Default: nothing. */
  configuredGates?: GateInputs['config']
  /** Stops the loading of models. */
  signal?: AbortSignal | undefined
}

export interface CloseServerOptions extends CloseHttpOptions {
  /**
   * How long it goes on as before, though `/readyz` is 503 already: whoever sends requests here may hear late that it should not. A whole
   * number of milliseconds; default 0.
   */
  delayMs?: number | undefined
}

export interface RunningServer {
  /** Without a slash behind it. */
  readonly url: string
  /** Those that are served now. */
  readonly models: readonly ServedModel[]
  /** When it was started, as `/admin/v1/models` says. */
  readonly startedAt: Date
  /**
   * After `delayMs` stops listening, waits for answers as `close` of `serveHttp` does, and ends the engine.
   *
   * @throws {BackendError} Answers were broken off, though it was to wait. It is closed all the same.
   */
  close(options?: CloseServerOptions): Promise<void>
}

/**
 * Serves models, to this machine, or with `tokens` to others: all models are loaded when it resolves.
 *
 * @throws {InvalidInputError} None, or the same one twice; or one is for nothing that there are routes for. Or `host` is an address
 *   that others reach, and there are no `tokens`. Or `page` is no folder with an `index.html`.
 * @throws As `serveHttp`, and as `load` of an engine.
 */
export async function startServer(
  models: readonly ModelToServe[],
  options: StartServerOptions = {},
): Promise<RunningServer> {
  if (models.length === 0) throw new InvalidInputError('there is no model to serve', { input: '' })
  const createdAt = new Date()
  const { onWarning, signal, storage, cors, tokens, host } = options
  // Before models are loaded for it.
  if (host !== undefined && !tokens && !isThisMachine(host))
    throw new InvalidInputError(`${host} may be reached by others, and there are no tokens (--token-file)`, {
      input: host,
    })
  const admission = createAdmission(options)
  const remote = openRemote(options)
  const page = options.page === undefined ? undefined : await openPageFiles(options.page)
  if (cors) assertCors(cors)
  const served = createServedList(
    (source) =>
      (_model, { signal: stop }) =>
        factsOf(source, { signal: stop }),
  )
  const given = await Promise.all(
    models.map(async (one) => ({ one, model: await toServed(one, createdAt, { signal }) })),
  )
  for (const { one, model } of given) served.reserve(model, one)
  const { results } = options
  const cache = results && createCache({ disk: results, onProblem: ({ error }) => onWarning?.(notKept(error)) })
  const engine = createEngine({ ...options.engine, cache, onWarning })
  const metrics = createServerMetrics(engine)
  const loads = createModelLoads({ engine, served, open: options.openModel ?? opensNothing, onWarning })
  try {
    for (const { one, model } of given) {
      await loadServed(engine, model, one, { signal })
      served.publish(model)
    }
    const here = inferenceOn(engine, (model) => ({ cache: options.resultMode, ...served.sourceOf(model) }))
    const inference = remote ? withRemote(here, remote, { use: options.useEndpoints ?? 'fallback', onWarning }) : here
    const onRequest = (event: InferenceRequestEvent): void => {
      metrics.modelAsked(event)
      options.onRequest?.(event)
      if (event.outcome === 'failed') onWarning?.(failureOf(event))
    }
    const ports = { inference, models: served.port, receipts: receiptsOf(results) }
    const admit: Admit = async (request, { scope }) => admission.admit(request, scope)
    const { version = ownVersion() } = options
    const handler = createInferenceHandler(ports, { ...options, version, onRequest, admit })
    let isClosing = false
    const state = (): ServerState => ({
      pid: process.pid,
      startedAt: createdAt.toISOString(),
      version: ownVersion(),
      isClosing,
      inFlight: admission.inFlight(),
    })
    const front = createFront({
      metrics,
      admission,
      cors,
      mounts: [
        ...healthMounts({ isClosing: () => isClosing, storage, knows: admission.knows, onWarning }),
        ...(storage ? storedMounts(storage, { admission, maxAddBytes: options.maxAddBytes, onWarning }) : []),
        metricsMount(metrics),
        adminMount({ engine, served, loads, canLoad: options.openModel !== undefined, state, onWarning }),
        ...openApiMounts({
          inference: options,
          hasStorage: storage !== undefined,
          needsToken: admission.needsToken,
          version,
          others: [ADMIN_PART],
        }),
        ...(page ? [pageMount(page)] : []),
        { name: 'inference', owns: () => true, scope: 'asked-by-route', errors: 'openai', handle: handler },
      ],
    })
    // An upload into the store may take as long as it makes progress; what is read here has a deadline of its own.
    const requestTimeoutMs = options.requestTimeoutMs ?? (storage ? 0 : undefined)
    const server = await serveHttp(front, {
      ...options,
      requestTimeoutMs,
      ...(tokens && { allowRemote: { authenticated: true } }),
    })
    return {
      url: server.url,
      startedAt: createdAt,
      get models() {
        return served.list()
      },
      async close(closing) {
        isClosing = true
        if (closing?.delayMs) await setTimeout(closing.delayMs)
        // What is being loaded has nobody to be asked by.
        const stopped = loads.stop()
        try {
          await server.close(closing)
        } finally {
          await stopped
          metrics.close()
          // Not before: what is still answered needs it.
          await engine.close({ drain: false })
          await loads.close()
        }
      },
    }
  } catch (error) {
    metrics.close()
    await engine.close({ drain: false })
    throw error
  }
}

const notKept = (error: unknown): string => `a result is not kept: ${reasonOf(error)}`

const opensNothing: OpenModelToServe = () => {
  throw new TypeError('nothing opens what a reference points to')
}

const failureOf = ({ id, method, path, status, error }: InferenceRequestEvent): string =>
  `${method} ${path} (${id}): ${error instanceof Error ? error.message : status}`
