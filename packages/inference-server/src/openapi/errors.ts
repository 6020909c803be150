import { z, type ZodType } from 'zod'

import type { Dialect } from '../dialect.ts'

/** What the errors of each API look like. */
export const ERROR_SCHEMAS: Readonly<Record<Dialect, ZodType>> = {
  openai: z.object({
    error: z.object({
      message: z.string(),
      type: z.enum([
        'invalid_request_error',
        'authentication_error',
        'not_found_error',
        'permission_error',
        'rate_limit_error',
        'server_error',
      ]),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  }),
  tei: z.object({ error: z.string(), error_type: z.enum(['Empty', 'Validation', 'Overloaded', 'Backend']) }),
  oip: z.object({ error: z.string() }),
}

/** Why a status is answered. */
export const REASONS: Readonly<Record<number, string>> = {
  400: 'the request is not what is taken here',
  401: 'no token, or one that is not known',
  403: 'not allowed: the token is not for it, the page is from elsewhere, or it is switched off',
  404: 'no such model or route',
  408: 'the body, or the reader, was too slow',
  413: 'the body is too long',
  415: 'the body is not JSON, or has a content-encoding',
  422: 'the request is not what is taken here',
  424: 'the model failed',
  429: 'too many requests at a time, or too often: again after `retry-after`',
  500: 'the server or the model failed',
  504: 'it took too long',
  507: 'the model is larger than what may be used',
}

const OF_BODY = [400, 404, 408, 413, 415, 500, 504, 507]

/** The statuses of the errors of a route. */
export function errorStatuses(dialect: Dialect, scope: string, hasBody: boolean, others: readonly number[]): number[] {
  const guarded = scope === 'none' ? [403] : [401, 403, 429]
  const all = [...guarded, 500, ...others, ...(hasBody ? OF_BODY : [])]
  if (dialect !== 'tei') return toSorted(all)
  // What is wrong with a body has two statuses there, and what a model fails at one of its own.
  return toSorted(all.flatMap((status) => (status === 500 ? [424] : status === 400 ? [400, 422] : [status])))
}

const toSorted = (statuses: readonly number[]): number[] => [...new Set(statuses)].toSorted((a, b) => a - b)
