import type { ChatMessage, GivenOptions, TokenLogprob } from '@x/infer-core'

import { invalidOutput } from './finite.ts'
import { badRequest, HttpError, NO_RETRY } from './http-error.ts'
import { inWindow } from './in-window.ts'
import { isBusy } from './is-busy.ts'
import type { InferenceAnswer, ServedInputs, ServedModel } from './ports.ts'
import type { Asked } from './route.ts'
import { createTextQueue, type TextItem } from './text-queue.ts'

/** What a text is to be made of. */
export type Prompt =
  | { task: 'text-generation'; input: ServedInputs['text-generation'] }
  | { task: 'image-text-to-text'; input: ServedInputs['image-text-to-text'] }

/** One text of those that a request asks for. */
export interface TextJob {
  prompt: Prompt
  options: GivenOptions
  cache?: 'bypass' | undefined
}

export interface Generated {
  text: string
  /** Of its tokens, where they were asked for. */
  logprobs?: readonly TokenLogprob[] | undefined
  answer: Pick<InferenceAnswer<Prompt['task']>, 'from' | 'receiptCid' | 'blocks' | 'tokens'>
}

/** The texts of a request, each when it is whole. */
export function generateAll(asked: Asked, model: ServedModel, jobs: readonly TextJob[]): Promise<Generated[]> {
  const one = (job: TextJob, signal: AbortSignal): Promise<Generated> => generate(asked, model, job, signal)
  return inWindow(jobs, asked.limits.windowInputs, asked.signal, one, isBusy)
}

/** Texts that are being made. */
export interface Generation {
  /** Pieces in the order that they came in, and each text when it is whole. To be read once. */
  items: AsyncGenerator<TextItem<Generated>, void, undefined>
  /** The only text there is, where it was whole before there was a piece of it. */
  kept: Generated | undefined
}

/**
 * Begins with the texts of a request.
 *
 * @returns When there is a first piece, a whole text, or nothing of both for too long.
 *
 * @throws What went wrong before there was anything to send.
 */
export async function startGeneration(asked: Asked, model: ServedModel, jobs: readonly TextJob[]): Promise<Generation> {
  const { limits, signal } = asked
  const stop = new AbortController()
  const queue = createTextQueue<Generated>(limits.maxUnreadCharacters, () => {
    const error = unread()
    stop.abort(error)
    return error
  })
  const both = AbortSignal.any([signal, stop.signal])
  inWindow(jobs, limits.windowInputs, both, async (job, ofJob, index) => {
    const end = await generate(asked, model, job, ofJob, (piece) => queue.push({ index, piece }))
    queue.push({ index, end })
  }).then(
    () => queue.close(),
    (error: unknown) => queue.fail(error),
  )
  const items = queue.read(signal)
  const first = items.next()
  await settledWithin(first, limits.firstPieceMs)
  const head = jobs.length === 1 ? await now(first) : undefined
  const kept = head && !head.done && 'end' in head.value ? head.value.end : undefined
  return { items: continued(first, items), kept }
}

const unread = (): HttpError =>
  new HttpError(408, 'what was written was not read', { type: 'invalid_request_error', headers: NO_RETRY })

/** Waits until it has an end, but not too long. @throws What it rejects with meanwhile. */
async function settledWithin(work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** What came of it, where it is known already. */
const now = <T>(work: Promise<T>): Promise<T | undefined> => Promise.race([work, Promise.resolve(undefined)])

async function* continued<T>(
  first: Promise<IteratorResult<T, void>>,
  items: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  try {
    const head = await first
    if (head.done) return
    yield head.value
    yield* items
  } finally {
    await items.return()
  }
}

async function generate(
  { ports, caller }: Asked,
  model: ServedModel,
  { prompt, options, cache }: TextJob,
  signal: AbortSignal,
  onText?: (piece: string) => void,
): Promise<Generated> {
  const { inference } = ports
  const run = { options, caller, signal, ...(cache && { cache }), ...(onText && { onText }) }
  const answer =
    prompt.task === 'text-generation'
      ? await inference.run(prompt.task, model, prompt.input, run)
      : await inference.run(prompt.task, model, prompt.input, run)
  assertRead(answer.tokens)
  const { generated_text: text, logprobs } = answer.output
  // What runs it passes the option over.
  if (options['top_logprobs'] !== undefined && logprobs === undefined) {
    const about = { param: 'logprobs', code: 'unsupported_value' }
    throw badRequest('of this model no log probabilities can be had here', about)
  }
  return { text: textOf(text), logprobs, answer }
}

/** @throws {HttpError} 400: part of the prompt was not read. */
function assertRead(tokens: Generated['answer']['tokens']): void {
  if (tokens === undefined || tokens.cut === 0) return
  throw badRequest(`the prompt has ${tokens.input + tokens.cut} tokens, and the model reads ${tokens.input}`, {
    code: 'context_length_exceeded',
  })
}

/** Of a chat what the model said. */
function textOf(generated: string | readonly ChatMessage[]): string {
  const text = typeof generated === 'string' ? generated : generated.at(-1)?.content
  if (text !== undefined) return text
  throw invalidOutput('a chat without a message')
}

/**
 * What is still to be sent of a text that is whole now.
 *
 * @throws {HttpError} 500: it does not begin with what was sent.
 */
export function restOf(sent: string, whole: string): string {
  if (whole.startsWith(sent)) return whole.slice(sent.length)
  throw new HttpError(500, 'the text is not what was sent of it', {
    type: 'server_error',
    code: 'model_output_invalid',
    headers: NO_RETRY,
  })
}
