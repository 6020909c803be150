import { sendError } from '@x/pipelines/parts'
import { BackendError } from '@x/storage-core'

import { closeAll, closeInTurn } from '../close-all.ts'
import type { Call, Loaded, RanOne, Results } from '../workers/messages.ts'
import { startWorker, type RunListener, type WorkerHost, type WorkerHostOptions } from '../workers/worker-host.ts'
import type { KnownGguf } from './known-gguf.ts'
import type { LoadedGguf } from './load-gguf.ts'

export interface HostOptions extends WorkerHostOptions {
  /** The GGUF of a handle, as long as there are calls of it; `undefined`: the model is one of graphs. */
  ggufOf: (handle: number) => KnownGguf | undefined
}

/**
 * What holds models and runs them, one after another: graphs in a thread of their own, which is started when there is one, and GGUFs by
 * llama.cpp, which has its own threads and is called from this one.
 */
export function startHost({ ggufOf, ...options }: HostOptions): WorkerHost {
  const llama = createLlamaHost()
  const crash = Promise.withResolvers<void>()
  let worker: WorkerHost | undefined

  function started(): WorkerHost {
    if (worker) return worker
    worker = startWorker(options)
    void worker.crashed.then(crash.resolve)
    return worker
  }

  return {
    crashed: crash.promise,
    get isOut() {
      return worker?.isOut ?? false
    },
    get at() {
      return worker?.at
    },
    get threadId() {
      return worker?.threadId ?? 0
    },
    async call<C extends Call>(call: C, listener?: RunListener): Promise<Results[C['type']]> {
      const gguf = ggufOf(call.handle)
      if (gguf === undefined) return started().call(call, listener)
      const result = await llama.call(call, gguf, listener)
      // The result of a call is of its kind.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return result as Results[C['type']]
    },
    async end() {
      await closeAll([...(worker ? [worker.end()] : []), llama.end()])
    },
  }
}

interface LlamaHost {
  call(call: Call, gguf: KnownGguf, listener: RunListener | undefined): Promise<Results[keyof Results]>
  end(): Promise<void>
}

function createLlamaHost(): LlamaHost {
  const held = new Map<number, Promise<LoadedGguf>>()
  const stop = new AbortController()
  /** One after another, as in a thread. */
  let tail: Promise<unknown> = Promise.resolve()

  function assertGoing(): void {
    if (stop.signal.aborted) throw new BackendError('the engine was closed', { retryable: false })
  }

  /** Also after the end: what frees a model may not be left out. */
  function afterOthers<T>(work: () => Promise<T>): Promise<T> {
    const done = tail.then(work)
    // Whoever asked for it is told.
    tail = done.catch(() => undefined)
    return done
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    return afterOthers(() => {
      assertGoing()
      return work()
    })
  }

  async function load(handle: number, gguf: KnownGguf): Promise<Loaded> {
    const loading = inTurn(() => gguf.load({ signal: stop.signal }))
    held.set(handle, loading)
    try {
      const { facts } = await loading
      return {
        ...facts,
        sampleRate: undefined,
        table: undefined,
        fallbacks: [],
        alone: 'llama.cpp takes one input at a time',
      }
    } catch (error) {
      if (held.get(handle) === loading) held.delete(handle)
      assertGoing()
      throw error
    }
  }

  async function unload(handle: number): Promise<undefined> {
    // Taken now: one that is loaded again before its turn comes is another.
    const loading = held.get(handle)
    held.delete(handle)
    await afterOthers(() => free(loading))
    return undefined
  }

  async function run(
    { handle, inputs, params }: Call & { type: 'run' },
    loading: Promise<LoadedGguf> | undefined,
    signals: readonly AbortSignal[],
    listener: RunListener | undefined,
  ): Promise<Results['run']> {
    const model = await loading
    if (model === undefined) throw new Error(`no model ${handle} is held`)
    const ran: RanOne[] = []
    let runs = 0
    for (const [index, { input, streams }] of inputs.entries()) {
      const signal = signals[index]
      const onText = streams ? (piece: string) => listener?.onText(index, piece) : undefined
      const counts = signal?.aborted ? 0 : 1
      runs += counts
      const one: RanOne = signal?.aborted
        ? { cancelled: true }
        : await model.run(model.task, input, params, { signal, onText }).then(
            (came): RanOne => came,
            (error: unknown): RanOne => (signal?.aborted ? { cancelled: true } : { error: sendError(error) }),
          )
      ran.push(one)
      // Nobody waits for what others take.
      if (inputs.length > 1) listener?.onRan([{ index, one }], counts)
    }
    assertGoing()
    return { ran, runs }
  }

  return {
    async call(call, gguf, listener) {
      if (call.type === 'load') return load(call.handle, gguf)
      if (call.type === 'run') {
        const cancels = call.inputs.map(() => new AbortController())
        listener?.onStart((index) => cancels[index]?.abort())
        const signals = cancels.map(({ signal }) => AbortSignal.any([signal, stop.signal]))
        const loading = held.get(call.handle)
        return inTurn(() => run(call, loading, signals, listener))
      }
      return unload(call.handle)
    },
    async end() {
      stop.abort()
      await tail
      // Each is freed once, though it is unloaded meanwhile.
      const left = [...held.values()]
      held.clear()
      await closeInTurn(left.map((loading) => () => free(loading)))
    },
  }
}

async function free(loading: Promise<LoadedGguf> | undefined): Promise<void> {
  // Whoever asked for one that failed to load was told.
  const [model] = await Promise.allSettled([loading])
  if (model.status === 'fulfilled') await model.value?.dispose()
}
