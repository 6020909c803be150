import type { Generated } from '../generate.ts'
import type { Provenance } from '../results-of.ts'
import { toChatLogprobs, type ChatLogprobs } from './logprobs.ts'
import type { EventWriter } from './text-events.ts'
import { createChatContent, parseToolCalls, type ParsedCall } from './tool-calls.ts'
import { finishReasonOf, usageOf, type FinishReason, type Usage } from './usage.ts'

/** What each object of an answer says. */
export interface Envelope {
  id: string
  /** Seconds since 1970. */
  created: number
  /** As it was asked for. */
  model: string
  /** The CID of the model. */
  system_fingerprint: string
}

export interface ChatCompletion extends Envelope {
  object: 'chat.completion'
  choices: ChatChoice[]
  /** Left out where nobody counted. */
  usage?: Usage
}

type ChatFinishReason = FinishReason | 'tool_calls'

interface ChatChoice {
  index: number
  message: { role: 'assistant'; content: string | null; refusal: null; tool_calls?: ChatToolCall[] }
  logprobs: ChatLogprobs | null
  finish_reason: ChatFinishReason
}

export interface ChatChunk extends Envelope {
  object: 'chat.completion.chunk'
  choices: ChunkChoice[]
  usage?: Usage | null
  /** Ours: on what the text rests that ended. */
  ipfs_accelerate?: Provenance
}

interface ChunkChoice {
  index: number
  delta: Delta
  logprobs: ChatLogprobs | null
  finish_reason: ChatFinishReason
}

interface Delta {
  role?: 'assistant'
  content?: string
  tool_calls?: (CallBegin | CallDelta)[]
}

interface CallBegin extends ChatToolCall {
  index: number
}

interface CallDelta {
  index: number
  function: { arguments: string }
}

/**
 * @param texts - One or several of the same chat.
 * @param tools - Names of what the model may call; none: nothing that it says is a call.
 */
export function toCompletion(
  { id, ...envelope }: Envelope,
  texts: readonly Generated[],
  tools: ReadonlySet<string>,
): ChatCompletion {
  const answers = texts.map(({ answer }) => answer)
  const usage = usageOf(answers, answers.length)
  return {
    id,
    object: 'chat.completion',
    ...envelope,
    choices: texts.map((each, index) => toChoice(each, index, tools)),
    ...(usage && { usage }),
  }
}

function toChoice({ text, answer, logprobs }: Generated, index: number, tools: ReadonlySet<string>): ChatChoice {
  const { content, calls } = tools.size > 0 ? parseToolCalls(text, tools) : { content: text, calls: [] }
  const isCall = calls.length > 0
  return {
    index,
    message: {
      role: 'assistant',
      content: isCall && content === '' ? null : content,
      refusal: null,
      ...(isCall && { tool_calls: calls.map(toCall) }),
    },
    logprobs: toChatLogprobs(logprobs),
    finish_reason: reasonOf(answer, isCall),
  }
}

interface ChatToolCall {
  id: string
  type: 'function'
  function: ParsedCall
}

/** A model that was cut short may have wanted to call more. */
function reasonOf(answer: Generated['answer'], isCall: boolean): ChatFinishReason {
  const reason = finishReasonOf(answer)
  return isCall && reason !== 'length' ? 'tool_calls' : reason
}

const toCall = ({ name, arguments: given }: ParsedCall): ChatToolCall => ({
  id: `call_${crypto.randomUUID()}`,
  type: 'function',
  function: { name, arguments: given },
})

export interface ChatEventOptions {
  /** Names of what the model may call. */
  tools: ReadonlySet<string>
  /** Texts that there are. */
  count: number
  /** Each event has the field, as OpenAI's have it then. */
  includeUsage: boolean
}

export function createChatEvents(
  { id, ...envelope }: Envelope,
  { tools, count, includeUsage }: ChatEventOptions,
): EventWriter {
  const contents = Array.from({ length: count }, () => createChatContent(tools))
  const chunk = (choices: ChunkChoice[], usage: Usage | null = null): ChatChunk => ({
    id,
    object: 'chat.completion.chunk',
    ...envelope,
    choices,
    ...(includeUsage && { usage }),
  })
  const of = (index: number, delta: Delta): ChatChunk => chunk([{ index, delta, logprobs: null, finish_reason: null }])
  const last = (index: number, reason: ChatFinishReason, logprobs: Generated['logprobs']): ChatChunk =>
    chunk([{ index, delta: {}, logprobs: toChatLogprobs(logprobs), finish_reason: reason }])
  const said = (index: number, content = ''): ChatChunk[] => (content === '' ? [] : [of(index, { content })])
  return {
    start: (index) => [of(index, { role: 'assistant', content: '' })],
    piece: (index, text) => said(index, contents[index]?.push(text)),
    end(index, rest, { answer, logprobs }, provenance) {
      const begun = said(index, contents[index]?.push(rest))
      const { rest: held = '', calls = [] } = contents[index]?.end() ?? {}
      const deltas = calls.flatMap((call, at) => callDeltas(at, toCall(call)))
      return [
        ...begun,
        ...said(index, held),
        ...deltas.map((delta) => of(index, delta)),
        { ...last(index, reasonOf(answer, calls.length > 0), logprobs), ipfs_accelerate: provenance },
      ]
    },
    usage: (usage) => chunk([], usage),
  }
}

/** A call is known only when it is whole; clients put it together from its beginning and its arguments. */
function callDeltas(index: number, { id, type, function: called }: ChatToolCall): Delta[] {
  const { name, arguments: given } = called
  return [
    { tool_calls: [{ index, id, type, function: { name, arguments: '' } }] },
    { tool_calls: [{ index, function: { arguments: given } }] },
  ]
}
