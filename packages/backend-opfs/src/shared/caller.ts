import { BackendError } from '@x/storage-core'

import { isMadeAgain } from './after-owner.ts'
import type { Channel } from './channel.ts'
import type { ToClient, ToOwner } from './messages.ts'
import type { Method } from './methods.ts'
import { receiveError, sendError } from './sent-error.ts'
import { fromWire, toWire, type Receiving, type Sending } from './wire.ts'

/** A call that goes to whoever owns the store. */
export interface Request {
  method: Method
  signal: AbortSignal | undefined
  /** All arguments but the options. Made anew for each owner that is asked. */
  required: () => unknown[]
  /** As `required`, with functions, without the signal. */
  options: () => object
  /** The options as they were given. */
  given: object
  /** Whether its source, if it has one, can be read from its beginning. */
  canReadSource: () => boolean
  /** Items that the owner may send ahead. */
  credit: number
  onItem: (item: unknown) => void
  /** Nothing is asked of it any more. */
  onEnd: () => void
}

/** What is under way between a client and the owner, whoever that is at the moment. */
export interface Caller {
  /** Resolves to the value of the answer. Of an iteration, when it has ended. */
  call(request: Request): Promise<unknown>
  /** So many more items may come. */
  more(request: Request, items: number): void
  /** Stops a call whose answer nobody waits for. */
  drop(request: Request): void
  /** There is an owner, from now on. What an earlier one had not answered is made again, or rejects. */
  link(channel: Channel<ToClient, ToOwner>): void
  /** The owner is gone. What is called waits for the next one. */
  unlink(): void
  /** There is no owner, and will be none: all calls reject. */
  fail(error: Error): void
  /** Stops all calls, and resolves when they have settled. Later ones reject. */
  close(): Promise<void>
}

interface Pending {
  request: Request
  answer: PromiseWithResolvers<unknown>
  /** How often an owner was asked. */
  tries: number
  functions: ((...args: never[]) => unknown)[]
  /** What functions of the caller threw, by number: it hears the same again. */
  failures: unknown[]
  /** Why it was stopped. `failed`: a function of the caller threw, so it rejects even where it was done. */
  stopped: { reason: unknown; failed: boolean } | undefined
}

// A call whose owners all die is what they die of.
const MAX_TRIES = 4

const refuse = (): never => {
  throw new TypeError('an owner sends no functions')
}
const NO_FUNCTIONS: Receiving = { call: refuse, tell: refuse }

/** @param onEvent - Hears what the store does by itself, while there is an owner. */
export function createCaller(name: string, onEvent?: (event: unknown) => void): Caller {
  const pending = new Map<number, Pending>()
  const idOf = new Map<Request, number>()
  let channel: Channel<ToClient, ToOwner> | undefined
  let isLeaving = false
  let failure: Error | undefined
  let count = 0

  const post = (message: ToOwner, transfer?: Transferable[]): void => channel?.post(message, transfer)

  /** What the caller sends stays its own: a copy of it goes. */
  const sendingOf = ({ functions }: Pending): Sending => ({
    keep: (task) => functions.push(task) - 1,
    transfer: channel?.transfers ? [] : undefined,
    gives: false,
  })

  function settle(id: number, finish: (call: Pending) => void): void {
    const call = pending.get(id)
    if (!call) return
    pending.delete(id)
    idOf.delete(call.request)
    call.request.onEnd()
    finish(call)
  }

  function stop(id: number, reason: unknown, failed = false): void {
    const call = pending.get(id)
    if (!call || call.stopped) return
    call.stopped = { reason, failed }
    if (channel && call.tries > 0) post({ type: 'abort', id })
    else settle(id, ({ answer }) => answer.reject(reason))
  }

  function send(id: number, call: Pending): void {
    const { request } = call
    call.tries += 1
    call.functions = []
    call.failures = []
    const sending = sendingOf(call)
    const { method, credit } = request
    try {
      const [required, options] = [toWire(request.required(), sending), toWire(request.options(), sending)]
      post({ type: 'call', id, method, required, options, credit }, sending.transfer)
    } catch (error) {
      // It cannot be cloned, or has no beginning.
      settle(id, ({ answer }) => answer.reject(error))
    }
  }

  function run(id: number, call: Pending, message: Extract<ToClient, { type: 'ask' | 'tell' }>): unknown {
    const task = call.functions[message.handle]
    const args = fromWire(message.args, NO_FUNCTIONS)
    if (!task || !Array.isArray(args)) throw new TypeError(`call ${id} has no function ${message.handle}`)
    return Reflect.apply(task, undefined, args)
  }

  async function answerAsk(id: number, call: Pending, message: Extract<ToClient, { type: 'ask' }>): Promise<void> {
    const from = channel
    const { ask } = message
    try {
      const value: unknown = await run(id, call, message)
      // An owner that is gone waits for nothing.
      if (from !== channel) return
      const sending = sendingOf(call)
      post({ type: 'answer', id, ask, value: toWire(value, sending) }, sending.transfer)
    } catch (error) {
      const failed = call.failures.push(error) - 1
      if (from === channel) post({ type: 'refuse', id, ask, error: sendError(error), failure: failed })
    }
  }

  function take(message: ToClient): void {
    if (message.type === 'welcome') return
    if (message.type === 'leaving') return void (isLeaving = true)
    if (message.type === 'event') return onEvent?.(fromWire(message.event, NO_FUNCTIONS))
    const { id } = message
    const call = pending.get(id)
    if (!call) return
    if (message.type === 'ask') return void answerAsk(id, call, message)
    if (message.type === 'tell') {
      try {
        run(id, call, message)
      } catch (error) {
        stop(id, error, true)
      }
    } else if (message.type === 'items') {
      for (const value of message.values) call.request.onItem(fromWire(value, NO_FUNCTIONS))
    }
    // Its next owner is asked.
    else if (message.type === 'again') call.tries = 0
    else if (message.type === 'return') {
      const value = fromWire(message.value, NO_FUNCTIONS)
      const { stopped } = call
      // What was done was not stopped.
      settle(id, ({ answer }) => (stopped?.failed ? answer.reject(stopped.reason) : answer.resolve(value)))
    } else {
      const { stopped, failures } = call
      const thrown =
        message.failure === undefined || !(message.failure in failures)
          ? receiveError(message.error)
          : failures[message.failure]
      settle(id, ({ answer }) => answer.reject(stopped ? stopped.reason : thrown))
    }
  }

  function makeAgain(id: number, call: Pending): void {
    const { method, given, canReadSource } = call.request
    if (call.stopped) {
      const { reason } = call.stopped
      return settle(id, ({ answer }) => answer.reject(reason))
    }
    const isSafe = call.tries === 0 || isMadeAgain(method, given, canReadSource)
    if (isSafe && call.tries < MAX_TRIES) return send(id, call)
    const why = isSafe
      ? `its owners are gone, ${call.tries} one after another`
      : 'it cannot be known whether it was done'
    const message = `${name}: ${method}: the tab that owned the store is gone, and ${why}`
    settle(id, ({ answer }) => answer.reject(new BackendError(message, { retryable: true })))
  }

  return {
    async call(request) {
      const { signal } = request
      signal?.throwIfAborted()
      if (failure) throw failure
      const id = (count += 1)
      const call: Pending = {
        request,
        answer: Promise.withResolvers(),
        tries: 0,
        functions: [],
        failures: [],
        stopped: undefined,
      }
      pending.set(id, call)
      idOf.set(request, id)
      const onAbort = (): void => stop(id, signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        if (channel && !isLeaving) send(id, call)
        return await call.answer.promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    more(request, items) {
      const id = idOf.get(request)
      if (id !== undefined && pending.get(id)?.tries) post({ type: 'more', id, items })
    },
    drop(request) {
      const id = idOf.get(request)
      if (id !== undefined) stop(id, undefined)
    },
    link(next) {
      channel?.close()
      channel = next
      isLeaving = false
      next.listen((message) => channel === next && take(message))
      for (const [id, call] of pending) makeAgain(id, call)
    },
    unlink() {
      channel?.close()
      channel = undefined
    },
    fail(error) {
      failure = error
      channel?.close()
      channel = undefined
      for (const id of pending.keys()) settle(id, ({ answer }) => answer.reject(error))
    },
    async close() {
      failure ??= new BackendError(`${name} is closed`, { retryable: false })
      const reason = failure
      const all = [...pending]
      for (const [id] of all) stop(id, reason)
      await Promise.allSettled(all.map(([, { answer }]) => answer.promise))
      channel?.close()
      channel = undefined
    },
  }
}
