import type { Cache } from '@x/cache'
import { InvalidInputError, type Block } from '@x/cid'
import {
  assertTask,
  encodeResultKey,
  RAW_TENSORS,
  toParams,
  type GivenOptions,
  type ResultKeyParts,
  type RunName,
  type TaskName,
} from '@x/infer-core'
import type { Dtype, OpenedModel } from '@x/model-loader'
import {
  type AskedInput,
  assertStreams,
  operandsOf,
  readAsked,
  type TaskInput,
  type TaskResult,
} from '@x/pipelines/parts'
import { BackendError, type AbortOptions } from '@x/storage-core'

import { closeInTurn } from './close-all.ts'
import type { GgufVariant } from './gguf/gguf-files.ts'
import { installedVersions } from './installed-versions.ts'
import { createLoadedModels, type OpenedForTask } from './loaded-models.ts'
import { createLadder, type Providers } from './providers/ladder.ts'
import { createProviderProber, type ProviderProber } from './providers/prober.ts'
import type { GraphSession, SessionOptions } from './raw/graph-session.ts'
import { createRunnerSessions } from './raw/runner-sessions.ts'
import { readLocalFile as readFile } from './read-local-file.ts'
import { repositoryDefaults } from './repository-defaults.ts'
import { createResultCache } from './result-cache.ts'
import { runInput } from './run-input.ts'
import { versionsOf, type Transformers } from './transformers.ts'

export interface RunnerOptions {
  /** Opens what a reference points to. Only for models that are given as text. */
  openModel?: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  /** The copy of transformers.js to run on. Default: the one that is installed, loaded when first needed. */
  transformers?: Transformers | undefined
  /** What graphs run on. Default `['cpu']`. In this thread `wasm` cannot be one of them. */
  providers?: Providers | undefined
  /** Says which execution providers work here. Default: one of its own, which keeps what it finds out in `cache`. */
  prober?: ProviderProber | undefined
  /** Results that were computed before are given again, under keys that say all that decides them. Default: none are kept. */
  cache?: Cache | undefined
  /** Told of what went wrong without failing a call, such as an execution provider that does not work. Default: nobody is. */
  onWarning?: ((message: string) => void) | undefined
}

export interface RunOptions extends AbortOptions {
  /** The task's own; see `TASKS`. */
  options?: GivenOptions | undefined
  /**
   * Which variant of the model. Default: as `chooseDtype` says. Of GGUF files the quantisation (`Q4_K_M`) or the name of one, where there
   * are several.
   */
  dtype?: Dtype | GgufVariant | undefined
  /**
   * Called with each new piece of a text while it is generated, a token or more at a time, without the prompt: together
   * the pieces are what was generated. Only of tasks that stream; see `TASKS`.
   */
  onText?: ((piece: string, input: { index: number }) => void) | undefined
  /**
   * `use` gives a result that was kept, `refresh` computes it and replaces what was kept, `bypass` does neither. Default `use`,
   * and `bypass` of a model that draws random numbers, and of a chat whose template writes the day. Of a result that was kept `onText` is given nothing.
   */
  cache?: 'use' | 'refresh' | 'bypass' | undefined
}

/** What a result is kept under. */
export interface ExplainedKey {
  /** The block whose CID is the key. */
  block: Block
  parts: ResultKeyParts
  inputBlock: Block
  paramsBlock: Block
}

export interface Runner {
  /**
   * Runs inputs one after another, each alone, and yields a result for each. The model is opened, verified and loaded
   * before the first, and stays loaded until `close`. With a cache it is loaded for the first result that is not kept.
   *
   * @param model - An opened model, which the runner does not close and which has to stay open; or a reference.
   * @throws {InvalidInputError} An unknown task or option, an input that the task does not take, a model that it cannot
   *   load.
   * @throws {NotFoundError} No such model, or it lacks a file.
   * @throws {IntegrityError} A file of it is damaged.
   * @throws {GatedError} No execution provider that may be used works here.
   */
  run<Name extends TaskName>(
    task: Name,
    model: string | OpenedModel,
    inputs: Iterable<TaskInput<Name>> | AsyncIterable<TaskInput<Name>>,
    options?: RunOptions,
  ): AsyncGenerator<TaskResult<Name>, void, undefined>
  /**
   * Loads a graph of a model, to run it on tensors as they are, in this thread. It stays loaded until `close`, once for all who ask for it.
   *
   * @throws {NotFoundError} The model has no such graph.
   * @throws {InvalidInputError} It has several, and none was named; or ONNX Runtime refuses it.
   * @throws {UnsupportedError} It takes what is no tensor, or one of a type that JavaScript has not.
   */
  session(model: string | OpenedModel, options?: SessionOptions): Promise<GraphSession>
  /**
   * The key of a result, with all of its parts, without running anything. A model that was not loaded before, as far as the cache
   * knows, is loaded: which files a run reads is known only then.
   */
  explain<Name extends TaskName>(
    task: Name,
    model: string | OpenedModel,
    input: TaskInput<Name>,
    options?: Pick<RunOptions, 'options' | 'dtype' | 'signal'>,
  ): Promise<ExplainedKey>
  /**
   * Frees every model. Any later call rejects, and so does one under way when it comes to its next step: opening, loading, the next
   * input. Resolves when the steps that had begun have ended and all is freed, for whoever calls it.
   */
  close(): Promise<void>
}

/** A runner in this thread. */
export function createRunner({
  openModel,
  transformers,
  providers = ['cpu'],
  cache,
  onWarning = () => undefined,
  prober = createProviderProber({ cache, onWarning }),
}: RunnerOptions = {}): Runner {
  const ladder = createLadder({ providers, prober, onWarning })
  const models = createLoadedModels({ openModel, transformers, ladder, readsOperators: cache !== undefined, onWarning })
  // A copy that was given runs them all, whatever is installed.
  const versionsFor =
    transformers &&
    ((provider: string, task: RunName) =>
      task === RAW_TENSORS ? installedVersions(provider, task) : versionsOf(transformers, task))
  const results = cache && createResultCache(cache, onWarning, versionsFor)
  const running = new Set<Promise<void>>()
  let closed = false
  let closing: Promise<void> | undefined
  const enter = (signal: AbortSignal | undefined): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError('the runner is closed', { retryable: false })
  }

  async function open(reference: string, signal: AbortSignal | undefined): Promise<OpenedModel> {
    if (openModel) return openModel(reference, { signal })
    throw new InvalidInputError(`${reference}: this runner takes opened models, not references`, { input: reference })
  }

  /** A caller who left does not wait for it; freeing the model does. */
  async function track<T>(run: Promise<T>): Promise<T> {
    const ended = run.then(
      () => undefined,
      // Whoever asked for it is told.
      () => undefined,
    )
    running.add(ended)
    void ended.then(() => running.delete(ended))
    return run
  }

  /** A step of what was asked for, of which none begins once the runner is being closed; closing waits for those that did. */
  async function step<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    enter(signal)
    return track(work())
  }

  const sessions = createRunnerSessions({ open, ladder, results, enter, track })

  async function answer<Name extends TaskName>(
    known: OpenedForTask,
    asked: AskedInput<Name>,
    { signal, onText, cache: mode }: Pick<RunOptions, 'signal' | 'cache'> & { onText?: (piece: string) => void },
  ): Promise<TaskResult<Name>> {
    const compute = async (runSignal: AbortSignal | undefined): Promise<TaskResult<Name>> => {
      enter(runSignal)
      const run = known
        .load({ signal: runSignal })
        .then((loaded) => runInput(asked, loaded, { signal: runSignal, onText }))
      return track(run)
    }
    if (!results || mode === 'bypass') return compute(signal)
    return results.result({ ...asked, known, mode, isWatched: onText !== undefined, signal }, compute)
  }

  async function end(): Promise<void> {
    // What somebody left is under way after him.
    while (running.size > 0) await Promise.all(running)
    await closeInTurn([() => sessions.close(), () => models.close()])
  }

  return {
    async *run(task, model, inputs, { options = {}, dtype, signal, onText, cache: mode } = {}) {
      enter(signal)
      assertTask(task)
      if (typeof inputs === 'string') throw new InvalidInputError('inputs is a list, not one text', { input: inputs })
      // Before a model is loaded for nothing.
      toParams(task, options)
      assertStreams(task, onText)
      const known = await step(signal, () => models.get(task, model, { dtype, signal }))
      if (!results || mode === 'bypass') await step(signal, () => known.load({ signal }))
      const defaults = await step(signal, () => repositoryDefaults(task, known, options, signal))
      const params = toParams(task, options, defaults)
      let index = 0
      for await (const input of inputs) {
        const current = { index }
        const { sampleRate } = known
        const asked = await step(signal, () => readAsked(task, input, params, { sampleRate, signal, readFile }))
        const each = onText && { onText: (piece: string) => onText(piece, current) }
        yield step(signal, () => answer(known, asked, { signal, cache: mode, ...each }))
        index += 1
      }
    },
    async session(model, options = {}) {
      const session = await step(options.signal, () => sessions.open(model, options))
      // It may have been closed while it was opened.
      enter(undefined)
      return session
    },
    async explain(task, model, input, { options = {}, dtype, signal } = {}) {
      enter(signal)
      assertTask(task)
      toParams(task, options)
      const known = await step(signal, () => models.get(task, model, { dtype, signal }))
      const params = toParams(task, options, await step(signal, () => repositoryDefaults(task, known, options, signal)))
      const { sampleRate } = known
      const asked = await step(signal, () => readAsked(task, input, params, { sampleRate, signal, readFile }))
      let facts = known.facts ?? (await results?.factsOf(known))
      if (facts === undefined) {
        await step(signal, () => known.load({ signal }))
        facts = known.facts
      }
      if (facts === undefined) throw new TypeError('a model that was loaded, and nothing is known of it')
      const operands = operandsOf(task, known.model, facts)
      const { inputBlock, paramsBlock } = asked
      const parts = { ...operands, input: inputBlock.cid, params: paramsBlock.cid }
      return { block: await encodeResultKey(parts), parts, inputBlock, paramsBlock }
    },
    close() {
      closed = true
      return (closing ??= end())
    },
  }
}

/** Runs inputs on a model once: loads it, gives every result, frees it. The model stays open. */
export async function runTask<Name extends TaskName>(
  task: Name,
  model: OpenedModel,
  inputs: Iterable<TaskInput<Name>> | AsyncIterable<TaskInput<Name>>,
  { transformers, providers, ...options }: RunOptions & Pick<RunnerOptions, 'transformers' | 'providers'> = {},
): Promise<TaskResult<Name>[]> {
  const runner = createRunner({ transformers, providers })
  try {
    const results: TaskResult<Name>[] = []
    for await (const result of runner.run(task, model, inputs, options)) results.push(result)
    return results
  } finally {
    await runner.close()
  }
}
