import { InvalidInputError } from '@x/cid'
import { TASKS, type CanonicalInput, type Params, type RunTokens, type TaskName } from '@x/infer-core'

import { assertTakesTools, toTemplateChat } from './chat-template.ts'
import type { LoadedPipeline } from './load-pipeline.ts'
import { messageOf } from './message-of.ts'
import { fieldsOf } from './model-json.ts'
import { resample } from './resample.ts'
import type { TokenStreamer } from './text-stream.ts'
import type { Transformers } from './transformers.ts'
import { decodeWav } from './wav.ts'

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

/**
 * What a task's pipeline is called with.
 *
 * @param sampleRate - Of the model, hertz; sound of another rate is resampled.
 * @param onRead - Told what is read of a ranking.
 * @throws {InvalidInputError} An image or a sound that cannot be decoded; a text without the mask that is to be filled.
 */
export async function argumentsOf(
  transformers: Transformers,
  task: TaskName,
  { tokenizer }: Pick<LoadedPipeline, 'tokenizer'>,
  input: CanonicalInput,
  params: Params,
  {
    sampleRate,
    signal,
    onRead,
    ...hooks
  }: GenerationHooks & {
    sampleRate: number | undefined
    signal: AbortSignal | undefined
    onRead?: ((tokens: RunTokens) => void) | undefined
  },
): Promise<unknown[]> {
  if (task === 'fill-mask' && input.kind === 'text') assertOneMask(tokenizer?.mask_token, input.text)
  const { candidate_labels: labels, ...options } = params
  const first = await valuesOf(transformers, input, sampleRate)
  if (labels !== undefined) return [...first, labels, withTemplate(options)]
  if (input.kind === 'ranking') return [...first, options, { signal, onRead }]
  if (input.kind === 'speech') return [...first, { ...options, speaker_embeddings: input.voice }]
  if (!generates(task)) return [...first, options]
  return [...first, { ...generationOptions(options, hooks), ...toolOptions(tokenizer, input) }]
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
  transformers: Transformers,
  input: CanonicalInput,
  sampleRate: number | undefined,
): Promise<unknown[]> {
  if (input.kind === 'text' || input.kind === 'speech') return [input.text]
  if (input.kind === 'chat') return [toTemplateChat(input).messages]
  if (input.kind === 'pair') return [{ text: input.text, text_pair: input.text_pair }]
  if (input.kind === 'question') return [input.question, input.context]
  if (input.kind === 'ranking') return [{ query: input.query, documents: input.documents }]
  if (input.kind === 'samples') return [input.samples]
  if (input.kind === 'tensors') throw new TypeError('no task takes tensors as they are')
  if (input.kind === 'audio') {
    const sound = decodeWav(input.bytes)
    return [resample(sound.samples, sound.sampleRate, sampleRate ?? sound.sampleRate)]
  }
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

/** Models that write a text, one token after another. */
const generates = (task: TaskName): boolean =>
  TASKS[task].streams === true || task === 'document-question-answering' || task === 'automatic-speech-recognition'

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

function toolOptions(tokenizer: LoadedPipeline['tokenizer'], input: CanonicalInput): { tools?: object[] } {
  if (input.kind !== 'chat') return {}
  const { tools } = toTemplateChat(input)
  const template = templateOf(tokenizer?.chat_template, tools !== undefined)
  // Of one without any the library says so.
  if (template !== undefined) assertTakesTools(template, input, 'the model')
  return tools ? { tools } : {}
}

/** The one that the library takes: of several, that for tools where there are any. */
function templateOf(templates: unknown, hasTools: boolean): string | undefined {
  if (typeof templates === 'string') return templates
  const { tool_use: ofTools, default: ofOthers } = fieldsOf(templates)
  const template = (hasTools ? ofTools : undefined) ?? ofOthers
  return typeof template === 'string' ? template : undefined
}

/** The library fills the first mask, and says nothing of others. */
function assertOneMask(mask: string | null | undefined, text: string): void {
  const masks = mask ? text.split(mask).length - 1 : 0
  if (masks === 1) return
  throw new InvalidInputError(`fill-mask needs one ${mask ?? 'mask'} in the text; there are ${masks}`, { input: text })
}
