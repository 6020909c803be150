import { discard, parseRetryAfter } from '@x/storage-core/backend'

import type { Endpoint } from './endpoint.ts'
import { HubStatusError, toHubError, type Asked } from './hub-error.ts'
import { parseRateLimit } from './rate-limit.ts'
import type { RetryOptions } from './retry.ts'
import type { Send } from './send.ts'

/** What every request needs. */
export interface HubContext {
  endpoint: Endpoint
  hasToken: boolean
  send: Send
  retry: RetryOptions
  /** Milliseconds. */
  stallTimeoutMs: number
}

/** The error for an answer that is none; its body is not read. */
export function failureOf({ endpoint, hasToken }: HubContext, asked: Asked, response: Response): Error {
  discard(response)
  const { status, headers } = response
  const cause = new HubStatusError(
    status,
    headers.get('x-error-code') ?? undefined,
    parseRateLimit(status, headers.get('ratelimit')) ?? parseRetryAfter(headers.get('retry-after')),
  )
  return toHubError(endpoint.label, asked, cause, { message: headers.get('x-error-message') ?? '', hasToken })
}
