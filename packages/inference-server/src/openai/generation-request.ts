import type { GivenOptions } from '@x/infer-core'
import { z, type ZodType } from 'zod'

import { badRequest, type HttpError } from '../http-error.ts'
import { notTaken, readByHand } from '../openapi/json-schema.ts'

const MAX_STOPS = 4
const MAX_STOP_LENGTH = 256
const MAX_CHOICES = 8
/** Engines take numbers below it; others are made one of these, which the receipt says. */
const SEEDS = 2 ** 32 - 1

const stop = z.string().min(1).max(MAX_STOP_LENGTH)
const penalty = z.number().min(-2).max(2)

/** What requests of texts have together; fields that are not here are passed over. */
export interface GenerationRequest {
  model?: string | null | undefined
  stream?: boolean | null | undefined
  stream_options?: { include_usage?: boolean | null | undefined } | null | undefined
  max_tokens?: number | null | undefined
  stop?: string | string[] | null | undefined
  n?: number | null | undefined
  temperature?: number | null | undefined
  top_p?: number | null | undefined
  seed?: number | null | undefined
  frequency_penalty?: number | null | undefined
  presence_penalty?: number | null | undefined
  logit_bias?: Record<string, number> | null | undefined
}

export const GENERATION: { [Name in keyof GenerationRequest]-?: ZodType<GenerationRequest[Name]> } = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  stop: z
    .union([stop, z.array(stop).max(MAX_STOPS)], `up to ${MAX_STOPS} texts, of 1 to ${MAX_STOP_LENGTH} characters`)
    .nullish(),
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  frequency_penalty: notTaken(penalty.nullish(), 0),
  presence_penalty: notTaken(penalty.nullish(), 0),
  logit_bias: readByHand(z.record(z.string(), z.number()).nullish(), () => ({
    type: ['object', 'null'],
    maxProperties: 0,
    description: 'known, and not done here',
  })),
}

/** A field that is known and not done here, but where it changes nothing. */
export const notDone = (param: string, why = 'is not done here'): HttpError =>
  badRequest(`${param} ${why}`, { param, code: 'unsupported_parameter' })

/** What is asked of each text of a request. */
export interface TextOptions {
  /** One for each text that is wanted of a prompt. */
  options: readonly GivenOptions[]
  /** Where the server drew the seed, nobody will ask for the same again. */
  cache?: 'bypass'
}

/**
 * The likeliest text, unless `temperature` says otherwise: so that the same request has the same answer, which can be kept, and made
 * again. What is drawn has a seed, which its receipt says; without one in the request it is drawn here.
 *
 * @param top - How many log probabilities are wanted for each token. Default: none, not even its own.
 * @throws {HttpError} 400: a field that is not done here; or several texts of which each would be the same.
 */
export function toTextOptions(request: GenerationRequest, maxTokens: number, top?: number): TextOptions {
  const { temperature, top_p: topP, seed: given, n, stop: stops } = request
  assertNeutral(request)
  const texts = typeof stops === 'string' ? [stops] : (stops ?? [])
  const common = {
    max_new_tokens: maxTokens,
    ...(texts.length > 0 && { stop: texts }),
    ...(top !== undefined && { top_logprobs: top }),
  }
  const count = n ?? 1
  if (!temperature) {
    if (count === 1) return { options: [common] }
    throw badRequest('without a temperature over 0 all of n would be the same', {
      param: 'n',
      code: 'unsupported_value',
    })
  }
  const seed = seedOf(given ?? drawSeed())
  const drawn = { ...common, temperature, ...(typeof topP === 'number' && topP < 1 && { top_p: topP }) }
  const options = Array.from({ length: count }, (_, index) => ({ ...drawn, seed: seedOf(seed + index) }))
  return { options, ...(given === undefined || given === null ? { cache: 'bypass' } : {}) }
}

function assertNeutral(request: GenerationRequest): void {
  for (const field of ['frequency_penalty', 'presence_penalty'] as const) {
    if (request[field]) throw notDone(field, 'is done nowhere here, but as 0')
  }
  if (Object.keys(request.logit_bias ?? {}).length > 0) throw notDone('logit_bias')
}

/** Of any whole number. */
const seedOf = (given: number): number => ((given % SEEDS) + SEEDS) % SEEDS

const drawSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
