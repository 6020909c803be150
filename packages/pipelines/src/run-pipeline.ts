import { InvalidInputError, isStorageError } from '@x/cid'
import {
  TASKS,
  type CanonicalInput,
  type Params,
  type RunTokens,
  type TaskName,
  type TokenLogprob,
} from '@x/infer-core'
import { BackendError } from '@x/storage-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { messageOf } from './message-of.ts'
import { fieldsOf } from './model-json.ts'
import { argumentsWith } from './pipeline-arguments.ts'
import { toOutput } from './pipeline-output.ts'
import type { TaskHandler } from './task-handler.ts'
import type { Ran } from './task-result.ts'
import type { Transformers } from './transformers.ts'
import { generatedFrom } from './written-text.ts'

export interface PipelineRunOptions {
  /** Of the model, hertz; sound of another rate is resampled. */
  sampleRate: number | undefined
  /** Ends the generation of text at the next token, and a ranking at the next document; any other run of a graph cannot be interrupted. */
  signal: AbortSignal | undefined
  /** Called with each new piece of the text that a task generates, without the prompt. */
  onText?: ((piece: string) => void) | undefined
}

/** `runPipeline` with the handler of the task. */
export async function runWith<Name extends TaskName>(
  handler: TaskHandler,
  transformers: Transformers,
  task: Name,
  pipeline: LoadedPipeline,
  input: CanonicalInput,
  params: Params,
  { sampleRate, signal, onText }: PipelineRunOptions,
): Promise<Ran<Name>> {
  assertStreams(task, onText)
  let thrown: { error: unknown } | undefined
  const guarded = (piece: string): void => {
    try {
      onText?.(piece)
    } catch (error) {
      thrown = { error }
      throw error
    }
  }
  const hooked = handler.follow?.(transformers, task, pipeline, params, onText && guarded)
  const stopped = hooked?.stopped
  const interrupt = (): void => hooked?.interrupt()
  let read: RunTokens | undefined
  const onRead = (told: RunTokens): void => void (read = told)
  const given = { sampleRate, signal, onRead, hooks: hooked?.hooks }
  const args = await argumentsWith(handler, transformers, task, pipeline, input, params, given)
  signal?.addEventListener('abort', interrupt)
  try {
    if (signal?.aborted) interrupt()
    const call = (): Promise<unknown> => pipeline.call(...args)
    const output = task === 'text-to-audio' ? await seeded(transformers, call) : await call()
    // Where no stop text came it is what it is without any.
    const ended = stopped?.isStopped
      ? [generatedFrom(input, params, stopped.prompt(), stopped.text)]
      : asGiven(input, params, output)
    return {
      output: toOutput(transformers, task, withLogprobs(ended, hooked?.logprobs())),
      tokens: hooked?.tokens() ?? read,
    }
  } catch (cause) {
    // What the caller's own function threw is the caller's.
    if (thrown) throw thrown.error
    signal?.throwIfAborted()
    if (isStorageError(cause)) throw cause
    const why = messageOf(cause)
    throw new BackendError(`${task} failed on ${pipeline.dtype.files.join(', ')}: ${why}`, { cause, retryable: false })
  } finally {
    signal?.removeEventListener('abort', interrupt)
  }
}

/** The library gives the messages of a chat back as its template was given them. */
function asGiven(input: CanonicalInput, params: Params, output: unknown): unknown {
  if (input.kind !== 'chat' || !Array.isArray(output)) return output
  return output.map((one: unknown) => {
    const { generated_text: messages } = fieldsOf(one)
    const { content } = fieldsOf(Array.isArray(messages) ? messages.at(-1) : undefined)
    return typeof content === 'string' ? generatedFrom(input, params, '', content) : one
  })
}

function withLogprobs(output: unknown, logprobs: TokenLogprob[] | undefined): unknown {
  if (logprobs === undefined || !Array.isArray(output)) return output
  return output.map((one: unknown) => ({ ...fieldsOf(one), logprobs }))
}

/** @throws {InvalidInputError} A text is to be given while it is generated, of a task that generates none. */
export function assertStreams(task: TaskName, onText: unknown): void {
  if (onText === undefined || TASKS[task].streams) return
  const streaming = Object.entries(TASKS).filter(([, { streams }]) => streams)
  const names = streaming.map(([name]) => name).join(', ')
  throw new InvalidInputError(`${task} generates no text, as onText wants it; these do: ${names}`, { input: 'onText' })
}

let lastSeeded: Promise<unknown> = Promise.resolve()

/**
 * Runs what draws noise from the library's one generator of random numbers, from the same number on each time, so that
 * the same text gives the same sound. One after another: two at once would draw from each other's.
 */
async function seeded(transformers: Transformers, call: () => Promise<unknown>): Promise<unknown> {
  const run = lastSeeded.then(() => {
    transformers.random.seed(0)
    return call()
  })
  // Whoever asked for it is told how it ended.
  lastSeeded = run.catch(() => undefined)
  return run
}
