import { InvalidInputError, type CID } from '@x/cid'
import { TASKS, type TaskName } from '@x/infer-core'
import { parseReference, type Dtype, type OpenedModel } from '@x/model-loader'
import { fieldsOf, type LoadedPipeline, loadPipeline, type PipelineOptions, readModelJson } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import { readOperators } from './batching/graph-operators.ts'
import { closeInTurn } from './close-all.ts'
import { isGguf, ofGraphs, type GgufVariant } from './gguf/gguf-files.ts'
import { openGguf } from './gguf/known-gguf.ts'
import type { LoadedGguf } from './gguf/load-gguf.ts'
import { numericClassOf } from './numeric-class.ts'
import { climbInThisThread, type ProviderLadder } from './providers/ladder.ts'
import type { KnownFacts, KnownModel } from './result-cache.ts'
import { factsOfLoaded } from './run-input.ts'
import { importTransformers, platformOf, type Transformers } from './transformers.ts'

interface LoadOptions extends AbortOptions {
  dtype?: Dtype | GgufVariant | undefined
}

/** A model that is ready to run one task. */
export interface LoadedModel {
  transformers: Transformers
  model: OpenedModel
  pipeline: LoadedPipeline
  /** Hertz; of models that take sound. */
  sampleRate: number | undefined
  dispose(): Promise<void>
}

/** A model that was opened for a task and dtype; it is loaded when it is first needed. */
export interface OpenedForTask extends KnownModel {
  readonly task: TaskName
  /** Hertz; of models that take sound. */
  readonly sampleRate: number | undefined
  /** The same for every call; loading ends when none waits for it any more. One that failed may be tried again. */
  load(options: AbortOptions): Promise<LoadedModel | LoadedGguf>
}

export interface LoadedModels {
  /** Opens a model, or gives the one that was opened for the same task and dtype. */
  get(task: TaskName, model: string | OpenedModel, options: LoadOptions): Promise<OpenedForTask>
  /** Frees and closes what `get` opened. */
  close(): Promise<void>
}

export interface LoadedModelsOptions {
  openModel?: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  transformers?: Transformers | undefined
  ladder: ProviderLadder
  /** Whether results are to be kept is found out too, which takes reading the graphs. */
  readsOperators: boolean
  onWarning: (message: string) => void
}

type Added = OpenedForTask & { dispose(): Promise<void> }

/** How a model is loaded. */
interface ToRun<Loaded> {
  known: Omit<OpenedForTask, 'facts' | 'load'>
  load: (signal: AbortSignal) => Promise<Loaded>
  factsOf: (loaded: Loaded) => Promise<KnownFacts>
}

const keyOf = (cid: CID, { task, dtype }: Pick<KnownModel, 'task' | 'dtype'>): string =>
  `${cid} ${task} ${dtype ?? 'auto'}`

/** Keeps models loaded, by CID, task and dtype. */
export function createLoadedModels(options: LoadedModelsOptions): LoadedModels {
  const { openModel, transformers, ladder, readsOperators, onWarning } = options
  const models = new Map<string, Added>()

  async function open(reference: string, signal: AbortSignal | undefined): Promise<OpenedModel> {
    if (openModel) return openModel(reference, { signal })
    throw new InvalidInputError(`${reference}: this runner takes opened models, not references`, { input: reference })
  }

  /** What there is to know of a model that graphs make, and how it is loaded. */
  function toRun(
    about: Pick<OpenedForTask, 'task' | 'model' | 'providers' | 'sampleRate'> & { dtype: Dtype | undefined },
  ): ToRun<LoadedModel> {
    const { task, dtype, model, providers } = about
    const nextProvider: PipelineOptions['nextProvider'] = (refused) =>
      ladder.next({ ...refused, model: model.cid.toString() })
    return {
      known: {
        ...about,
        numericClassOn: (executionProvider) => numericClassOf('prepacked', executionProvider, 1, []),
      },
      load: (signal) =>
        loadModel(task, model, { dtype, executionProvider: providers[0], nextProvider, signal, transformers }),
      factsOf: async (loaded) => ({ ...factsOfLoaded(task, loaded), random: await whyRandom(loaded) }),
    }
  }

  async function toAdd(
    task: TaskName,
    model: OpenedModel,
    isOwned: boolean,
    { dtype, signal }: LoadOptions,
  ): Promise<Added> {
    if (isGguf(model, dtype)) {
      const gguf = await openGguf(task, model, { dtype, asked: ladder.asked, onWarning, signal })
      return toLoad(
        { known: gguf.known, load: (stop) => gguf.load({ signal: stop }), factsOf: async ({ facts }) => facts },
        isOwned,
      )
    }
    const about = { task, dtype: ofGraphs(dtype, model), model, providers: await climbInThisThread(ladder) }
    return toLoad(toRun({ ...about, sampleRate: await sampleRateOf(task, model, signal) }), isOwned)
  }

  function toLoad<Loaded extends LoadedModel | LoadedGguf>(
    { known, load, factsOf }: ToRun<Loaded>,
    isOwned: boolean,
  ): Added {
    const { model } = known
    const key = keyOf(model.cid, known)
    let loading: { done: Promise<Loaded>; stop: AbortController; waiting: number } | undefined

    function begin(): NonNullable<typeof loading> {
      const stop = new AbortController()
      const done = load(stop.signal).catch(async (error: unknown) => {
        // What failed may be tried again.
        loading = undefined
        // One that was only stopped is still open.
        const isKept = stop.signal.aborted && isOwned
        if (!isKept && models.delete(key) && isOwned) await model.close()
        throw error
      })
      return { done, stop, waiting: 0 }
    }

    /** Gives it up at once; loading ends when none waits for it any more. */
    async function loaded(signal: AbortSignal | undefined): Promise<Loaded> {
      signal?.throwIfAborted()
      const mine = (loading ??= begin())
      mine.waiting += 1
      try {
        return await untilAborted(mine.done, signal)
      } catch (error) {
        const isStopped = mine.stop.signal.aborted
        if (signal?.aborted && mine.waiting === 1) mine.stop.abort(signal.reason)
        // It was given up by those who waited before.
        if (isStopped && !signal?.aborted) return await loaded(signal)
        throw error
      } finally {
        mine.waiting -= 1
      }
    }

    const added: Added = {
      ...known,
      facts: undefined,
      async load({ signal }) {
        // To be freed, where it was left out since it failed.
        if (!isOwned && !models.has(key)) models.set(key, added)
        const result = await loaded(signal)
        this.facts ??= await factsOf(result)
        return result
      },
      async dispose() {
        // Whoever asked for one that failed to load was told.
        const [result] = await Promise.allSettled([loading?.done])
        await closeInTurn([
          async () => (result.status === 'fulfilled' ? result.value?.dispose() : undefined),
          async () => (isOwned ? model.close() : undefined),
        ])
      },
    }
    return added
  }

  async function whyRandom({ model, pipeline }: LoadedModel): Promise<string | undefined> {
    if (!readsOperators) return undefined
    const { random } = await readOperators(pipeline.dtype.files, model, (file) => model.path(file))
    return random
  }

  return {
    async get(task, model, { dtype, signal }) {
      // A CID names its bytes for good: what was verified and opened under it is opened once.
      const cid = typeof model === 'string' ? cidIn(model) : model.cid
      const known = cid && models.get(keyOf(cid, { task, dtype }))
      if (known) return known
      const isOwned = typeof model === 'string'
      const opened = isOwned ? await open(model, signal) : model
      try {
        const added = await toAdd(task, opened, isOwned, { dtype, signal })
        const key = keyOf(opened.cid, { task, dtype })
        const meanwhile = models.get(key)
        if (meanwhile) {
          if (isOwned) await opened.close()
          return meanwhile
        }
        models.set(key, added)
        return added
      } catch (error) {
        if (isOwned) await opened.close()
        throw error
      }
    },
    async close() {
      const all = [...models.values()]
      models.clear()
      await closeInTurn(all.map((model) => () => model.dispose()))
    },
  }
}

export function cidIn(reference: string): CID | undefined {
  const parsed = parseReference(reference)
  return parsed.kind === 'cid' && parsed.path === undefined ? parsed.cid : undefined
}

export async function loadModel(
  task: TaskName,
  model: OpenedModel,
  { transformers: given, ...options }: PipelineOptions & { transformers?: Transformers | undefined },
): Promise<LoadedModel> {
  const transformers = given ?? (await importTransformers())
  const sampleRate = await sampleRateOf(task, model, options.signal)
  const pipeline = await loadPipeline(platformOf(transformers), task, model, options)
  return { transformers, model, pipeline, sampleRate, dispose: () => pipeline.dispose() }
}

/** The rate in hertz that a model wants its sound at. */
export async function sampleRateOf(
  task: TaskName,
  model: OpenedModel,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  if (!TASKS[task].inputs.includes('audio')) return undefined
  const config = await readModelJson(model, 'preprocessor_config.json', signal)
  // Without the file, loading says what is missing.
  if (config === undefined) return undefined
  const { sampling_rate: rate } = fieldsOf(config)
  if (typeof rate === 'number' && rate > 0 && Number.isSafeInteger(rate)) return rate
  throw new InvalidInputError(`${model.cid}/preprocessor_config.json has no sampling_rate`, {
    input: 'preprocessor_config.json',
  })
}
