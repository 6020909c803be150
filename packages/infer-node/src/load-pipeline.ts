import { InvalidInputError, isStorageError } from '@x/cid'
import type { TaskName } from '@x/infer-core'
import {
  chooseDtype,
  sessionOf,
  type ChosenDtype,
  type Dtype,
  type OpenedModel,
  type RegisteredModel,
} from '@x/model-loader'
import { BackendError, NotFoundError } from '@x/storage-core'

import { fieldsOf, readModelJson } from './model-json.ts'
import { bindingOf, type Transformers } from './transformers.ts'

/** One at a time, and on this machine always there. */
const EXECUTION_PROVIDER = 'cpu'

export interface LoadedPipeline {
  /** Calls the pipeline with the task's own arguments. */
  call: (...args: unknown[]) => Promise<unknown>
  dtype: ChosenDtype
  /** Every file that was read, sorted. */
  files: readonly string[]
  executionProvider: string
  dispose(): Promise<void>
}

const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json']
const PROCESSOR = ['preprocessor_config.json']

/** What transformers.js does without in silence, to fail later at something else. */
const NEEDED: Readonly<Record<TaskName, readonly string[]>> = {
  'feature-extraction': TOKENIZER,
  'text-classification': TOKENIZER,
  'text-generation': TOKENIZER,
  'image-classification': PROCESSOR,
  'automatic-speech-recognition': [...TOKENIZER, ...PROCESSOR],
  'zero-shot-image-classification': [...TOKENIZER, ...PROCESSOR],
}

/**
 * Loads a model into a transformers.js pipeline, every file from the model and none from the network.
 *
 * @throws {NotFoundError} The model lacks a file that the task needs; it names it.
 * @throws {IntegrityError} A file was damaged since the model was opened; it names it.
 * @throws {InvalidInputError} ONNX Runtime or transformers.js refuses the model's files.
 */
export async function loadPipeline(
  transformers: Transformers,
  task: TaskName,
  model: OpenedModel,
  { dtype: asked, signal }: { dtype?: Dtype | undefined; signal?: AbortSignal | undefined },
): Promise<LoadedPipeline> {
  const paths = model.files.map(({ path }) => path)
  for (const path of NEEDED[task]) {
    if (!paths.includes(path)) throw lacking(model, task, path)
    // One that is no JSON is named here; the library would blame whatever it reads last.
    await readModelJson(model, path, signal)
  }
  const config = await readModelJson(model, 'config.json', signal)
  const binding = bindingOf(transformers)
  const registered = binding.register(model)
  binding.install(transformers.env)
  try {
    const sessions = await wantedSessions(transformers, task, registered.id).catch((cause: unknown) => {
      throw refused(registered, `${model.cid}: config.json`, task, cause)
    })
    const dtype = chooseDtype(config, paths, { dtype: asked, sessions })
    const files = dtype.files.join(', ')
    const pipeline = await make(transformers, task, registered.id, dtype).catch((cause: unknown) => {
      throw refused(registered, `${model.cid}: ${files}`, task, cause)
    })
    const loaded: LoadedPipeline = {
      call: (...args) => Promise.resolve(Reflect.apply(pipeline, undefined, args)),
      dtype,
      files: [...new Set(['config.json', ...registered.used(), ...dtype.files])].toSorted(),
      executionProvider: EXECUTION_PROVIDER,
      dispose: () => pipeline.dispose(),
    }
    try {
      assertAsAsked(pipeline.model.sessions, dtype)
      assertGives(task, model, pipeline.model.sessions)
      signal?.throwIfAborted()
    } catch (error) {
      await loaded.dispose()
      throw error
    }
    return loaded
  } finally {
    binding.restore(transformers.env)
    registered.unregister()
  }
}

/** The names of the graphs that the model's architecture has, by transformers.js's own table. */
async function wantedSessions({ ModelRegistry }: Transformers, task: TaskName, id: string): Promise<string[]> {
  // In fp32 a graph's file has no suffix.
  const files = await ModelRegistry.get_pipeline_files(task, id, { dtype: 'fp32', device: EXECUTION_PROVIDER })
  return files.map((file) => sessionOf(file)).filter((session) => session !== undefined)
}

interface AnyPipeline {
  (...args: never[]): unknown
  dispose(): Promise<void>
  model: { sessions: unknown }
}

function make({ pipeline }: Transformers, task: TaskName, id: string, { dtype }: ChosenDtype): Promise<AnyPipeline> {
  const options = { device: EXECUTION_PROVIDER, dtype } as const
  // A literal for each: the type of `pipeline` over all of its tasks is too complex to check.
  const makers: Record<TaskName, () => Promise<AnyPipeline>> = {
    'feature-extraction': () => pipeline('feature-extraction', id, options),
    'text-classification': () => pipeline('text-classification', id, options),
    'text-generation': () => pipeline('text-generation', id, options),
    'image-classification': () => pipeline('image-classification', id, options),
    'automatic-speech-recognition': () => pipeline('automatic-speech-recognition', id, options),
    'zero-shot-image-classification': () => pipeline('zero-shot-image-classification', id, options),
  }
  return makers[task]()
}

/**
 * That each session is what was asked for. In Node, ONNX Runtime does not move from one execution provider to another: a
 * session that was created with one alone runs on it.
 */
function assertAsAsked(sessions: unknown, { dtype }: ChosenDtype): void {
  const made = Object.values(fieldsOf(sessions)).map((session) => fieldsOf(fieldsOf(session).config))
  const wanted = new Set(Object.values<unknown>(dtype))
  if (made.length > 0 && made.every((one) => one.device === EXECUTION_PROVIDER && wanted.has(one.dtype))) return
  throw new BackendError(
    `asked for ${[...wanted].join()} on ${EXECUTION_PROVIDER}, transformers.js made ${JSON.stringify(made)}`,
    {
      retryable: false,
    },
  )
}

/** Outputs of a graph of which the task needs one. */
const NEEDED_OUTPUTS: Readonly<Record<TaskName, readonly string[]>> = {
  // The library would take `logits` for an embedding where there is neither.
  'feature-extraction': ['last_hidden_state', 'token_embeddings'],
  'text-classification': ['logits'],
  'text-generation': ['logits'],
  'image-classification': ['logits'],
  'automatic-speech-recognition': ['logits'],
  'zero-shot-image-classification': ['logits_per_image'],
}

/** @throws {InvalidInputError} The model is one for another task. */
function assertGives(task: TaskName, model: OpenedModel, sessions: unknown): void {
  const given = Object.values(fieldsOf(sessions)).flatMap((session): string[] => {
    const names: unknown = typeof session === 'object' && session !== null ? Reflect.get(session, 'outputNames') : []
    return Array.isArray(names) ? names.map(String) : []
  })
  const needed = NEEDED_OUTPUTS[task]
  if (needed.some((name) => given.includes(name))) return
  throw new InvalidInputError(
    `${model.cid} is no model for ${task}: that needs ${needed.join(' or ')}, it gives ${given.join(', ')}`,
    { input: model.cid.toString() },
  )
}

function lacking(model: OpenedModel, task: TaskName, path: string): NotFoundError {
  const what = `${model.cid}/${path}`
  return new NotFoundError(what, { cid: model.cid, message: `${task} needs ${what}, which the model lacks` })
}

/** The model's files are whole, so what the library says is about what is in them. */
function refused(registered: RegisteredModel, files: string, task: TaskName, cause: unknown): unknown {
  const failure = registered.failure()
  // A file could not be read: that is the reason, whatever the library made of it.
  if (failure !== undefined) return failure
  if (isStorageError(cause)) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  if (/bad_alloc|allocat|out of memory/i.test(why)) {
    return new BackendError(`not enough memory for ${files}: ${why}`, { cause, retryable: true })
  }
  return new InvalidInputError(`${task} cannot load ${files}: ${why}`, { input: files, cause })
}
