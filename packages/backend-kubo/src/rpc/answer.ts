import type { IncomingMessage } from 'node:http'

import { RpcFailure } from './rpc-error.ts'
import type { StallClock } from './stall.ts'

// Of an error, or of anything that should have been one line.
const MAX_ERROR_BYTES = 64 * 1024
/** Of a message. Kubo has paths in its own, and what it says of them behind. */
const MOST_CHARACTERS = 4096

/** An answer that is no error, by its head. */
export async function answerOf(response: IncomingMessage, clock: StallClock): Promise<IncomingMessage> {
  const { statusCode: status = 0 } = response
  if (status === 200) return response
  if (status >= 300 && status < 400) {
    response.destroy()
    throw new RpcFailure(`HTTP ${status}: redirects are not followed`, { kind: 'foreign', status })
  }
  const text = await errorText(response, clock)
  const message = daemonMessage(text)
  if (message !== undefined) throw new RpcFailure(message, { kind: 'daemon', status })
  throw new RpcFailure(`HTTP ${status}${describe(response, text)}`, { kind: 'http', status })
}

/** Ends with the error that Kubo puts behind an answer it had begun. */
export async function* readBody(response: IncomingMessage, clock: StallClock): AsyncGenerator<Uint8Array> {
  const pieces = response[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next: IteratorResult<unknown> = await clock.wait(pieces.next())
      if (next.done) break
      if (next.value instanceof Uint8Array) yield next.value
    }
  } catch (cause) {
    if (cause instanceof RpcFailure) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RpcFailure(`the answer broke off (${why})`, { kind: 'lost', cause })
  }
  if (!response.complete) throw new RpcFailure('the answer broke off', { kind: 'lost' })
  const error = response.trailers['x-stream-error']
  if (error !== undefined && error !== '') throw new RpcFailure(oneLine(error), { kind: 'daemon', status: 500 })
}

async function errorText(response: IncomingMessage, clock: StallClock): Promise<string> {
  const pieces: Uint8Array[] = []
  let byteLength = 0
  for await (const piece of readBody(response, clock)) {
    byteLength += piece.length
    if (byteLength > MAX_ERROR_BYTES) break
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

/** Kubo's own error: `{"Message":"...","Code":0,"Type":"error"}`. */
function daemonMessage(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('Message' in value) || !('Type' in value)) return undefined
    return typeof value.Message === 'string' ? oneLine(value.Message) : undefined
  } catch {
    // Not Kubo's: a page of whatever is before it, of which the status tells.
    return undefined
  }
}

/** The first line of plain text; a page of HTML says nothing here. */
function describe(response: IncomingMessage, text: string): string {
  const type = response.headers['content-type'] ?? ''
  if (!type.startsWith('text/plain') || text.trim() === '') return type === '' ? '' : ` (${oneLine(type)})`
  return `: ${oneLine(text.trim().split('\n')[0] ?? '')}`
}

/** Neither long nor able to write over a terminal. */
export const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, MOST_CHARACTERS)
