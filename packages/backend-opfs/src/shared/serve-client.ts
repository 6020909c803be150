import { BackendError } from '@x/storage-core'

import type { OpfsStore } from '../opfs-store.ts'
import type { StoreEvent } from '../store-event.ts'
import { createBatch } from './batch.ts'
import type { Channel } from './channel.ts'
import type { ToClient, ToOwner } from './messages.ts'
import { perform } from './perform.ts'
import { receiveError, sendError } from './sent-error.ts'
import { fromWire, toWire, type Receiving } from './wire.ts'

/** One client of the owner. */
export interface Served {
  /** Says that calls are heard. */
  greet(): void
  /** The client hears of it. It does not answer. */
  tell(event: StoreEvent): void
  /** The client is gone: what it had begun is stopped. */
  drop(): void
  /**
   * Takes no more calls, and resolves when those have answered of which the client could not tell whether they were done. Nothing
   * is answered afterwards: the next owner does that.
   */
  leave(): Promise<void>
}

interface Running {
  controller: AbortController
  /** Items that may be sent. */
  credit: number
  /** There is more credit, or nobody wants more. */
  wake: () => void
  asks: Map<number, PromiseWithResolvers<unknown>>
  /** What a function of the client threw, and by which number the client knows it. */
  failures: WeakMap<object, number>
  over: Promise<void>
  /** Its outcome has to be told before the owner leaves. */
  mustTell: boolean
}

type Call = Extract<ToOwner, { type: 'call' }>

// The owner has no function that a client could call.
const keep = (): never => {
  throw new TypeError('a function cannot be sent to a client')
}

/** What a store gives is the caller's, its memory too. */
const wire = (value: unknown, transfer: Transferable[] | undefined): unknown =>
  toWire(value, { keep, transfer, gives: true })

/** Answers the calls of one client, all at once. */
export function serveClient(store: OpfsStore, channel: Channel<ToOwner, ToClient>): Served {
  const calls = new Map<number, Running>()
  let isLeaving = false
  /** It answers nothing that the next owner will. */
  let isMute = false
  let isGone = false
  let asked = 0

  function post(make: (transfer: Transferable[] | undefined) => ToClient): void {
    if (isGone) return
    const transfer = channel.transfers ? [] : undefined
    channel.post(make(transfer), transfer)
  }

  const answer: typeof post = (make) => {
    if (!isMute) post(make)
  }

  const receivingFor = (id: number, { asks }: Running): Receiving => ({
    tell: (handle, args) => post((transfer) => ({ type: 'tell', id, handle, args: wire(args, transfer) })),
    async call(handle, args) {
      const ask = (asked += 1)
      const asking = Promise.withResolvers<unknown>()
      asks.set(ask, asking)
      post((transfer) => ({ type: 'ask', id, ask, handle, args: wire(args, transfer) }))
      return asking.promise
    },
  })

  async function run({ id, method, required, options }: Call, running: Running): Promise<void> {
    const receiving = receivingFor(id, running)
    const { signal } = running.controller
    try {
      const result = perform(store, method, {
        required: fromWire(required, receiving),
        options: fromWire(options, receiving),
        signal,
      })
      if (result instanceof Promise) {
        const value: unknown = await result
        answer((transfer) => ({ type: 'return', id, value: wire(value, transfer) }))
        return
      }
      const batch = createBatch((values) =>
        answer((transfer) => ({ type: 'items', id, values: values.map((value) => wire(value, transfer)) })),
      )
      try {
        for await (const value of result) {
          while (running.credit === 0 && !signal.aborted) await awake(running)
          signal.throwIfAborted()
          running.credit -= 1
          batch.add(value)
        }
      } finally {
        batch.send()
      }
      answer(() => ({ type: 'return', id, value: undefined }))
    } catch (thrown) {
      const failure = typeof thrown === 'object' && thrown !== null ? running.failures.get(thrown) : undefined
      answer(() => ({ type: 'throw', id, error: sendError(thrown), failure }))
    } finally {
      calls.delete(id)
    }
  }

  function begin(call: Call): void {
    if (isLeaving) return post(() => ({ type: 'again', id: call.id }))
    const running: Running = {
      controller: new AbortController(),
      credit: call.credit,
      wake: () => undefined,
      asks: new Map(),
      failures: new WeakMap(),
      over: Promise.resolve(),
      mustTell: call.method.startsWith('names.') || call.method === 'gc',
    }
    calls.set(call.id, running)
    running.over = run(call, running)
  }

  function stop({ controller, asks, wake }: Running): void {
    controller.abort()
    wake()
    const gone = new BackendError('the tab that called is gone', { retryable: false })
    for (const { reject } of asks.values()) reject(gone)
  }

  channel.listen((message) => {
    if (message.type === 'call') return begin(message)
    const running = calls.get(message.id)
    if (!running) return
    if (message.type === 'abort') {
      running.controller.abort()
      running.wake()
    } else if (message.type === 'more') {
      running.credit += message.items
      running.wake()
    } else {
      const asking = running.asks.get(message.ask)
      running.asks.delete(message.ask)
      if (message.type === 'answer') return asking?.resolve(fromWire(message.value, receivingFor(message.id, running)))
      const error = receiveError(message.error)
      running.failures.set(error, message.failure)
      asking?.reject(error)
    }
  })
  return {
    greet: () => post(() => ({ type: 'welcome' })),
    // The memory in it is that of all clients.
    tell: (event) => post(() => ({ type: 'event', event: toWire(event, { keep, transfer: undefined, gives: false }) })),
    drop() {
      isGone = true
      for (const running of calls.values()) stop(running)
      channel.close()
    },
    async leave() {
      isLeaving = true
      post(() => ({ type: 'leaving' }))
      await Promise.all([...calls.values()].filter(({ mustTell }) => mustTell).map(({ over }) => over))
      isMute = true
    },
  }
}

async function awake(running: Running): Promise<void> {
  await new Promise<void>((resolve) => (running.wake = resolve))
}
