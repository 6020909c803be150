import { InvalidInputError } from '@x/cid'
import type { CanonicalInput, OutputValue, Params, RunTokens, TokenLogprob } from '@x/infer-core'
import {
  createTokenLogprobs,
  createWrittenText,
  type Decoder,
  generatedFrom,
  samplingOf,
  stopsIn,
  topLogprobsOf,
  type WrittenText,
} from '@x/pipelines/parts'
import type { LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp'

import { chatPrompt } from './chat-prompt.ts'
import { scoreTokens, type ScoredPlace } from './score-tokens.ts'
import { tokensOf } from './tokens-of.ts'

export interface GenerateOptions {
  /** For chats, as the file has it. */
  template: unknown
  /** What messages call the model. */
  label: string
  threads: number
  signal: AbortSignal | undefined
  onText: ((piece: string) => void) | undefined
}

interface Generated {
  output: OutputValue
  tokens: RunTokens
}

/** Tokens of the prompt that are read at a time; between two an abort is heard. */
const BATCH = 512

/**
 * Goes on with a text, or answers a chat: with the likeliest token each time, or one that is drawn from a seed, until the model ends, the tokens are as many as were asked for, or
 * there is no more room. Each run has a context of its own, as large as it takes, so that its result rests on its own input alone, and
 * nothing of it is held afterwards.
 *
 * @throws {InvalidInputError} The prompt has no tokens, or as many as the model takes.
 */
export async function generateText(
  model: LlamaModel,
  input: CanonicalInput,
  params: Params,
  options: GenerateOptions,
): Promise<Generated> {
  const { label, threads, signal, onText } = options
  const prompt = await promptOf(model, input, options)
  const most = model.trainContextSize
  if (prompt.length === 0 || prompt.length >= most) {
    const message = `the prompt has ${prompt.length} tokens, and ${label} takes from 1 to ${most - 1}`
    throw new InvalidInputError(message, { input: 'prompt' })
  }
  const count = Math.min(Number(params['max_new_tokens']), most - prompt.length)
  let written = 0
  let ended: RunTokens['ended'] = 'model'
  const stops = stopsIn(params) ?? []
  const parts: string[] = []
  const top = topLogprobsOf(params)
  const follower =
    top === undefined ? undefined : { put: () => {}, read: (texts: readonly string[]) => void parts.push(...texts) }
  const decoder: Decoder<Token> = {
    decode: (tokens, { skip_special_tokens: isPlain }) => model.detokenize(tokens, !isPlain),
  }
  const stream = createWrittenText<Token>(decoder, { stops, stopIds: stopIdsOf(model, stops), onText, follower })
  let logprobs: TokenLogprob[] | undefined
  const contextSize = prompt.length + count
  const isOnProcessor = model.gpuLayers === 0
  const context = await model.createContext({
    contextSize,
    batchSize: Math.min(BATCH, contextSize),
    threads: { ideal: threads, min: threads },
    // It divides a sum among threads.
    ...(isOnProcessor && { flashAttention: false }),
  })
  try {
    const sequence = context.getSequence()
    stream.put([prompt])
    const last = await readPrompt(sequence, prompt, signal)
    const given = [...prompt]
    for await (const token of sequence.evaluate(last, {
      ...drawnAs(params),
      ...penaltyOf(params['repetition_penalty'], given, contextSize),
    })) {
      signal?.throwIfAborted()
      given.push(token)
      stream.put([[token]])
      written += 1
      ended = stream.isStopped ? 'stop' : written >= count ? 'length' : 'model'
      if (ended !== 'model') break
    }
    // The one that ends it is told of by nothing that comes.
    if (ended === 'model') written += 1
    signal?.throwIfAborted()
    stream.end()
    if (stream.isStopped) ended = 'stop'
    if (top !== undefined) {
      const tokens = given.slice(prompt.length)
      // As it was before anything was written, whatever kind of memory the model has.
      await sequence.clearHistory()
      const unread = await readPrompt(sequence, prompt, signal)
      const places = await scoreTokens(sequence, { before: unread, tokens, top, signal })
      logprobs = logprobsOf(decoder, { prompt, tokens, places, parts, written: stream })
    }
  } finally {
    await context.dispose()
  }
  const tokens = { input: prompt.length, cut: 0, output: written, ended }
  const asked = input.kind === 'text' ? input.text : ''
  return { output: { ...generatedFrom(input, params, asked, stream.text), ...(logprobs && { logprobs }) }, tokens }
}

interface ScoredText {
  prompt: readonly Token[]
  tokens: readonly Token[]
  places: readonly ScoredPlace[]
  /** What the tokens add to the text. */
  parts: readonly string[]
  written: Pick<WrittenText<Token>, 'text' | 'isStopped'>
}

function logprobsOf(decoder: Decoder<Token>, { prompt, tokens, places, parts, written }: ScoredText): TokenLogprob[] {
  let place: ScoredPlace | undefined
  const probabilities = {
    of: (token: Token) => place?.of(token) ?? Number.NaN,
    likeliest: () => place?.likeliest ?? [],
  }
  const likely = createTokenLogprobs(decoder, { probabilities })
  likely.follower.put([prompt])
  for (const [index, token] of tokens.entries()) {
    place = places[index]
    likely.follower.put([[token]])
  }
  likely.follower.read(parts)
  const { text, isStopped } = written
  // The one that ends it is not among them.
  return likely.list({ text, isStopped, ends: new Set() })
}

/** The tokens that stop texts name and that stand for no text. At those that end it anyway it is the model that ends it, before they are given. */
function stopIdsOf(model: LlamaModel, stops: readonly string[]): Set<Token> {
  const named = stops.flatMap((stop) => {
    const [token, ...others] = model.tokenize(stop, true)
    const isNamed = token !== undefined && others.length === 0 && model.detokenize([token], true) === stop
    return isNamed && model.detokenize([token]) === '' ? [token] : []
  })
  return new Set(named)
}

/** What a chat's template writes begins as it does; a text begins as the file says. */
async function promptOf(
  model: LlamaModel,
  input: CanonicalInput,
  { template, label, signal }: GenerateOptions,
): Promise<Token[]> {
  const { tokens } = model
  const limits = { most: model.trainContextSize - 1, what: 'prompt', label, signal }
  if (input.kind === 'chat') {
    const chat = chatPrompt(template, input, { bos: tokens.bosString, eos: tokens.eosString }, label)
    return tokensOf(model, chat, limits)
  }
  if (input.kind !== 'text') throw new TypeError(`text-generation of ${input.kind}`)
  const own = await tokensOf(model, input.text, limits)
  const isFirst = tokens.bos !== null && tokens.shouldPrependBosToken && own[0] !== tokens.bos
  return isFirst && tokens.bos !== null ? [tokens.bos, ...own] : own
}

/** Reads all of a prompt but its last tokens, which it returns: of them comes what is next. */
async function readPrompt(
  sequence: LlamaContextSequence,
  prompt: readonly Token[],
  signal: AbortSignal | undefined,
): Promise<Token[]> {
  let from = 0
  while (prompt.length - from > BATCH) {
    signal?.throwIfAborted()
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(from, from + BATCH))
    from += BATCH
  }
  signal?.throwIfAborted()
  return prompt.slice(from)
}

/** In llama.cpp the temperature comes last. */
function drawnAs(params: Params): Parameters<LlamaContextSequence['evaluate']>[1] & object {
  const sampling = samplingOf(params)
  if (sampling === undefined) return { temperature: 0 }
  const { seed, temperature, topK = 0, topP = 1 } = sampling
  return { seed, temperature, topK, topP, minP: 0 }
}

/** As transformers.js has it: on all that was given or came so far. */
function penaltyOf(
  penalty: unknown,
  given: Token[],
  maxPunishTokens: number,
): Pick<Parameters<LlamaContextSequence['evaluate']>[1] & object, 'repeatPenalty'> {
  if (typeof penalty !== 'number' || penalty === 1) return {}
  return { repeatPenalty: { penalty, punishTokens: () => given, maxPunishTokens } }
}
