import { BackendError } from '@x/storage-core'
import { discard, readWholeBody } from '@x/storage-core/backend'

import { failureOf, type HubContext } from './context.ts'
import type { Asked } from './hub-error.ts'
import { createRetry } from './retry.ts'

export interface Json {
  value: unknown
  headers: Headers
}

const MAX_BYTES = 64 * 2 ** 20

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Asks the hub's API, again where that may help.
 *
 * @throws {BackendError} Also for an answer of 200 that is no JSON, such as a page that asks to log in.
 */
export async function readJson(
  context: HubContext,
  url: URL,
  asked: Asked,
  signal: AbortSignal | undefined,
): Promise<Json> {
  const retry = createRetry(context.retry)
  for (;;) {
    try {
      return await readOnce(context, url, asked, signal)
    } catch (error) {
      await retry.next(error, signal)
    }
  }
}

async function readOnce(context: HubContext, url: URL, asked: Asked, signal: AbortSignal | undefined): Promise<Json> {
  const { endpoint, send, stallTimeoutMs } = context
  const { label } = endpoint
  const { response } = await send(url, {
    headersFor: () => ({ accept: 'application/json' }),
    stallTimeoutMs,
    signal,
  })
  if (response.status !== 200) throw failureOf(context, asked, response)
  const type = response.headers.get('content-type') ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(type)) {
    discard(response)
    throw noJson(label, asked, `it answers with ${JSON.stringify(type.slice(0, 80))}`)
  }
  const bytes = await readWholeBody(response, MAX_BYTES, { label, signal, stallTimeoutMs })
  try {
    return { value: JSON.parse(decoder.decode(bytes)), headers: response.headers }
  } catch (cause) {
    throw noJson(label, asked, 'the answer cannot be parsed', cause)
  }
}

const noJson = (label: string, { repo }: Asked, why: string, cause?: unknown): BackendError =>
  new BackendError(`${label}: no JSON for ${repo}: ${why}; is it a hub?`, { cause, retryable: false })
