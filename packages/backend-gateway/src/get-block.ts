import { MAX_BLOCK_BYTES, verify, type CID } from '@x/cid'
import { BackendError } from '@x/storage-core'
import { discard, parseRetryAfter } from '@x/storage-core/backend'

import type { Endpoint } from './endpoint.ts'
import { HttpStatusError, toFailure } from './failure.ts'
import { noteFirstByte, type Health } from './health.ts'
import { readShortBody, type Pulse } from './read-body.ts'
import type { RequestOptions, Send } from './request.ts'
import type { AskOptions } from './upstream.ts'

/** What every request to one place needs. */
export interface Connection {
  endpoint: Endpoint
  send: Send
  health: Health
  stallTimeoutMs: number
}

/** An answer with an expected status, or the failure that the status means. */
export async function request(
  connection: Connection,
  path: string,
  cid: CID,
  { expected, ...options }: Omit<RequestOptions, 'stallTimeoutMs'> & { expected: readonly number[] },
): Promise<Response> {
  const { endpoint, send, health, stallTimeoutMs } = connection
  const started = performance.now()
  const response = await send(endpoint, path, { ...options, stallTimeoutMs })
  noteFirstByte(health, performance.now() - started)
  if (expected.includes(response.status)) return response
  discard(response)
  throw toFailure(endpoint.label, cid, response.status, parseRetryAfter(response.headers.get('retry-after')))
}

/** Refuses what a landing page or a portal answers to everything. */
export function assertNotAPage({ endpoint }: Connection, response: Response): void {
  const type = response.headers.get('content-type') ?? ''
  if (!/^text\/html\b/i.test(type)) return
  discard(response)
  const cause = new HttpStatusError(response.status)
  throw new BackendError(`${endpoint.label}: it answers with a page (${type})`, { cause, retryable: false })
}

/** One block, checked. */
export async function getBlock(
  connection: Connection,
  path: string,
  cid: CID,
  options: AskOptions & { headers?: Record<string, string> },
): Promise<Uint8Array> {
  const { signal, pulse } = options
  const response = await request(connection, path, cid, { ...options, expected: [200] })
  assertNotAPage(connection, response)
  const bytes = await readBlockBody(connection, response, cid, { signal, pulse })
  await verify(cid, bytes)
  pulse.blocks += 1
  return bytes
}

async function readBlockBody(
  { endpoint, health, stallTimeoutMs }: Connection,
  response: Response,
  cid: CID,
  { signal, pulse }: { signal: AbortSignal | undefined; pulse: Pulse },
): Promise<Uint8Array> {
  const { label } = endpoint
  const bytes = await readShortBody(response, MAX_BLOCK_BYTES, { label, pulse, signal, stallTimeoutMs, health })
  if (bytes) return bytes
  throw new BackendError(`${label}: more than ${MAX_BLOCK_BYTES} bytes for the block ${cid}`, { retryable: false })
}
