import { CID, InvalidInputError } from '@x/cid'
import type { GivenOptions, RAW_TENSORS, RawTensors, TaskName } from '@x/infer-core'
import type { Dtype } from '@x/model-loader'
import type { TaskInput, TaskResult } from '@x/pipelines'
import type { GraphTable } from '@x/pipelines/parts'
import { BackendError, GatedError, type AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import type { Answers, LoadedModelState, LoadProgress, OpenedRuntime, Question } from './messages.ts'
import { lookHere, rungsOf, type Providers } from './rungs.ts'
import { receiveResult } from './sent-result.ts'
import { createVerdicts, type VerdictStorage } from './verdicts.ts'
import { within } from './within.ts'
import {
  DeviceLostError,
  openWorker,
  ProviderRefusedError,
  WorkerSpentError,
  type Asked,
  type AskOptions,
  type WorkerClient,
} from './worker-client.ts'

export interface EngineOptions {
  /** Starts a worker that calls `serveInference`. One for each execution provider that is used, and again after one ended. */
  worker: () => Worker
  /** What graphs run on. Default `auto`: WebGPU where it works, else WebAssembly. `{ require: 'webgpu' }`: that and no other. */
  providers?: Providers | undefined
  /** Most bytes of weights that are loaded at a time, of each execution provider. What was used least lately goes. Default 2 GiB. */
  memoryBytes?: number | undefined
  /**
   * Longest time that an execution provider may take for each step of answering, once the runtime's files are there (its adapter, the runtime and its threads, a
   * tiny graph), before it is taken for one that does not work. Default 60 s.
   */
  probeTimeoutMs?: number | undefined
  /** Keeps what works in this browser, for a day. Default `localStorage`, where it may be used. */
  verdicts?: VerdictStorage | undefined
  /** Told of what went wrong without failing a call, such as an execution provider that does not work. Default: nobody is. */
  onWarning?: ((message: string) => void) | undefined
}

interface LoadOptions extends AbortOptions {
  /** What its graphs run on. Default: as the engine was made. */
  providers?: Providers | undefined
  /** Which variant of the model. Default: as `chooseDtype` says. */
  dtype?: Dtype | undefined
  /** How far the model is on its way into memory, where it is not there. */
  onProgress?: ((event: LoadProgress) => void) | undefined
}

export interface EngineRunOptions extends LoadOptions {
  /** Of the task, by the names of transformers.js. */
  options?: GivenOptions | undefined
  /** Called with each new piece of a text while it is generated, without the prompt. Only of tasks that stream; see `TASKS`. */
  onText?: ((piece: string) => void) | undefined
  /** It is run anew, as after the GPU was lost: pieces of a text that came before are void. */
  onRestart?: (() => void) | undefined
}

interface SessionOptions extends LoadOptions {
  /** A graph of the model, by its path. Default: its only one, or the `model` in `onnx/` as `chooseDtype` says. */
  file?: string | undefined
}

/** A graph that is run on tensors as they are. */
export interface GraphSession extends GraphTable {
  readonly model: CID
  /** Its path in the model. */
  readonly file: string
  /**
   * @param feeds - A tensor for each input, by name. @param options.outputs - Names of those that are wanted. Default: all.
   * @throws {InvalidInputError} An input is missing, unknown, or of another type or shape than the graph takes; it names it.
   */
  run(
    feeds: RawTensors,
    options?: AbortOptions & { outputs?: readonly string[] | undefined },
  ): Promise<TaskResult<typeof RAW_TENSORS>>
}

/** An execution provider that does not work here, or cannot run a model. */
export interface ProviderRefusal {
  executionProvider: string
  /** A reference; `undefined`: it runs none. */
  model: string | undefined
  why: string
}

export interface EngineStats {
  /** A worker for each. */
  runtimes: readonly (Omit<OpenedRuntime, 'lock'> & { models: readonly LoadedModelState[] })[]
  refusals: readonly ProviderRefusal[]
}

/** Runs models in workers, so that the page stays free. */
export interface Engine {
  /**
   * Runs one input, alone.
   *
   * @param model - What `openModel` of the worker takes: `ipfs://<cid>`, a CID, or a name.
   * @param input - As the task takes it; a picture or a sound as bytes or a `Blob`.
   * @throws {GatedError} No execution provider that may be used works here; it says of each why.
   * @throws {CrashError} The worker ended. The next call has another one.
   * @throws {BackendError} `retryable`: the GPU was lost, and again when it was tried once more.
   */
  run<Name extends TaskName>(
    task: Name,
    model: string,
    input: TaskInput<Name>,
    options?: EngineRunOptions,
  ): Promise<TaskResult<Name>>
  /** Loads a graph of a model, to run it on tensors as they are. */
  session(model: string, options?: SessionOptions): Promise<GraphSession>
  /** Opens and loads a model before it is asked for. */
  load(task: TaskName, model: string, options?: LoadOptions): Promise<void>
  /** After what was asked before. @returns How many were unloaded: those of a CID. */
  unload(cid: string): Promise<number>
  /** The tasks that a model is for, by what its repository says. Empty where it does not say. */
  tasksOf(model: string, options?: AbortOptions): Promise<TaskName[]>
  stats(): Promise<EngineStats>
  /** Ends all workers: what was asked rejects, and so does any later call. */
  close(): void
}

const MEMORY_BYTES = 2 * 2 ** 30

/** A driver that compiles for the first time, on a machine that is busy. */
const PROBE_TIMEOUT_MS = 60_000

const keyOf = (executionProvider: string, model?: string): string => `${executionProvider} ${model ?? ''}`

const closed = (): Error => new BackendError('the engine is closed', { retryable: false })

/** @throws {InvalidInputError} Providers that there are not. */
export function createEngine({
  worker,
  providers = 'auto',
  memoryBytes = MEMORY_BYTES,
  probeTimeoutMs = PROBE_TIMEOUT_MS,
  verdicts: storage = ownStorage(),
  onWarning = () => undefined,
}: EngineOptions): Engine {
  const usual = rungsOf(providers)
  const rungsFor = (given: Providers | undefined): readonly string[] => (given === undefined ? usual : rungsOf(given))
  const verdicts = createVerdicts(storage)
  const clients = new Map<string, Promise<WorkerClient>>()
  const refusals = new Map<string, ProviderRefusal>()
  /** Execution providers whose refusal may be another the next time. */
  const passing = new Set<string>()
  let isClosed = false

  function refuse(refusal: ProviderRefusal): void {
    const { executionProvider, model, why } = refusal
    // Several may have waited for the same worker.
    if (refusals.has(keyOf(executionProvider, model))) return
    refusals.set(keyOf(executionProvider, model), refusal)
    onWarning(
      model === undefined
        ? `execution provider ${executionProvider} does not work here: ${why}`
        : `execution provider ${executionProvider} cannot run ${model}: ${why}`,
    )
  }

  /** @throws {ProviderRefusedError} It does not work here. */
  async function start(executionProvider: string, model: string): Promise<WorkerClient> {
    const { why, adapter } = await within(probeTimeoutMs, lookHere(executionProvider))
    if (why !== undefined) throw new ProviderRefusedError(why)
    const about = { executionProvider, adapter }
    const known = verdicts.get(about)
    if (known?.works === false)
      throw new ProviderRefusedError(`${known.why ?? 'it did not'} (tried in the last 24 hours)`)
    const isProbed = known?.works === true
    const question = { type: 'open', executionProvider, isProbed, memoryBytes, next: model } as const
    try {
      const client = await openWorker(worker, question, { probeTimeoutMs })
      if (!known) verdicts.set(about, { works: true })
      return client
    } catch (error) {
      // WebAssembly is the last one: it is tried again each time.
      const isVerdict = error instanceof ProviderRefusedError && error.isLasting && executionProvider !== 'wasm'
      if (isVerdict) verdicts.set(about, { works: false, why: error.message })
      throw error
    }
  }

  async function clientOf(executionProvider: string, model: string): Promise<WorkerClient> {
    const known = clients.get(executionProvider)
    const client = await known?.catch(() => undefined)
    assertOpen()
    if (known !== undefined && client?.isSound()) return client
    // Somebody else may have begun meanwhile.
    const current = clients.get(executionProvider)
    if (current !== undefined && current !== known) return clientOf(executionProvider, model)
    const starting = start(executionProvider, model)
    clients.set(executionProvider, starting)
    const started = await starting
    if (isClosed) started.end(closed())
    assertOpen()
    return started
  }

  function assertOpen(): void {
    if (isClosed) throw closed()
  }

  const isOut = (executionProvider: string, model: string): boolean =>
    [undefined, model].some((what) => refusals.has(keyOf(executionProvider, what)))

  /** The first execution provider that may be used and does it. */
  async function climb<T>(
    model: string,
    rungs: readonly string[],
    use: (client: WorkerClient) => Promise<T>,
  ): Promise<T> {
    assertOpen()
    for (const executionProvider of rungs) {
      let isLost = false
      while (!isOut(executionProvider, model)) {
        let refused: string | undefined = model
        try {
          const client = await clientOf(executionProvider, model).catch((error: unknown) => {
            refused = undefined
            throw error
          })
          return await use(client)
        } catch (error) {
          if (error instanceof ProviderRefusedError) {
            refuse({ executionProvider, model: refused, why: error.message })
            if (refused === undefined && !error.isLasting) passing.add(executionProvider)
          } else if (error instanceof DeviceLostError) {
            if (isLost) {
              throw new BackendError(`the GPU was lost twice: ${error.message}`, { cause: error, retryable: true })
            }
            isLost = true
            onWarning(`the GPU was lost (${error.message}); ${model} is asked for once more`)
          } else if (!(error instanceof WorkerSpentError)) {
            throw error
          }
        }
      }
    }
    const reasons = rungs.map((one) => `${one}: ${(refusals.get(keyOf(one)) ?? refusals.get(keyOf(one, model)))?.why}`)
    // Where nothing else is left, what only took too long is tried again by the next call.
    for (const one of rungs) if (passing.delete(one)) refusals.delete(keyOf(one))
    throw new GatedError(`no execution provider that may be used can run ${model} here: ${reasons.join('; ')}`, {
      feature: 'execution-provider',
    })
  }

  async function ask<Type extends Question['type']>(
    model: string,
    question: Asked<Type>,
    { onRestart, providers: given, ...options }: AskOptions & Pick<EngineRunOptions, 'onRestart' | 'providers'>,
  ): Promise<Answers[Type]> {
    options.signal?.throwIfAborted()
    const rungs = rungsFor(given)
    let isBegun = false
    try {
      // A worker that starts is not stopped: another call may want it.
      return await untilAborted(
        climb(model, rungs, (client) => {
          if (isBegun) onRestart?.()
          isBegun = true
          return client.ask(question, options)
        }),
        options.signal,
      )
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'DataCloneError') throw error
      throw new InvalidInputError(`what was given cannot be sent to a worker: ${error.message}`, {
        input: 'input',
        cause: error,
      })
    }
  }

  return {
    async run<Name extends TaskName>(
      task: Name,
      model: string,
      input: TaskInput<Name>,
      { options = {}, dtype, onText, ...told }: EngineRunOptions = {},
    ) {
      const question = { type: 'run', task, model, dtype, input, options, streams: onText !== undefined } as const
      return receiveResult<Name>(await ask(model, question, { ...told, onText }))
    },
    async session(reference, { file: wanted, dtype, ...told } = {}) {
      const sent = await ask(reference, { type: 'session', model: reference, file: wanted, dtype }, told)
      const { cid, file, table } = sent
      const model = `ipfs://${cid}`
      return {
        model: CID.parse(cid),
        file,
        ...table,
        async run(feeds, { outputs, signal } = {}) {
          const question = { type: 'run-graph', model, file, feeds, outputs } as const
          const result = await ask(model, question, { signal, providers: told.providers })
          return receiveResult<typeof RAW_TENSORS>(result)
        },
      }
    },
    load: (task, model, { dtype, ...told } = {}) => ask(model, { type: 'load', task, model, dtype }, told),
    async unload(cid) {
      assertOpen()
      const counts = await Promise.all((await sound()).map((client) => client.ask({ type: 'unload', cid })))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    tasksOf: (model, told = {}) => ask(model, { type: 'tasks', model }, told),
    async stats() {
      assertOpen()
      const runtimes = (await sound()).map(async (client) => {
        const { lock: _lock, ...opened } = client.opened
        return { ...opened, models: await client.ask({ type: 'state' }) }
      })
      return { runtimes: await Promise.all(runtimes), refusals: [...refusals.values()] }
    },
    close() {
      isClosed = true
      for (const starting of clients.values()) {
        // Who asked for one that does not start is told.
        starting.then(
          (client) => client.end(closed()),
          () => undefined,
        )
      }
    },
  }

  async function sound(): Promise<WorkerClient[]> {
    const all = await Promise.allSettled(clients.values())
    return all.flatMap((one) => (one.status === 'fulfilled' && one.value.isSound() ? [one.value] : []))
  }
}

/** A page that is sandboxed has none, and says so when it is asked. */
function ownStorage(): VerdictStorage | undefined {
  try {
    return globalThis.localStorage
  } catch {
    return undefined
  }
}
