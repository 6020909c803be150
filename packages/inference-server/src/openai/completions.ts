import { z, type ZodType } from 'zod'

import { generateAll, startGeneration, type Generated, type TextJob } from '../generate.ts'
import { badRequest } from '../http-error.ts'
import { RESULT_HEADERS } from '../openapi/headers.ts'
import { notTaken } from '../openapi/json-schema.ts'
import { parseAs } from '../parse.ts'
import type { ServedModel } from '../ports.ts'
import { modelHeader, resultsOf } from '../results-of.ts'
import type { Answer, Asked, Route } from '../route.ts'
import { textsField, textsOf } from '../texts-of.ts'
import { TEXT_COMPLETION } from './answer-schemas.ts'
import type { Envelope } from './chat-answer.ts'
import { createCompletionEvents, toTextCompletion, type CompletionOptions } from './completion-answer.ts'
import { GENERATION, notDone, toTextOptions, type GenerationRequest } from './generation-request.ts'
import { textEvents } from './text-events.ts'

/** What OpenAI's makes of a request that says no number. */
const DEFAULT_MAX_TOKENS = 16

interface CompletionRequest extends GenerationRequest {
  prompt?: unknown
  echo?: boolean | null | undefined
  logprobs?: number | null | undefined
  suffix?: string | null | undefined
  best_of?: number | null | undefined
}

const REQUEST: ZodType<CompletionRequest> = z.object({
  ...GENERATION,
  prompt: textsField('maxPrompts'),
  echo: z.boolean().nullish(),
  logprobs: z.int().min(0).max(5).nullish(),
  suffix: notTaken(z.string().nullish(), ''),
  best_of: z.int().min(1).nullish(),
})

interface Wanted extends CompletionOptions {
  model: ServedModel
  jobs: readonly TextJob[]
  envelope: Envelope
}

/** `POST /v1/completions`. */
export const completionsRoute: Route = {
  method: 'POST',
  path: '/v1/completions',
  dialect: 'openai',
  scope: 'infer',
  described: {
    id: 'createCompletion',
    summary: 'How a model continues texts, as OpenAI answers',
    description: '`n` over 1 needs a `temperature` over 0; `best_of` is `n`.',
    body: { schema: REQUEST, example: { prompt: 'IPFS is', max_tokens: 16 } },
    answers: {
      200: {
        summary: 'the texts, or with `stream` their pieces as they are made',
        headers: RESULT_HEADERS,
        json: TEXT_COMPLETION,
        events: TEXT_COMPLETION,
      },
    },
  },
  async run(asked) {
    const request = parseAs(REQUEST, await asked.json())
    assertDone(request)
    const prompts = textsOf(request.prompt, asked.limits.maxPrompts, 'prompt')
    const { options, cache } = toTextOptions(
      request,
      request.max_tokens ?? DEFAULT_MAX_TOKENS,
      request.logprobs ?? undefined,
    )
    const model = await asked.model(['text-generation'], request.model ?? undefined)
    const jobs = prompts.flatMap((input) =>
      options.map((each): TextJob => {
        const prompt = { task: 'text-generation', input } as const
        return { prompt, options: { ...each, return_full_text: false }, cache }
      }),
    )
    const wanted: Wanted = {
      model,
      jobs,
      ofEachPrompt: options.length,
      echoed: request.echo ? prompts : undefined,
      envelope: {
        id: `cmpl-${crypto.randomUUID()}`,
        created: Math.floor(Date.now() / 1000),
        model: asked.ofPath ?? request.model ?? model.name,
        system_fingerprint: model.cid.toString(),
      },
    }
    return request.stream ? streamed(asked, wanted, request) : whole(asked, wanted)
  },
}

async function whole(asked: Asked, { model, jobs, envelope, ...options }: Wanted): Promise<Answer> {
  const texts: Generated[] = await generateAll(asked, model, jobs)
  const answers = texts.map(({ answer }) => answer)
  const { headers } = await resultsOf(model, answers, asked.ports.receipts)
  return { headers, body: { json: toTextCompletion(envelope, texts, options) } }
}

async function streamed(asked: Asked, wanted: Wanted, request: CompletionRequest): Promise<Answer> {
  const { model, jobs, envelope, ...options } = wanted
  const { receipts } = asked.ports
  const generation = await startGeneration(asked, model, jobs)
  const { kept } = generation
  const includeUsage = request.stream_options?.include_usage ?? false
  const writer = createCompletionEvents(envelope, { ...options, includeUsage })
  const { ofEachPrompt } = options
  const events = textEvents(generation, { model, receipts, writer, count: jobs.length, ofEachPrompt, includeUsage })
  const headers = kept ? (await resultsOf(model, [kept.answer], receipts)).headers : modelHeader(model)
  return { headers, body: { events } }
}

/** @throws {HttpError} 400: a field is known, and asks for what is not done here. */
function assertDone({ echo, logprobs, suffix, best_of: bestOf, n }: CompletionRequest): void {
  if (echo && typeof logprobs === 'number')
    throw notDone('logprobs', 'is not done with echo: of a prompt none are made')
  if (suffix) throw notDone('suffix')
  if (typeof bestOf === 'number' && bestOf !== (n ?? 1)) {
    throw badRequest('best_of is n here: nothing compares texts', { param: 'best_of', code: 'unsupported_value' })
  }
}
