import { availableParallelism } from 'node:os'

import type { Cache } from '@x/cache'
import type { Block } from '@x/cid'
import {
  assertTask,
  decodeInput,
  encodeInput,
  encodeParams,
  isOutputOf,
  RAW_TENSORS,
  toFeeds,
  toOutputNames,
  toParams,
  type BatchLimits,
  type CanonicalInput,
  type FairQueueLimits,
  type Params,
  type RawTensors,
  type RunName,
  type TaskName,
} from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import {
  assertStreams,
  bytesIn,
  type Clock,
  type GraphTable,
  type Reserve,
  startClock,
  type TaskInput,
  type TaskResult,
  toResult,
} from '@x/pipelines/parts'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { reasonOf, untilAborted } from '@x/storage-core/backend'

import { closeInTurn } from '../close-all.ts'
import { llamaParallelism } from '../gguf/llama-class.ts'
import { createLadder, type ProviderRefusal, type Providers } from '../providers/ladder.ts'
import { createProviderProber, type ProviderProber, type ProviderVerdict } from '../providers/prober.ts'
import { WASM } from '../providers/provider-names.ts'
import { paramsOfRaw, type GraphSession, type SessionOptions, type SessionRunOptions } from '../raw/graph-session.ts'
import { readInput } from '../read-input.ts'
import { repositoryDefaults } from '../repository-defaults.ts'
import { createResultCache } from '../result-cache.ts'
import type { RunOptions } from '../runner.ts'
import { ask } from './ask.ts'
import { assertNumbers } from './check-options.ts'
import { createDispatcher, type DispatcherStats } from './dispatcher.ts'
import { createIntake } from './intake.ts'
import type { ModelState } from './placements.ts'
import { assertNotQuarantined } from './quarantine.ts'
import { isBusy, type Job, type PrepareGraph, type Residence } from './residence.ts'
import { createResidences } from './residences.ts'
import { createSharers, type Sharer } from './sharers.ts'
import type { Ticket } from './waiting-room.ts'

export interface BatchOptions {
  /** Rows of one run. Default 32. */
  maxRows?: number | undefined
  /** Tokens of one run, padding included. Default 1024: what a processor computes for more goes through its caches; a GPU may want more. */
  maxTokens?: number | undefined
  /** How long the first input waits for others, in milliseconds. Default 0: those that come in the same turn share a run. An input that runs alone does not wait, once its model was loaded and that is known. */
  windowMs?: number | undefined
}

export interface EngineOptions extends Partial<FairQueueLimits> {
  /** Opens what a reference points to. Only for models that are given as text. */
  openModel?: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  /** How the weights of a graph are held. Default: as ONNX Runtime does by itself, a copy in each worker. */
  prepare?: PrepareGraph | undefined
  /** Threads that hold and run models. Default 1: ONNX Runtime has threads of its own. */
  workers?: number | undefined
  /** Of ONNX Runtime, in each worker, and of a run of llama.cpp. Default: the processor's, shared out; of llama.cpp half as many. */
  threads?: number | undefined
  /**
   * Most bytes of inputs that are held at a time, from before they are read or copied until they are answered; about as much again is held of
   * them as blocks. More are `BUSY`; one that is larger by itself is taken when there are no others. Default 512 MiB.
   */
  maxQueuedBytes?: number | undefined
  /** Of one caller. Default as many as of all, so that one caller can keep all others waiting. */
  maxQueuedBytesPerCaller?: number | undefined
  /** Most of the heap of a worker, in MiB, from 24; one that needs more ends, and is replaced. Default: Node's. */
  heapMib?: number | undefined
  /** Most bytes of weights that are loaded at a time. What was not used for longest goes. Default 4 GiB. */
  memoryBytes?: number | undefined
  /**
   * How long a model that was loaded stays so while it is used, in milliseconds, though another one waits for its room; then no
   * new run of it begins until the other one is loaded. Default: 1000, or four times as long as its load took, if that is longer.
   */
  minResidentMs?: number | undefined
  /** A model that was not used for so long is unloaded, in milliseconds. Default: never. */
  keepAliveMs?: number | undefined
  /** Inputs of like length share a run, where that changes no answer. Default 32 rows and 1024 tokens. */
  batch?: BatchOptions | 'off' | undefined
  /** Results that were computed before are given again, under keys that say all that decides them. Default: none are kept. */
  cache?: Cache | undefined
  /**
   * What graphs run on. Default `['cpu']`. Of a list the first that works; `auto`: of all that the installed runtime has, and of its
   * WASM build, GPUs first; `{ require }`: that one and no other.
   */
  providers?: Providers | undefined
  /** Says which execution providers work here. Default: one of its own, which keeps what it finds out in `cache`. */
  prober?: ProviderProber | undefined
  /** Told of what went wrong without failing a call, such as an execution provider that does not work. Default: nobody is. */
  onWarning?: ((message: string) => void) | undefined
  /** How long a model is left alone whose threads crashed twice in a row. Default one minute. */
  quarantineMs?: number | undefined
}

export interface EngineRunOptions extends Omit<RunOptions, 'onText'> {
  /** Called with each new piece of a text while it is generated, without the prompt. Only of tasks that stream; see `TASKS`. */
  onText?: ((piece: string) => void) | undefined
  /** Who asks. Callers are served in turn, so that one who asks for much does not keep the others waiting. Default: one for all. */
  caller?: string | undefined
}

/** An input that has been read, of a run. */
interface AskedOf<Name extends RunName> {
  task: Name
  started: Clock
  inputBlock: Block
  paramsBlock: Block
  params: Params
  /** As it was given, for a person. */
  given: unknown
  caller: string
  onText: ((piece: string) => void) | undefined
  signal: AbortSignal | undefined
  cacheMode: RunOptions['cache']
}

export interface EngineStats extends DispatcherStats {
  /** Of inputs that were asked for and are not answered. */
  queuedBytes: number
  /** The execution providers that were tried, and why those that are not used are not. */
  providers: { verdicts: readonly ProviderVerdict[]; refusals: readonly ProviderRefusal[] }
  models: readonly {
    cid: string
    task: string
    /** `open`: verified, and in no memory; a run loads it. */
    state: ModelState
    /** When a run of it, a load or what was kept of it last ended; before the first when it was opened. Milliseconds since 1970. */
    usedMs: number
    bytes: number
    queued: number
    /** What its last run was on. */
    executionProvider: string | undefined
    quarantinedUntilMs: number | undefined
  }[]
}

/** Runs models in threads, so that this one stays free. */
export interface Engine {
  /**
   * Runs one input. Inputs that are asked for at the same time may share a run; the answer is the one it has alone.
   *
   * @param model - An opened model, which has to stay open; or a reference.
   * @throws {BusyError} As many wait as may, or inputs of as many bytes are held as may be.
   * @throws {CrashError} The thread that ran it ended.
   * @throws {GatedError} No execution provider that may be used works here.
   */
  run<Name extends TaskName>(
    task: Name,
    model: string | OpenedModel,
    input: TaskInput<Name>,
    options?: EngineRunOptions,
  ): Promise<TaskResult<Name>>
  /**
   * Loads a graph of a model, to run it on tensors as they are. It needs no more of the model than the graph and what its tensors lie
   * in, and shares threads, queues, memory and cache with all others; where it was unloaded, a run loads it again.
   *
   * @throws {NotFoundError} The model has no such graph.
   * @throws {InvalidInputError} It has several, and none was named; or ONNX Runtime refuses it.
   * @throws {UnsupportedError} It takes what is no tensor, or one of a type that JavaScript has not.
   * @throws {BusyError} As many wait for room as may wait in the queues (`maxQueued`).
   * @throws {NoSpaceError} It is larger than `memoryBytes`.
   */
  session(model: string | OpenedModel, options?: SessionOptions): Promise<GraphSession>
  /**
   * Opens and loads a model before it is asked for. Where models that are in use take the room, it waits for its turn, as a run does.
   *
   * @throws {BusyError} As many wait for room as may wait in the queues (`maxQueued`).
   * @throws {NoSpaceError} It is larger than `memoryBytes`.
   */
  load(task: string, model: string | OpenedModel, options?: AbortOptions & Pick<RunOptions, 'dtype'>): Promise<void>
  /** @returns How many were unloaded: those of a CID that nothing waits for. */
  unload(cid: string): Promise<number>
  stats(): EngineStats
  /**
   * Any later call rejects. Resolves when all threads have ended, for whoever calls it.
   *
   * @param options.drain - Lets what was asked for end first. Default true. One call with `false` is for all.
   */
  close(options?: { drain?: boolean | undefined }): Promise<void>
}

const MAX_QUEUED = 1024
const MAX_QUEUED_BYTES = 512 * 2 ** 20
const MEMORY_BYTES = 4 * 2 ** 30
const QUARANTINE_MS = 60_000

/** @throws {InvalidInputError} A number among the options is one that it cannot be. */
export function createEngine(options: EngineOptions = {}): Engine {
  assertNumbers(options)
  const { openModel, prepare, maxQueued = MAX_QUEUED, maxQueuedPerCaller, keepAliveMs } = options
  const onWarning = options.onWarning ?? (() => undefined)
  const workers = options.workers ?? 1
  const prober = options.prober ?? createProviderProber({ cache: options.cache, onWarning })
  const ladder = createLadder({ providers: options.providers ?? ['cpu'], prober, onWarning })
  let isWasm = false
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / workers))
  const dispatcher = createDispatcher({
    isWasm: () => isWasm,
    workers,
    threads,
    heapMib: options.heapMib,
    memoryBytes: options.memoryBytes ?? MEMORY_BYTES,
    minResidentMs: options.minResidentMs,
    batch: options.batch === 'off' ? undefined : batchOf(options.batch),
    quarantineMs: options.quarantineMs ?? QUARANTINE_MS,
    limits: { maxQueued, maxQueuedPerCaller },
    onWarning,
  })
  const results = options.cache && createResultCache(options.cache, onWarning)
  const residences = createResidences({
    openModel,
    prepare,
    ladder,
    threads,
    llamaThreads: options.threads ?? Math.max(1, Math.floor(llamaParallelism() / workers)),
    onOpen: (residence) => {
      if (!residence.gguf) isWasm = residence.providers[0] === WASM
      dispatcher.add(residence)
    },
    onClose: (residence) => dispatcher.remove(residence),
    isBusy,
    onWarning,
  })
  const shareFlight = createSharers()
  const intake = createIntake(options.maxQueuedBytes ?? MAX_QUEUED_BYTES, options.maxQueuedBytesPerCaller)
  const underWay = new Set<Promise<unknown>>()
  const closedError = new BackendError('the engine is closed', { retryable: false })
  let isClosed = false
  let ended: { error: unknown } | undefined
  let ending: Promise<void> | undefined
  const sweeper =
    keepAliveMs === undefined ? undefined : setInterval(() => sweep(keepAliveMs), Math.max(100, keepAliveMs / 4))
  sweeper?.unref()

  /** Does what was asked for, which `close` waits for. */
  async function doing<T>(
    { signal, caller = '' }: Pick<SessionRunOptions, 'signal' | 'caller'>,
    work: (reserve: Reserve) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    if (isClosed) throw closedError
    const done = intake.use(caller, work)
    underWay.add(done)
    try {
      return await done
    } finally {
      underWay.delete(done)
    }
  }

  /** Before what was asked for is put into a queue. */
  const assertOpen = (signal: AbortSignal | undefined): void => {
    signal?.throwIfAborted()
    if (ended) throw ended.error
  }

  async function end(): Promise<void> {
    const error = new BackendError('the engine was closed', { retryable: false })
    ended = { error }
    await closeInTurn([() => dispatcher.end(error), () => residences.close(error)])
  }

  function sweep(keepMs: number): void {
    for (const residence of residences.all()) {
      if (Date.now() - residence.usedMs <= keepMs || !residences.isIdle(residence)) continue
      const failed = (error: unknown): void => onWarning(`${residence.model.cid} was not closed: ${reasonOf(error)}`)
      residences.release(residence).catch(failed)
    }
  }

  /** The result of an input that has been read: kept, or computed by a thread. */
  async function answer<Name extends RunName>(
    residence: Residence,
    asked: AskedOf<Name>,
    inputOf: () => CanonicalInput,
  ): Promise<TaskResult<Name>> {
    const { task, started, inputBlock, paramsBlock, params, caller, onText, given, signal, cacheMode } = asked
    const compute = async (runSignal: AbortSignal | undefined, sharer?: Sharer): Promise<TaskResult<Name>> => {
      assertOpen(runSignal)
      // Whoever asked first may have given up, and its model may have gone, while others wait for the same result.
      if (!residences.has(residence)) {
        throw new BackendError(`${residence.model.cid} was unloaded meanwhile`, { retryable: true })
      }
      const push = (job: Job): Ticket => {
        const ticket = dispatcher.push(residence, params, paramsBlock, job)
        sharer?.queue(ticket)
        return ticket
      }
      const first = sharer?.caller ?? caller
      const answering = ask(push, { input: inputOf(), caller: first, onText, signal: runSignal, given })
      const { output, facts: loaded, tokens } = await answering
      if (!isOutputOf(task, output)) {
        throw new BackendError(`${task} gave no result of its kind: ${typeof output}`, { retryable: false })
      }
      residence.facts = loaded
      const facts = residence.facts
      const { model } = residence
      return toResult({ task, model, facts, started, inputBlock, paramsBlock, params, output, tokens })
    }
    if (!results || cacheMode === 'bypass') return compute(signal)
    return results.result(
      {
        task,
        known: residence,
        inputBlock,
        paramsBlock,
        params,
        started,
        mode: cacheMode,
        isWatched: onText !== undefined,
        given,
        caller,
        share: (flight) => shareFlight(flight, caller),
        signal,
      },
      compute,
    )
  }

  /** What a graph takes and gives; where it is not known yet, it is loaded. */
  async function tableOf(residence: Residence, signal: AbortSignal | undefined): Promise<GraphTable> {
    if (residence.table === undefined) {
      assertOpen(signal)
      await untilAborted(dispatcher.load(residence, { signal }), signal)
    }
    if (residence.table === undefined) throw new TypeError('a graph that was loaded, and nothing is known of it')
    return residence.table
  }

  async function runRaw(
    residence: Residence,
    tensors: RawTensors,
    outputs: readonly string[],
    started: Clock,
    { signal, caller = '', cache: cacheMode }: SessionRunOptions,
  ): Promise<TaskResult<typeof RAW_TENSORS>> {
    assertNotQuarantined(residence)
    const params = paramsOfRaw(residence.graph?.file ?? '', outputs)
    const canonical: CanonicalInput = { kind: 'tensors', tensors }
    const [inputBlock, paramsBlock] = await Promise.all([encodeInput(canonical), encodeParams(params)])
    const asked: AskedOf<typeof RAW_TENSORS> = {
      task: RAW_TENSORS,
      started,
      inputBlock,
      paramsBlock,
      params,
      given: undefined,
      caller,
      onText: undefined,
      signal,
      cacheMode,
    }
    // A thread is given the memory itself; what is computed again is read from the block.
    let own: CanonicalInput | undefined = canonical
    return answer(residence, asked, () => {
      const input = own ?? rawInputOf(inputBlock.bytes)
      own = undefined
      return input
    })
  }

  return {
    run(task, model, input, { options: given = {}, dtype, signal, caller = '', onText, cache: cacheMode } = {}) {
      return doing({ signal, caller }, async (reserve) => {
        const started = startClock()
        assertTask(task)
        // Before a model is opened for nothing.
        toParams(task, given)
        assertStreams(task, onText)
        return residences.use(task, model, { dtype, signal }, async (residence) => {
          assertNotQuarantined(residence)
          const params = toParams(task, given, await repositoryDefaults(task, residence, given, signal))
          const [canonical, paramsBlock] = await Promise.all([
            readInput(task, input, residence.sampleRate, signal, reserve),
            encodeParams(params),
          ])
          const inputBlock = await encodeInput(canonical)
          const asked = {
            task,
            started,
            inputBlock,
            paramsBlock,
            params,
            given: input,
            caller,
            onText,
            signal,
            cacheMode,
          }
          return answer(residence, asked, () => canonical)
        })
      })
    },
    session(model, { file, dtype, signal } = {}) {
      const variant = { graphFile: file, dtype }
      return doing({ signal }, () =>
        residences.use(RAW_TENSORS, model, { ...variant, signal }, async (residence) => {
          assertNotQuarantined(residence)
          const { inputs, outputs } = await tableOf(residence, signal)
          const { cid } = residence.model
          // A name may lead elsewhere when it is opened again.
          const same = typeof model === 'string' ? `ipfs://${cid}` : model
          return {
            model: cid,
            file: residence.graph?.file ?? '',
            inputs,
            outputs,
            run: (feeds, runOptions = {}) =>
              doing(runOptions, async (reserve) => {
                const started = startClock()
                reserve(bytesIn(feeds))
                // At once, before the caller's memory is used for something else.
                const tensors = toFeeds(inputs, feeds)
                const names = toOutputNames(outputs, runOptions.outputs)
                return residences.use(RAW_TENSORS, same, { ...variant, signal: runOptions.signal }, (held) =>
                  runRaw(held, tensors, names, started, runOptions),
                )
              }),
          }
        }),
      )
    },
    load(task, model, { dtype, signal } = {}) {
      return doing({ signal }, async () => {
        assertTask(task)
        await residences.use(task, model, { dtype, signal }, async (residence) => {
          assertOpen(signal)
          // A thread does not stop in the middle of that; who does not want it any more need not wait.
          await untilAborted(dispatcher.load(residence, { signal }), signal)
        })
      })
    },
    async unload(cid) {
      if (isClosed) throw closedError
      const idle = residences.all().filter((one) => one.model.cid.toString() === cid && residences.isIdle(one))
      await Promise.all(idle.map((one) => residences.release(one)))
      return idle.length
    },
    stats() {
      const models = residences.all().map((residence) => ({
        cid: residence.model.cid.toString(),
        task: residence.task,
        state: dispatcher.stateOf(residence),
        usedMs: residence.usedMs,
        bytes: residence.bytes,
        queued: [...residence.lanes.values()].reduce((sum, { queue }) => sum + queue.size, 0),
        executionProvider: residence.facts?.executionProvider,
        quarantinedUntilMs: residence.quarantinedUntilMs,
      }))
      const providers = { verdicts: prober.verdicts(), refusals: ladder.refusals() }
      return { ...dispatcher.stats(), queuedBytes: intake.bytes, providers, models }
    },
    async close({ drain = true } = {}) {
      isClosed = true
      clearInterval(sweeper)
      if (drain) {
        dispatcher.hurry()
        // Each has told its own caller how it ended.
        await Promise.allSettled(underWay)
      }
      ending ??= end()
      return ending
    },
  }
}

function rawInputOf(bytes: Uint8Array): CanonicalInput {
  const input = decodeInput(bytes)
  if (input.kind === 'tensors') return input
  throw new TypeError('a block of tensors has none')
}

const batchOf = ({ maxRows = 32, maxTokens = 1024, windowMs = 0 }: BatchOptions = {}): BatchLimits & {
  windowMs: number
} => ({ maxRows, maxTokens, windowMs })
