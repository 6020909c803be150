import { InvalidInputError, isStorageError } from '@x/cid'
import {
  isOutputOf,
  type CanonicalInput,
  type OutputValue,
  type Params,
  type RunTokens,
  type TaskName,
} from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import type { Ran } from '@x/pipelines/parts'
import { BackendError, type AbortOptions } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'
import type { LlamaModel } from 'node-llama-cpp'

import { closeInTurn } from '../close-all.ts'
import type { KnownFacts } from '../result-cache.ts'
import { createShare, type Share } from '../share.ts'
import { whyTemplateVaries } from './chat-prompt.ts'
import { createEmbedder } from './embed.ts'
import { generateText } from './generate-text.ts'
import { assertWhole, type ChosenGguf } from './gguf-files.ts'
import { contextLengthOf, fileTypeOf, pathOf, readGgufHeader, type GgufHeader } from './gguf-header.ts'
import { assertFor, assertGgufTask, assertPooling, type GgufTask } from './gguf-tasks.ts'
import { llamaClass, llamaThreads } from './llama-class.ts'
import type { LlamaProvider } from './llama-providers.ts'
import { llamaVersions, startLlama, type StartedLlama } from './llama.ts'
import { tokenizeText } from './tokenize-text.ts'

export interface GgufToLoad {
  task: TaskName
  model: OpenedModel
  chosen: ChosenGguf
  /** What to compute on: the first that works. */
  providers: readonly LlamaProvider[]
  /** Most threads of one run. */
  threads: number
  onWarning: (message: string) => void
}

interface GgufRunOptions {
  /** Ends the generation of text at the next token. */
  signal: AbortSignal | undefined
  /** Called with each new piece of the text that is generated, without the prompt. */
  onText?: ((piece: string) => void) | undefined
}

/** A GGUF that llama.cpp holds, its weights mapped from where they were verified. */
export interface LoadedGguf {
  readonly task: GgufTask
  readonly model: OpenedModel
  readonly facts: KnownFacts
  /**
   * Runs one input, alone, after those that were asked for before. llama.cpp computes on threads of its own.
   *
   * @throws {InvalidInputError} More tokens than the model takes; a chat for a model without a template; another pooling than the file's.
   * @throws {BackendError} llama.cpp failed.
   */
  run<Name extends TaskName>(
    task: Name,
    input: CanonicalInput,
    params: Params,
    options: GgufRunOptions,
  ): Promise<Ran<Name>>
  /** Frees it, after what runs. */
  dispose(): Promise<void>
}

/** What is said of a load is of that alone. */
let lastLoad: Promise<unknown> = Promise.resolve()

interface Computed {
  output: OutputValue
  /** `undefined`: it has no use for a model. */
  tokens: RunTokens | undefined
}

/** A file that llama.cpp holds, and on what. */
interface HeldGguf {
  started: StartedLlama
  llama: LlamaModel
}

/**
 * How a GGUF is loaded: in this thread, for llama.cpp has its own threads, so the event loop stays free, and its addon keeps one log and one set of
 * devices for a process, which threads that come and go would leave behind. What holds its weights is shared by all who load it.
 *
 * @throws {UnsupportedError} node-llama-cpp is not installed, or has no build for this machine; the task is one it does not do.
 * @throws {GatedError} No execution provider that may be used works here.
 * @throws {IntegrityError} A file was damaged since the model was opened.
 * @throws {InvalidInputError} llama.cpp refuses the file, or it is one for another task.
 */
export function createGgufLoader(given: GgufToLoad): (options: AbortOptions) => Promise<LoadedGguf> {
  const share = createShare(
    (signal) => hold(given, signal),
    ({ llama }) => llama.dispose(),
  )
  return (options) => load(given, share, options)
}

async function hold({ task, model, chosen, providers, onWarning }: GgufToLoad, signal: AbortSignal): Promise<HeldGguf> {
  const label = `${model.cid}/${chosen.path}`
  assertGgufTask(task, model)
  // All of them: llama.cpp opens the other parts by the name of the first.
  for (const file of chosen.files) {
    await model.verifiedPath?.(file, { verify: 'stored', signal })
    // Before llama.cpp's own parser comes to it.
    await readGgufHeader(model, file, { signal })
  }
  const header = await readGgufHeader(model, chosen.path)
  assertWhole(chosen, header, model)
  assertFor(task, header, label)
  const started = await startLlama(providers, onWarning)
  const about = { path: pathOf(model, chosen.path), vocabOnly: task === 'tokenize', label }
  const loading = lastLoad.then(() => open(started, about, signal))
  // Whoever asked for that is told.
  lastLoad = loading.catch(() => undefined)
  return { started, llama: await loading }
}

/** Contexts are its own. */
async function load(given: GgufToLoad, share: Share<HeldGguf>, options: AbortOptions): Promise<LoadedGguf> {
  const { task, model } = given
  assertGgufTask(task, model)
  const { value, release } = await share.use(options)
  try {
    return await toLoaded({ ...given, task }, value, release)
  } catch (error) {
    // Nobody has it who could dispose of it.
    await release()
    throw error
  }
}

async function toLoaded(
  given: GgufToLoad & { task: GgufTask },
  held: HeldGguf,
  release: () => Promise<void>,
): Promise<LoadedGguf> {
  const { task, model, chosen } = given
  const { started, llama } = held
  const { provider } = started
  const header = await readGgufHeader(model, chosen.path)
  const threads = llamaThreads(given.threads, chosen.bytes)
  const random =
    provider === 'cpu' ? undefined : `nobody has shown that llama.cpp gives the same bits twice on ${provider}`
  const facts: KnownFacts = {
    ...llamaVersions(started, task),
    files: [...chosen.files],
    executionProvider: provider,
    dtype:
      task === 'tokenize'
        ? { dtype: {}, files: [], reason: `${chosen.path}: no weights are loaded` }
        : {
            dtype: { model: fileTypeOf(header) ?? 'unnamed' },
            files: [...chosen.files],
            reason: `${chosen.path}: ${chosen.reason}`,
          },
    numericClass: llamaClass(provider, threads, llama.gpuLayers),
    random: task === 'tokenize' ? undefined : (random ?? whyTemplateVaries(header.get('tokenizer.chat_template'))),
  }
  const about = { header, label: `${model.cid}/${chosen.path}`, threads, release }
  return { task, model, facts, ...createRuns(task, held, about) }
}

async function open(
  started: StartedLlama,
  { path: modelPath, vocabOnly, label }: { path: string; vocabOnly: boolean; label: string },
  loadSignal: AbortSignal,
): Promise<LlamaModel> {
  const { llama, provider } = started
  loadSignal.throwIfAborted()
  await started.complaints()
  const gpuLayers = provider === 'cpu' ? 0 : 'auto'
  try {
    return await llama.loadModel({ modelPath, vocabOnly, useMmap: true, gpuLayers, loadSignal })
  } catch (cause) {
    loadSignal.throwIfAborted()
    const why = [reasonOf(cause), await started.complaints()].filter(Boolean).join(': ')
    if (/insufficient|memory/i.test(reasonOf(cause))) {
      throw new BackendError(`not enough memory for ${label}: ${why}`, { cause, retryable: true })
    }
    throw new InvalidInputError(`llama.cpp cannot load ${label}: ${why}`, { input: label, cause })
  }
}

function createRuns(
  task: GgufTask,
  { started, llama }: HeldGguf,
  {
    header,
    label,
    threads,
    release,
  }: { header: GgufHeader; label: string; threads: number; release: () => Promise<void> },
): Pick<LoadedGguf, 'run' | 'dispose'> {
  const embedder = task === 'feature-extraction' ? createEmbedder(llama, label, threads) : undefined
  const template = header.get('tokenizer.chat_template')
  /** One after another: two at once would share the processor, and a context has a memory of its own. */
  let tail: Promise<unknown> = Promise.resolve()

  async function compute(input: CanonicalInput, params: Params, { signal, onText }: GgufRunOptions): Promise<Computed> {
    if (task === 'tokenize') {
      const most = contextLengthOf(header) ?? 0
      const isWhole = params['add_special_tokens'] !== false
      return { output: await tokenizeText(started, llama, input, { isWhole, most, label, signal }), tokens: undefined }
    }
    if (embedder) {
      if (input.kind !== 'text') throw new TypeError(`${task} of ${input.kind}`)
      assertPooling(params['pooling'], header, label)
      const dimensions = params['dimensions'] === undefined ? undefined : Number(params['dimensions'])
      const normalize = params['normalize'] === true
      const { vector, tokens } = await embedder.embed(input.text, { normalize, dimensions, signal })
      return { output: vector, tokens }
    }
    return generateText(llama, input, params, { template, label, threads, signal, onText })
  }

  async function runOne(input: CanonicalInput, params: Params, options: GgufRunOptions): Promise<Computed> {
    const { signal, onText } = options
    signal?.throwIfAborted()
    const thrown: { error: unknown }[] = []
    const guarded = (piece: string): void => {
      try {
        onText?.(piece)
      } catch (error) {
        thrown.push({ error })
        throw error
      }
    }
    try {
      return await compute(input, params, { signal, onText: onText && guarded })
    } catch (cause) {
      // What the caller's own function threw is the caller's.
      if (thrown[0]) throw thrown[0].error
      signal?.throwIfAborted()
      if (isStorageError(cause)) throw cause
      const why = [reasonOf(cause), await started.complaints()].filter(Boolean).join(': ')
      throw new BackendError(`${task} failed on ${label}: ${why}`, { cause, retryable: /memory/i.test(why) })
    }
  }

  return {
    async run(name, input, params, options) {
      const running = tail.then(() => runOne(input, params, options))
      // Whoever asked for it is told how it ended.
      tail = running.catch(() => undefined)
      const { output, tokens } = await running
      if (isOutputOf(name, output)) return { output, tokens }
      throw new BackendError(`${name} gave no result of its kind: ${typeof output}`, { retryable: false })
    },
    async dispose() {
      await tail
      await closeInTurn([async () => embedder?.dispose(), release])
    },
  }
}
