import type { Generated } from '../generate.ts'
import type { Provenance } from '../results-of.ts'
import type { Envelope } from './chat-answer.ts'
import { toTextLogprobs, type TextLogprobs } from './logprobs.ts'
import type { EventWriter } from './text-events.ts'
import { finishReasonOf, usageOf, type FinishReason, type Usage } from './usage.ts'

/** The same object whole and in a stream. */
export interface TextCompletion extends Envelope {
  object: 'text_completion'
  choices: TextChoice[]
  /** Left out where nobody counted. */
  usage?: Usage | null
  /** Ours: on what the text rests that ended. */
  ipfs_accelerate?: Provenance
}

interface TextChoice {
  text: string
  index: number
  logprobs: TextLogprobs | null
  finish_reason: FinishReason
}

export interface CompletionOptions {
  ofEachPrompt: number
  /** The prompts, where texts are to begin with theirs. */
  echoed: readonly string[] | undefined
}

const echoOf = ({ ofEachPrompt, echoed }: CompletionOptions, index: number): string =>
  echoed?.[Math.floor(index / ofEachPrompt)] ?? ''

export function toTextCompletion(
  { id, ...envelope }: Envelope,
  texts: readonly Generated[],
  options: CompletionOptions,
): TextCompletion {
  const usage = usageOf(
    texts.map(({ answer }) => answer),
    options.ofEachPrompt,
  )
  return {
    id,
    object: 'text_completion',
    ...envelope,
    choices: texts.map(({ text, answer, logprobs }, index) => ({
      text: echoOf(options, index) + text,
      index,
      logprobs: toTextLogprobs(logprobs),
      finish_reason: finishReasonOf(answer),
    })),
    ...(usage && { usage }),
  }
}

/** @param options.includeUsage - Each event has the field, as OpenAI's have it then. */
export function createCompletionEvents(
  { id, ...envelope }: Envelope,
  { includeUsage, ...options }: CompletionOptions & { includeUsage: boolean },
): EventWriter {
  const chunk = (choices: TextChoice[], usage: Usage | null = null): TextCompletion => ({
    id,
    object: 'text_completion',
    ...envelope,
    choices,
    ...(includeUsage && { usage }),
  })
  const of = (index: number, text: string): TextCompletion =>
    chunk([{ text, index, logprobs: null, finish_reason: null }])
  const last = (index: number, { answer, logprobs }: Generated): TextCompletion =>
    chunk([{ text: '', index, logprobs: toTextLogprobs(logprobs), finish_reason: finishReasonOf(answer) }])
  const piece = (index: number, text: string): TextCompletion[] => (text === '' ? [] : [of(index, text)])
  return {
    start: (index) => piece(index, echoOf(options, index)),
    piece,
    end: (index, rest, generated, provenance) => [
      ...piece(index, rest),
      { ...last(index, generated), ipfs_accelerate: provenance },
    ],
    usage: (usage) => chunk([], usage),
  }
}
