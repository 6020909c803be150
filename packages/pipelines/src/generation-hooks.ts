import type { Params, RunTokens, TaskName, TokenLogprob } from '@x/infer-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { createLogProbabilities, scoresReader, type LogProbabilities } from './log-probabilities.ts'
import type { GenerationHooks } from './pipeline-arguments.ts'
import { samplingOf, samplingProcessor } from './sampling.ts'
import { createTokenBytes } from './token-bytes.ts'
import { createTokenLogprobs, topLogprobsOf } from './token-logprobs.ts'
import type { Transformers } from './transformers.ts'
import { watchGeneration } from './watch-generation.ts'
import { createWrittenText, stopsIn, type WrittenText } from './written-text.ts'

/** In the same order. */
type SpecialTokens = Pick<NonNullable<LoadedPipeline['tokenizer']>, 'all_special_tokens' | 'all_special_ids'>

interface HookedGeneration {
  /** For the library. */
  hooks: GenerationHooks
  /** Where there are stop texts: once one came, what the output is to have instead of what the library has. */
  stopped: WrittenText | undefined
  /** Ends the text at the next token. */
  interrupt: () => void
  /** What was read and written, where that is counted. */
  tokens: () => RunTokens | undefined
  /** Of what was written, where they are asked for. */
  logprobs: () => TokenLogprob[] | undefined
}

/** Follows a text while it is generated: its pieces, its tokens, and where it has to end. */
export function hookGeneration(
  transformers: Transformers,
  task: TaskName,
  pipeline: LoadedPipeline,
  params: Params,
  onText: ((piece: string) => void) | undefined,
): HookedGeneration {
  const stop = new transformers.InterruptableStoppingCriteria()
  const interrupt = (): void => stop.interrupt()
  const { tokenizer, generation } = pipeline
  const stops = stopsIn(params)
  const top = topLogprobsOf(params)
  const probabilities = top === undefined ? undefined : createLogProbabilities()
  const likely =
    tokenizer &&
    probabilities &&
    createTokenLogprobs(tokenizer, {
      probabilities: {
        of: (id) => probabilities.of(Number(id)),
        likeliest: () => probabilities.likeliest(top ?? 0).map(BigInt),
      },
      bytesOf: createTokenBytes(tokenizer),
    })
  const isTold = onText !== undefined || stops !== undefined || likely !== undefined
  const stopIds = tokenizer && stops && stopIdsOf(tokenizer, stops, generation.ends)
  const options = { stops: stops ?? [], stopIds, onText, follower: likely?.follower, onStop: interrupt }
  const text = isTold && tokenizer ? createWrittenText<bigint>(tokenizer, options) : undefined
  const mostRead = (generation.isCut ? tokenizer?.model_max_length : undefined) ?? Infinity
  const watched = isCounted(task, pipeline) ? watchGeneration(generation, mostRead, text, interrupt) : undefined
  return {
    hooks: { stop, streamer: watched?.streamer ?? text, ...scoresOf(transformers, pipeline, params, probabilities) },
    stopped: stops && text,
    interrupt,
    tokens: () => watched?.tokens(),
    logprobs: () => text && likely?.list({ text: text.text, isStopped: text.isStopped, ends: generation.ends }),
  }
}

/** What sees the scores of tokens as the model gives them comes before the penalty, which the library would put first. */
function scoresOf(
  transformers: Transformers,
  { generation }: LoadedPipeline,
  params: Params,
  probabilities: LogProbabilities | undefined,
): Pick<GenerationHooks, 'scores' | 'penalty'> {
  const sampling = samplingOf(params)
  const drawing = sampling ? [samplingProcessor(transformers, sampling)] : []
  if (!probabilities) return { scores: drawing, penalty: undefined }
  const penalty = Number(params['repetition_penalty'] ?? generation.penalty)
  const penalising = penalty === 1 ? [] : [new transformers.RepetitionPenaltyLogitsProcessor(penalty)]
  return { scores: [scoresReader(probabilities), ...penalising, ...drawing], penalty: 1 }
}

/** The special tokens that stop texts name, which are left out of a text. At those that end it anyway it is the model that ends it. */
function stopIdsOf(
  { all_special_tokens: texts, all_special_ids: ids }: SpecialTokens,
  stops: readonly string[],
  ends: ReadonlySet<number>,
): Set<bigint> {
  const named = ids.filter((id, index) => stops.includes(texts[index] ?? '') && !ends.has(id))
  return new Set(named.map(BigInt))
}

/** Tasks whose models write behind what they were given, so that the first tokens that the library tells are the prompt. */
const isCounted = (task: TaskName, { generation }: LoadedPipeline): boolean =>
  (task === 'text-generation' || task === 'image-text-to-text') && !generation.isEncoded
