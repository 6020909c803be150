import { monitorEventLoopDelay } from 'node:perf_hooks'

import type { Engine } from '@x/infer-node'
import type { InferenceRequestEvent } from '@x/inference-server'

import { createRegistry, type Labels, type Registry } from './registry.ts'

export interface ServerMetrics {
  /** Of a request to the port, whichever handler answers it. */
  requestBegan(): void
  /** @param part - Which handler. `status` 499: the client went away first. */
  requestEnded(part: string, method: string, status: number): void
  /** Of a request for a model. */
  modelAsked(event: InferenceRequestEvent): void
  text(): string
  close(): void
}

/** Seconds: from an answer that was kept to a long text. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** A client that went away, as proxies write it in their logs. */
export const GONE_STATUS = 499

const NONE: Labels = {}

/** What is counted of a server and of the engine behind it. Nothing of what was sent or answered is in it, and no token's name. */
export function createServerMetrics(engine: Pick<Engine, 'stats'>): ServerMetrics {
  const registry = createRegistry()
  const requests = registry.counter('ipfs_accelerate_http_requests_total', 'Requests that were answered, by handler.')
  const asked = registry.counter('ipfs_accelerate_inference_requests_total', 'Requests for models, by route.')
  const durations = registry.histogram(
    'ipfs_accelerate_inference_request_duration_seconds',
    'From a request for a model to the end of its answer.',
    DURATIONS,
  )
  let inFlight = 0
  registry.gauge('ipfs_accelerate_http_requests_in_flight', 'Requests that are not answered yet.', () => [
    { labels: NONE, value: inFlight },
  ])
  registerEngine(registry, engine)
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  registerProcess(registry, delay)
  return {
    requestBegan: () => void (inFlight += 1),
    requestEnded(part, method, status) {
      inFlight -= 1
      requests.add({ handler: part, method, status: String(status) })
    },
    modelAsked({ route = 'none', status = GONE_STATUS, durationMs }) {
      asked.add({ route, status: String(status) })
      durations.observe({ route }, durationMs / 1000)
    },
    text: () => registry.text(),
    close: () => void delay.disable(),
  }
}

function registerEngine(registry: Registry, engine: Pick<Engine, 'stats'>): void {
  const whole = (name: string, help: string, type: 'gauge' | 'counter', read: (stats: Stats) => number): void =>
    registry.gauge(`ipfs_accelerate_engine_${name}`, help, () => [{ labels: NONE, value: read(engine.stats()) }], type)
  whole('queued', 'Inputs that wait for a run.', 'gauge', ({ queued }) => queued)
  whole('queued_bytes', 'Of inputs that are not answered yet.', 'gauge', ({ queuedBytes }) => queuedBytes)
  whole('runs_total', 'Runs of graphs.', 'counter', ({ runs }) => runs)
  whole('rows_total', 'Inputs that these answered.', 'counter', ({ rows }) => rows)
  whole('crashes_total', 'Threads that ended in the middle of a run.', 'counter', ({ crashes }) => crashes)
  whole(
    'workers',
    'Threads that run graphs.',
    'gauge',
    ({ workers }) => workers.filter(({ kind }) => kind === 'graphs').length,
  )
  whole('loads_total', 'Models that were loaded into a thread.', 'counter', ({ loads }) => loads)
  whole('unloads_total', 'Models that were unloaded from one.', 'counter', ({ unloads }) => unloads)
  const ofModels = (name: string, help: string, read: (model: Stats['models'][number]) => number): void =>
    registry.gauge(`ipfs_accelerate_model_${name}`, help, () => {
      const samples = new Map<string, { labels: Labels; value: number }>()
      // Two variants of a model are one here.
      for (const model of engine.stats().models) {
        const { cid, task } = model
        const before = samples.get(`${cid} ${task}`)?.value ?? 0
        samples.set(`${cid} ${task}`, { labels: { model: cid, task }, value: before + read(model) })
      }
      return [...samples.values()]
    })
  ofModels('bytes', 'Of the weights of a model that is open.', ({ bytes }) => bytes)
  ofModels('queued', 'Inputs of a model that wait.', ({ queued }) => queued)
  ofModels('loaded', '1: it is in a thread.', ({ state }) => (state === 'loaded' ? 1 : 0))
}

type Stats = ReturnType<Engine['stats']>

/** By the names that Prometheus' own libraries have for them. */
function registerProcess(registry: Registry, delay: ReturnType<typeof monitorEventLoopDelay>): void {
  const one = (name: string, help: string, read: () => number, type: 'gauge' | 'counter' = 'gauge'): void =>
    registry.gauge(name, help, () => [{ labels: NONE, value: read() }], type)
  one('process_cpu_seconds_total', 'Processor time of this process.', cpuSeconds, 'counter')
  one('process_resident_memory_bytes', 'Memory of this process, mapped files among it.', () =>
    process.memoryUsage.rss(),
  )
  one('process_start_time_seconds', 'When it began, since 1970.', () => performance.timeOrigin / 1000)
  // Since it was read last.
  one('nodejs_eventloop_lag_p99_seconds', 'How late timers of the main thread are.', () => {
    const seconds = delay.percentile(99) / 1e9
    delay.reset()
    return seconds
  })
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
