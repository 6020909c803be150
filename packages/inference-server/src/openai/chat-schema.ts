import type { ToolCall } from '@x/infer-core'
import { z, type ZodType } from 'zod'

import { notTaken, readByHand } from '../openapi/json-schema.ts'
import { GENERATION, type GenerationRequest } from './generation-request.ts'

interface ChatRequestPart {
  type: string
  text?: string | undefined
  image_url?: { url: string } | undefined
}

export interface ChatRequestMessage {
  role: 'developer' | 'system' | 'user' | 'assistant' | 'tool'
  content?: string | ChatRequestPart[] | null | undefined
  name?: string | null | undefined
  tool_calls?: ToolCall[] | null | undefined
  tool_call_id?: string | null | undefined
}

export interface ChatRequestTool {
  type: 'function'
  function: {
    name: string
    description?: string | undefined
    parameters?: object | undefined
    strict?: boolean | null | undefined
  }
}

export interface ChatRequest extends GenerationRequest {
  messages: ChatRequestMessage[]
  max_completion_tokens?: number | null | undefined
  logprobs?: boolean | null | undefined
  top_logprobs?: number | null | undefined
  tools?: ChatRequestTool[] | null | undefined
  tool_choice?: unknown
  response_format?: { type: string } | null | undefined
  modalities?: string[] | null | undefined
  audio?: unknown
  functions?: unknown
  function_call?: unknown
  web_search_options?: unknown
}

const MAX_DEPTH = 100

/** An object of JSON that what reads it need not fear. */
const PARAMETERS: ZodType<object> = readByHand(
  z.custom<object>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && isShallow(value),
    `a JSON Schema is an object, of at most ${MAX_DEPTH} levels`,
  ),
  () => ({ type: 'object', description: `a JSON Schema, of at most ${MAX_DEPTH} levels` }),
)

/** By levels, and not by itself again: a text of 8 MiB can be a million levels deep. */
function isShallow(value: object): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === MAX_DEPTH) return false
    level = level.flatMap((each): unknown[] => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return true
}

const PART: ZodType<ChatRequestPart> = z.object({
  type: z.string(),
  text: z.string().optional(),
  image_url: z
    .object({
      url: readByHand(z.string(), () => ({ type: 'string', pattern: '^[Dd][Aa][Tt][Aa]:[Ii][Mm][Aa][Gg][Ee]/' })),
    })
    .optional(),
})

const CALL: ZodType<ToolCall> = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const MESSAGE: ZodType<ChatRequestMessage> = z.object({
  role: z.enum(['developer', 'system', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(PART)], 'a text, or a list of parts, each with its type').nullish(),
  name: z.string().nullish(),
  tool_calls: z.array(CALL).nullish(),
  tool_call_id: z.string().nullish(),
})

const MAX_TOOLS = 128

const TOOL: ZodType<ChatRequestTool> = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'a name has up to 64 of A-Z a-z 0-9 _ . -'),
    description: z.string().optional(),
    parameters: PARAMETERS.optional(),
    strict: z.boolean().nullish(),
  }),
})

/** What is read of a chat; what is not here is passed over. */
export const CHAT_REQUEST: ZodType<ChatRequest> = z.object({
  ...GENERATION,
  messages: z.array(MESSAGE).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: z.array(TOOL).max(MAX_TOOLS).nullish(),
  tool_choice: readByHand(z.unknown().optional(), () => ({ enum: ['auto', 'none', null] })),
  response_format: z.object({ type: readByHand(z.string(), () => ({ const: 'text' })) }).nullish(),
  modalities: z.array(readByHand(z.string(), () => ({ const: 'text' }))).nullish(),
  audio: notTaken(z.unknown().optional()),
  functions: notTaken(z.unknown().optional()),
  function_call: notTaken(z.unknown().optional()),
  web_search_options: notTaken(z.unknown().optional()),
})
