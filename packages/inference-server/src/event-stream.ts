import { linkedController, toBody } from '@x/storage-core/backend'

export const EVENT_STREAM_TYPE = 'text/event-stream; charset=utf-8'

/** So that what is between here and the client hands each event on when it comes. */
export const EVENT_STREAM_HEADERS = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' }

const DONE = '[DONE]'
const encoder = new TextEncoder()

const frameOf = (data: string): Uint8Array => encoder.encode(`data: ${data}\n\n`)

export interface EventStreamOptions {
  /** Of the client. */
  signal: AbortSignal
  /** How long the client may read nothing of what there is for it. 0: any time. */
  readTimeoutMs: number
  /** What is sent of an error, as the last event. */
  toErrorEvent: (error: unknown) => unknown
  /** Ends what the events are made of. */
  stop: (reason: unknown) => void
  /** Called once: when all was read, or when nobody reads it any more. */
  onEnd: (outcome: 'finished' | 'failed' | 'cancelled', error?: unknown) => void
}

/**
 * Server-sent events, each a value as JSON, made as they are read. Behind the last of them is `[DONE]`; where they end with an error,
 * that is the last, and nothing is behind it. There are no comments in between, which some clients fail on.
 */
export function toEventStream(events: AsyncGenerator, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { controller, release } = linkedController(options.signal)
  let stalled: Error | undefined
  const stall = (): void => {
    stalled = new Error(`the client read nothing for ${options.readTimeoutMs} ms`)
    controller.abort(stalled)
  }
  const body = toBody(timed(framesOf(events, options), options.readTimeoutMs, stall), options.stop, {
    signal: controller.signal,
    onEnd(outcome, error) {
      release()
      options.onEnd(outcome, error ?? stalled)
    },
  })
  return body
}

async function* framesOf(
  events: AsyncGenerator,
  { signal, toErrorEvent }: Pick<EventStreamOptions, 'signal' | 'toErrorEvent'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const event of events) yield frameOf(JSON.stringify(event))
  } catch (error) {
    // To who is gone nothing is said.
    signal.throwIfAborted()
    yield frameOf(JSON.stringify(toErrorEvent(error)))
    return
  }
  yield frameOf(DONE)
}

/** Says when what was given lies there for too long before the next is asked for. */
async function* timed<T>(
  items: AsyncGenerator<T, void, undefined>,
  timeoutMs: number,
  onTimeout: () => void,
): AsyncGenerator<T, void, undefined> {
  for await (const item of items) {
    const timer = timeoutMs === 0 ? undefined : setTimeout(onTimeout, timeoutMs)
    try {
      yield item
    } finally {
      clearTimeout(timer)
    }
  }
}
