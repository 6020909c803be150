import { InvalidInputError } from '@x/cid'
import { type CanonicalInput, type Params, type RunTokens, type TaskName } from '@x/infer-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { messageOf } from './message-of.ts'
import type { TaskHandler } from './task-handler.ts'
import type { TokenStreamer } from './text-stream.ts'
import type { Transformers } from './transformers.ts'

export interface GenerationHooks {
  /** Asked after each token. */
  stop: object
  /** Told of each token. */
  streamer: TokenStreamer | undefined
  /** Asked of each token before the likeliest is taken, in their order, after what the library does by itself. */
  scores: readonly object[]
  /** The one of repetition that the library is to put on the scores itself. Default: as the parameters or the repository say. */
  penalty: number | undefined
}

export interface ArgumentOptions {
  /** Of the model, hertz; sound of another rate is resampled. */
  sampleRate: number | undefined
  signal: AbortSignal | undefined
  /** Told what is read of a ranking. */
  onRead?: ((tokens: RunTokens) => void) | undefined
}

/**
 * What a task's pipeline is called with.
 *
 * @param hooks - Of tasks whose text is followed; of others nobody asks for them.
 * @throws {InvalidInputError} An image or a sound that cannot be decoded; a text without the mask that is to be filled.
 */
export async function argumentsWith(
  handler: TaskHandler,
  transformers: Transformers,
  task: TaskName,
  { tokenizer }: Pick<LoadedPipeline, 'tokenizer'>,
  input: CanonicalInput,
  params: Params,
  { sampleRate, signal, onRead, hooks }: ArgumentOptions & { hooks: GenerationHooks | undefined },
): Promise<unknown[]> {
  if (task === 'fill-mask' && input.kind === 'text') assertOneMask(tokenizer?.mask_token, input.text)
  const { candidate_labels: labels, ...options } = params
  const chat = input.kind === 'chat' ? needed(task, handler.chat)(tokenizer, input) : undefined
  const first =
    input.kind === 'chat' ? [chat?.messages] : await valuesOf(handler, transformers, task, input, sampleRate)
  if (labels !== undefined) return [...first, labels, withTemplate(options)]
  if (input.kind === 'ranking') return [...first, options, { signal, onRead }]
  if (input.kind === 'speech') return [...first, { ...options, speaker_embeddings: input.voice }]
  if (!handler.follow) return [...first, options]
  return [...first, { ...generationOptions(options, needed(task, hooks)), ...chat?.options }]
}

/** What a table is to have for a task; that of every task does. */
function needed<T>(task: TaskName, part: T | undefined): T {
  if (part !== undefined) return part
  throw new TypeError(`${task} was given the handler of another task`)
}

/**
 * The library puts a label into its sentence with `replace(text, text)`, to which a dollar in the label is a pattern:
 * `$$` would become `$`. All that it does with the sentence is to call that.
 */
function withTemplate({ hypothesis_template: template, ...options }: Params): Record<string, unknown> {
  if (typeof template !== 'string') return options
  const replace = (place: string, label: string): string => template.replace(place, () => label)
  return { ...options, hypothesis_template: { replace } }
}

/** What is given before the options. */
async function valuesOf(
  handler: TaskHandler,
  transformers: Transformers,
  task: TaskName,
  input: Exclude<CanonicalInput, { kind: 'chat' }>,
  sampleRate: number | undefined,
): Promise<unknown[]> {
  if (input.kind === 'text' || input.kind === 'speech') return [input.text]
  if (input.kind === 'pair') return [{ text: input.text, text_pair: input.text_pair }]
  if (input.kind === 'question') return [input.question, input.context]
  if (input.kind === 'ranking') return [{ query: input.query, documents: input.documents }]
  if (input.kind === 'samples') return [input.samples]
  if (input.kind === 'tensors') throw new TypeError('no task takes tensors as they are')
  if (input.kind === 'audio') return [needed(task, handler.samplesOf)(input.bytes, sampleRate)]
  const image = await decodeImage(transformers, input.bytes)
  if (input.kind === 'document') return [image, input.question]
  return input.kind === 'prompt' ? [image, input.text] : [image]
}

async function decodeImage({ RawImage }: Transformers, bytes: Uint8Array): Promise<object> {
  try {
    return await RawImage.fromBlob(new Blob([Uint8Array.from(bytes)]))
  } catch (cause) {
    const why = messageOf(cause)
    throw new InvalidInputError(`the image cannot be decoded: ${why}`, { input: 'image', cause })
  }
}

/** Where a text stops and how tokens are drawn is for the hooks. */
function generationOptions(
  {
    stop: _stop,
    temperature: _temperature,
    top_k: _topK,
    top_p: _topP,
    seed: _seed,
    top_logprobs: _top,
    ...options
  }: Params,
  { stop, streamer, scores, penalty }: GenerationHooks,
): Record<string, unknown> {
  return {
    ...options,
    // A repository's generation_config.json may ask for sampling; without it the same input gives the same answer.
    do_sample: false,
    stopping_criteria: stop,
    ...(streamer !== undefined && { streamer }),
    ...(scores.length > 0 && { logits_processor: scores }),
    ...(penalty !== undefined && { repetition_penalty: penalty }),
  }
}

/** The library fills the first mask, and says nothing of others. */
function assertOneMask(mask: string | null | undefined, text: string): void {
  const masks = mask ? text.split(mask).length - 1 : 0
  if (masks === 1) return
  throw new InvalidInputError(`fill-mask needs one ${mask ?? 'mask'} in the text; there are ${masks}`, { input: text })
}
