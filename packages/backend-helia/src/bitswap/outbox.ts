import type { Stream } from '@libp2p/interface'
import { BackendError, isStorageError } from '@x/storage-core'
import { startStallTimer } from '@x/storage-core/backend'
import { Uint8ArrayList } from 'uint8arraylist'

import { messageOf } from '../message-of.ts'
import { someTime } from '../timers.ts'

/** What is needed of a stream to write to it. */
export type WriteStream = Pick<
  Stream,
  | 'status'
  | 'writeStatus'
  | 'writeBufferLength'
  | 'send'
  | 'close'
  | 'abort'
  | 'addEventListener'
  | 'removeEventListener'
>

export interface OutboxOptions {
  /** Whose it is, for messages. */
  name: string
  open: (options: { signal: AbortSignal }) => Promise<WriteStream>
  /** Longest time in which the other side takes next to nothing. */
  stallTimeoutMs: number
}

/** Messages to one peer, one after another, on a stream that stays open while there are any. */
export interface Outbox {
  /**
   * Resolves when the next message may follow: little of this one waits in memory.
   *
   * @throws {BackendError} The stream could not be opened, was reset, or stalled.
   */
  write(pieces: readonly Uint8Array[]): Promise<void>
  close(): void
}

// Helia resets a stream that says nothing for 10 s.
const IDLE_MS = 4000

/** So much may wait in memory when `write` resolves. Bytes. */
const MOST_WAITING = 256 * 1024

/** Taking less than this in the stall time counts as nothing. Bytes. */
const LEAST_TAKEN = 16 * 1024

export function createOutbox({ name, open, stallTimeoutMs }: OutboxOptions): Outbox {
  const closing = new AbortController()
  let tail: Promise<unknown> = Promise.resolve()
  let stream: WriteStream | undefined
  let stopIdling: (() => void) | undefined

  async function current(): Promise<WriteStream> {
    if (stream?.status === 'open' && stream.writeStatus === 'writable') return stream
    stream = undefined
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(stallTimeoutMs)])
    const opened = await open({ signal })
    if (closing.signal.aborted) {
      opened.abort(new Error('the exchange was closed'))
      throw closing.signal.reason
    }
    // Answers come on streams of the other side.
    opened.addEventListener('message', () => opened.abort(new Error('bytes on a stream that is ours')))
    stream = opened
    return opened
  }

  async function send(pieces: readonly Uint8Array[]): Promise<void> {
    closing.signal.throwIfAborted()
    stopIdling?.()
    const used = await current()
    used.send(new Uint8ArrayList(...pieces))
    if (used.writeBufferLength > MOST_WAITING) await drained(used)
    stopIdling = someTime(() => {
      if (stream !== used) return
      stream = undefined
      used.close({ signal: AbortSignal.timeout(stallTimeoutMs) }).catch((error: Error) => used.abort(error))
    }, IDLE_MS)
  }

  async function drained(used: WriteStream): Promise<void> {
    let mark = used.writeBufferLength
    let deadline = Date.now() + stallTimeoutMs
    while (used.writeBufferLength > MOST_WAITING) {
      if (used.status !== 'open') throw new BackendError(`${name}: the stream is ${used.status}`, { retryable: true })
      if (mark - used.writeBufferLength >= LEAST_TAKEN) {
        mark = used.writeBufferLength
        deadline = Date.now() + stallTimeoutMs
      }
      if (Date.now() >= deadline) {
        const error = new BackendError(`${name}: took next to nothing for ${stallTimeoutMs} ms`, { retryable: true })
        used.abort(error)
        throw error
      }
      await nextSign(used, deadline - Date.now())
      // What the event lets the stream do, it does in the next turn.
      await Promise.resolve()
    }
  }

  return {
    write(pieces) {
      const written = tail.then(() => send(pieces))
      // Whoever wrote it is told, below; the next message may go all the same.
      tail = written.catch(() => undefined)
      return written.catch((cause: unknown) => {
        if (isStorageError(cause)) throw cause
        throw new BackendError(`${name}: ${messageOf(cause)}`, { cause, retryable: true })
      })
    },
    close() {
      closing.abort(new BackendError(`${name}: closed`, { retryable: false }))
      stopIdling?.()
      stream?.abort(new Error('the exchange was closed'))
      stream = undefined
    },
  }
}

const SIGNS = ['drain', 'idle', 'close'] as const

/** Something happened to the stream, or the time is over. */
function nextSign(stream: WriteStream, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      for (const sign of SIGNS) stream.removeEventListener(sign, done)
      resolve()
    }
    const cancel = startStallTimer(timeoutMs, done)
    for (const sign of SIGNS) stream.addEventListener(sign, done)
  })
}
