import { z, type ZodType } from 'zod'

import type { Provenance } from '../results-of.ts'
import type { ChatChunk, ChatCompletion } from './chat-answer.ts'
import type { TextCompletion } from './completion-answer.ts'
import type { ChatLogprobs, TextLogprobs } from './logprobs.ts'
import type { Usage } from './usage.ts'

const count = z.int().min(0)

const USAGE: ZodType<Usage> = z.object({ prompt_tokens: count, completion_tokens: count, total_tokens: count })

const PROVENANCE: ZodType<Provenance> = z.object({
  model: z.string(),
  receipt: z.string(),
  from: z.string(),
  endpoint: z.string().optional(),
})

const ENVELOPE = { id: z.string(), created: z.int(), model: z.string(), system_fingerprint: z.string() }

const FINISH = z.enum(['stop', 'length']).nullable()
const CHAT_FINISH = z.enum(['stop', 'length', 'tool_calls']).nullable()

const FUNCTION = { id: z.string(), type: z.literal('function') }
const CALLED = z.object({ name: z.string(), arguments: z.string() })

const LIKELY = { token: z.string(), logprob: z.number(), bytes: z.array(z.int().min(0).max(255)) }

const CHAT_LOGPROBS: ZodType<ChatLogprobs> = z.object({
  content: z.array(z.object({ ...LIKELY, top_logprobs: z.array(z.object(LIKELY)) })),
  refusal: z.null(),
})

const TEXT_LOGPROBS: ZodType<TextLogprobs> = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  text_offset: z.array(count),
})

export const CHAT_COMPLETION: ZodType<ChatCompletion> = z.object({
  ...ENVELOPE,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.null(),
        tool_calls: z.array(z.object({ ...FUNCTION, function: CALLED })).exactOptional(),
      }),
      logprobs: CHAT_LOGPROBS.nullable(),
      finish_reason: CHAT_FINISH,
    }),
  ),
  usage: USAGE.exactOptional(),
})

export const CHAT_CHUNK: ZodType<ChatChunk> = z.object({
  ...ENVELOPE,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: count,
      delta: z.object({
        role: z.literal('assistant').exactOptional(),
        content: z.string().exactOptional(),
        tool_calls: z
          .array(
            z.union([
              z.object({ ...FUNCTION, index: count, function: CALLED }),
              z.object({ index: count, function: z.object({ arguments: z.string() }) }),
            ]),
          )
          .exactOptional(),
      }),
      logprobs: CHAT_LOGPROBS.nullable(),
      finish_reason: CHAT_FINISH,
    }),
  ),
  usage: USAGE.nullable().exactOptional(),
  ipfs_accelerate: PROVENANCE.exactOptional(),
})

export const TEXT_COMPLETION: ZodType<TextCompletion> = z.object({
  ...ENVELOPE,
  object: z.literal('text_completion'),
  choices: z.array(
    z.object({ text: z.string(), index: count, logprobs: TEXT_LOGPROBS.nullable(), finish_reason: FINISH }),
  ),
  usage: USAGE.nullable().exactOptional(),
  ipfs_accelerate: PROVENANCE.exactOptional(),
})

export const EMBEDDINGS: ZodType = z.object({
  object: z.literal('list'),
  model: z.string(),
  data: z.array(
    z.object({
      object: z.literal('embedding'),
      index: count,
      // A list of numbers, or with `encoding_format` base64 their bytes, float32 and little-endian.
      embedding: z.union([z.array(z.number()), z.base64()]),
    }),
  ),
  usage: z.object({ prompt_tokens: count, total_tokens: count }).optional(),
})

export const RANKING: ZodType = z.object({
  id: z.string(),
  object: z.literal('list'),
  model: z.string(),
  results: z.array(
    z.object({
      index: count,
      relevance_score: z.number(),
      document: z.object({ text: z.string() }).optional(),
    }),
  ),
  usage: USAGE.optional(),
  meta: z.object({}),
})

export const MODEL: ZodType = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.string(),
  cid: z.string(),
  tasks: z.array(z.string()),
})

export const MODELS: ZodType = z.object({ object: z.literal('list'), data: z.array(MODEL) })
