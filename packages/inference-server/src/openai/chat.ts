import type { ChatTool } from '@x/infer-core'

import { generateAll, startGeneration, type TextJob } from '../generate.ts'
import { badRequest } from '../http-error.ts'
import { RESULT_HEADERS } from '../openapi/headers.ts'
import { parseAs } from '../parse.ts'
import type { ServedModel } from '../ports.ts'
import { modelHeader, resultsOf } from '../results-of.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { CHAT_CHUNK, CHAT_COMPLETION } from './answer-schemas.ts'
import { createChatEvents, toCompletion, type Envelope } from './chat-answer.ts'
import { promptOf } from './chat-input.ts'
import { CHAT_REQUEST, type ChatRequest, type ChatRequestTool } from './chat-schema.ts'
import { notDone, toTextOptions } from './generation-request.ts'
import { topOfChat } from './logprobs.ts'
import { textEvents } from './text-events.ts'

interface Wanted {
  model: ServedModel
  jobs: readonly TextJob[]
  envelope: Envelope
  /** Names of what the model may call. */
  tools: ReadonlySet<string>
}

/** `POST /v1/chat/completions`. */
export const chatRoute: Route = {
  method: 'POST',
  path: '/v1/chat/completions',
  dialect: 'openai',
  scope: 'infer',
  described: {
    id: 'createChatCompletion',
    summary: 'What a model says next in a chat, as OpenAI answers',
    description:
      'An image is a data URL, in the only message. Fields that are not here are passed over; `n` over 1 needs a `temperature` over 0.',
    body: { schema: CHAT_REQUEST, example: { messages: [{ role: 'user', content: 'Hello' }], max_tokens: 16 } },
    answers: {
      200: {
        summary: 'the text, or with `stream` its pieces as they are made',
        headers: RESULT_HEADERS,
        json: CHAT_COMPLETION,
        events: CHAT_CHUNK,
      },
    },
  },
  async run(asked) {
    const request = parseAs(CHAT_REQUEST, await asked.json())
    assertDone(request)
    const tools = toolsOf(request)
    const prompt = promptOf(request.messages, tools)
    const maxTokens = request.max_completion_tokens ?? request.max_tokens ?? asked.limits.defaultMaxTokens
    const { options, cache } = toTextOptions(request, maxTokens, topOfChat(request))
    const model = await asked.model([prompt.task], request.model ?? undefined)
    const jobs = options.map((each): TextJob => ({ prompt, options: each, cache }))
    const envelope: Envelope = {
      id: `chatcmpl-${crypto.randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: asked.ofPath ?? request.model ?? model.name,
      system_fingerprint: model.cid.toString(),
    }
    const names = new Set(tools.map(({ function: { name } }) => name))
    const wanted: Wanted = { model, jobs, envelope, tools: names }
    return request.stream ? streamed(asked, wanted, request) : whole(asked, wanted)
  },
}

async function whole(asked: Asked, { model, jobs, envelope, tools }: Wanted): Promise<Answer> {
  const texts = await generateAll(asked, model, jobs)
  const answers = texts.map(({ answer }) => answer)
  const { headers } = await resultsOf(model, answers, asked.ports.receipts)
  return { headers, body: { json: toCompletion(envelope, texts, tools) } }
}

async function streamed(asked: Asked, wanted: Wanted, request: ChatRequest): Promise<Answer> {
  const { model, jobs, envelope, tools } = wanted
  const generation = await startGeneration(asked, model, jobs)
  const { receipts } = asked.ports
  const { kept } = generation
  const includeUsage = request.stream_options?.include_usage ?? false
  const count = jobs.length
  const writer = createChatEvents(envelope, { tools, count, includeUsage })
  const events = textEvents(generation, { model, receipts, writer, count, ofEachPrompt: count, includeUsage })
  const headers = kept ? (await resultsOf(model, [kept.answer], receipts)).headers : modelHeader(model)
  return { headers, body: { events } }
}

/** @throws {HttpError} 400: a field is known, and asks for what is not done here. */
function assertDone(request: ChatRequest): void {
  for (const field of ['audio', 'functions', 'function_call', 'web_search_options'] as const) {
    const given = request[field]
    if (given !== undefined && given !== null) throw notDone(field)
  }
  const format = request.response_format?.type ?? 'text'
  if (format !== 'text') {
    throw badRequest('response_format is text here: nothing makes a model keep to another', {
      param: 'response_format',
      code: 'unsupported_value',
    })
  }
  if (request.modalities?.some((modality) => modality !== 'text')) throw notDone('modalities')
}

/**
 * What the model is told of.
 *
 * @throws {HttpError} 400: it is to call one of them, to which nothing makes a model keep.
 */
function toolsOf({ tools, tool_choice: choice }: ChatRequest): readonly ChatTool[] {
  if (choice === 'none') return []
  if (choice === undefined || choice === null || choice === 'auto') return (tools ?? []).map(toTool)
  throw badRequest('tool_choice is auto or none here: nothing makes a model call a function', {
    param: 'tool_choice',
    code: 'unsupported_value',
  })
}

function toTool({ type, function: { strict, ...named } }: ChatRequestTool): ChatTool {
  return { type, function: { ...named, ...(typeof strict === 'boolean' && { strict }) } }
}
