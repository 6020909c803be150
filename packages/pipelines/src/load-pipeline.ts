import type { PreTrainedTokenizer } from '@huggingface/transformers'
import { InvalidInputError, isStorageError } from '@x/cid'
import type { TaskName } from '@x/infer-core'
import { chooseDtype, sessionOf, type ChosenDtype, type Dtype, type OpenedModel } from '@x/model-loader'
import { BackendError, NotFoundError } from '@x/storage-core'

import { generationFactsOf, type GenerationFacts } from './generation-facts.ts'
import { messageOf } from './message-of.ts'
import { fieldsOf, readModelJson } from './model-json.ts'
import type { PipelinePlatform, PlacedModel } from './platform.ts'
import type { TaskHandler } from './task-handler.ts'
import { NEEDS } from './task-needs.ts'
import type { Transformers } from './transformers.ts'

export interface LoadedPipeline {
  /** Calls the pipeline with the task's own arguments. */
  call: (...args: unknown[]) => Promise<unknown>
  /** Of tasks with text. */
  tokenizer: PreTrainedTokenizer | undefined
  /** Of tasks that write a text. */
  generation: GenerationFacts
  dtype: ChosenDtype
  /** Every file that was read, sorted. */
  files: readonly string[]
  /** The one that all sessions were created with, alone; `cpu` where there are none. */
  executionProvider: string
  dispose(): Promise<void>
}

export interface PipelineOptions {
  dtype?: Dtype | undefined
  /** Default `cpu`. */
  executionProvider?: string | undefined
  /**
   * Which execution provider to try after one on which the model cannot be loaded; `undefined`: none. Default: none.
   */
  nextProvider?: ((refused: { provider: string; why: string }) => Promise<string | undefined>) | undefined
  /** Called with the variant before any of it is read. What it throws ends the loading. */
  onChosen?: ((dtype: ChosenDtype) => Promise<void>) | undefined
  signal?: AbortSignal | undefined
}

/** `loadPipeline` with the handler of the task. */
export async function loadWith(
  handler: TaskHandler,
  platform: PipelinePlatform,
  task: TaskName,
  model: OpenedModel,
  { dtype: asked, executionProvider: first = 'cpu', nextProvider, onChosen, signal }: PipelineOptions,
): Promise<LoadedPipeline> {
  const { transformers } = platform
  const paths = model.files.map(({ path }) => path)
  for (const path of NEEDS[task].files) {
    if (!paths.includes(path)) throw lacking(model, task, path)
    // One that is no JSON is named here; the library would blame whatever it reads last.
    await readModelJson(model, path, signal)
  }
  const config = await readModelJson(model, 'config.json', signal)
  const placed = platform.place(model)
  try {
    if (handler.load) {
      const tokenizer = await handler.load(transformers, placed).catch((cause: unknown) => {
        throw refused(placed, `${model.cid}: tokenizer.json`, task, cause)
      })
      signal?.throwIfAborted()
      return tokenizer
    }
    const sessions = await wantedSessions(transformers, task, placed.id).catch((cause: unknown) => {
      throw refused(placed, `${model.cid}: config.json`, task, cause)
    })
    assertLabels(task, model, config)
    const dtype = chooseDtype(config, paths, { dtype: asked, sessions })
    await onChosen?.(dtype)
    const files = dtype.files.join(', ')
    let executionProvider = first
    let pipeline: AnyPipeline | undefined
    while (pipeline === undefined) {
      try {
        pipeline = await make(handler, platform, task, placed.id, dtype, executionProvider)
      } catch (cause) {
        const on = executionProvider === 'cpu' ? '' : ` on ${executionProvider}`
        const error = refused(placed, `${model.cid}: ${files}${on}`, task, cause)
        // What the model's store says is so on any other too.
        const isOfProvider = placed.failure() === undefined && !isStorageError(cause)
        const why = messageOf(cause)
        signal?.throwIfAborted()
        const next = isOfProvider ? await nextProvider?.({ provider: executionProvider, why }) : undefined
        if (next === undefined) throw error
        executionProvider = next
      }
    }
    const made = pipeline
    const loaded: LoadedPipeline = {
      call: async (...args) => {
        if (handler.call) return handler.call(platform, made, args)
        return Reflect.apply(made, undefined, args)
      },
      tokenizer: made.tokenizer,
      generation: generationFactsOf(made.model, task),
      dtype,
      files: [...new Set(['config.json', ...placed.used(), ...dtype.files])].toSorted(),
      executionProvider,
      dispose: () => made.dispose(),
    }
    try {
      assertAsAsked(made.model.sessions, dtype, platform.placementOf(executionProvider).device)
      assertGives(task, model, made.model.sessions)
      signal?.throwIfAborted()
    } catch (error) {
      await loaded.dispose()
      throw error
    }
    return loaded
  } finally {
    placed.release()
  }
}

const pipelineOf = (task: TaskName): string => NEEDS[task].pipeline ?? task

/** The names of the graphs that the model's architecture has, by transformers.js's own table. */
async function wantedSessions({ ModelRegistry }: Transformers, task: TaskName, id: string): Promise<string[]> {
  // In fp32 a graph's file has no suffix.
  const options = { dtype: 'fp32', device: 'cpu' } as const
  const pipeline = pipelineOf(task)
  const files = await (pipeline === 'none'
    ? ModelRegistry.get_model_files(id, options)
    : ModelRegistry.get_pipeline_files(pipeline, id, options))
  return files.map((file) => sessionOf(file)).filter((session) => session !== undefined)
}

export interface AnyPipeline {
  (...args: never[]): unknown
  dispose(): Promise<void>
  model: { sessions: unknown }
  tokenizer?: PreTrainedTokenizer
}

function make(
  handler: TaskHandler,
  { transformers, placementOf }: PipelinePlatform,
  task: TaskName,
  id: string,
  { dtype }: ChosenDtype,
  executionProvider: string,
): Promise<AnyPipeline> {
  // The library knows few by name. With one alone, and no other to move to, a session runs on it or is not made.
  const { device, sessionOptions } = placementOf(executionProvider)
  const options = { device, dtype, session_options: { executionProviders: [executionProvider], ...sessionOptions } }
  if (handler.make) return handler.make(transformers, id, options)
  // The type of `pipeline` over all of its tasks is too complex to check.
  return Reflect.apply(transformers.pipeline, undefined, [pipelineOf(task), id, options])
}

/**
 * That each session is what was asked for. In Node, ONNX Runtime does not move from one execution provider to another: a
 * session that was created with one alone runs on it.
 */
function assertAsAsked(sessions: unknown, { dtype }: ChosenDtype, device: string): void {
  const made = Object.values(fieldsOf(sessions)).map((session) => fieldsOf(fieldsOf(session).config))
  const wanted = new Set(Object.values<unknown>(dtype))
  if (made.length > 0 && made.every((one) => one.device === device && wanted.has(one.dtype))) return
  throw new BackendError(`asked for ${[...wanted].join()} on ${device}, transformers.js made ${JSON.stringify(made)}`, {
    retryable: false,
  })
}

/** @throws {InvalidInputError} The model is one for another task. */
function assertGives(task: TaskName, model: OpenedModel, sessions: unknown): void {
  const given = Object.values(fieldsOf(sessions)).flatMap((session): string[] => {
    const names: unknown = typeof session === 'object' && session !== null ? Reflect.get(session, 'outputNames') : []
    return Array.isArray(names) ? names.map(String) : []
  })
  const { outputs } = NEEDS[task]
  if (outputs.every((names) => names.some((name) => given.includes(name)))) return
  const needed = outputs.map((names) => names.join(' or ')).join(' and ')
  throw notFor(task, model, `that needs ${needed}, it gives ${given.join(', ')}`)
}

/**
 * What config.json says of the labels.
 *
 * @throws {InvalidInputError} The model is one for another task.
 */
function assertLabels(task: TaskName, model: OpenedModel, config: unknown): void {
  const { id2label, label2id } = fieldsOf(config)
  const count = Object.keys(fieldsOf(id2label)).length
  if (task === 'rerank' && count > 1) {
    throw notFor(task, model, `it gives ${count} numbers for a query and a document, not one`)
  }
  // The library would guess which of the labels is meant.
  const names = Object.keys(fieldsOf(label2id)).map((name) => name.toLowerCase())
  if (task === 'zero-shot-classification' && !names.includes('entailment')) {
    throw notFor(task, model, `its config.json has no label entailment, but ${names.join(', ') || 'none'}`)
  }
}

function notFor(task: TaskName, model: OpenedModel, why: string): InvalidInputError {
  const cid = model.cid.toString()
  return new InvalidInputError(`${cid} is no model for ${task}: ${why}`, { input: cid })
}

function lacking(model: OpenedModel, task: TaskName, path: string): NotFoundError {
  const what = `${model.cid}/${path}`
  return new NotFoundError(what, { cid: model.cid, message: `${task} needs ${what}, which the model lacks` })
}

/** The model's files are whole, so what the library says is about what is in them. */
function refused(placed: PlacedModel, files: string, task: TaskName, cause: unknown): unknown {
  const failure = placed.failure()
  // A file could not be read: that is the reason, whatever the library made of it.
  if (failure !== undefined) return failure
  if (isStorageError(cause)) return cause
  const why = messageOf(cause)
  if (/bad_alloc|allocat|out of memory/i.test(why)) {
    return new BackendError(`not enough memory for ${files}: ${why}`, { cause, retryable: true })
  }
  return new InvalidInputError(`${task} cannot load ${files}: ${why}`, { input: files, cause })
}
