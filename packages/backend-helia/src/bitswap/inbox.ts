import type { Stream } from '@libp2p/interface'
import { BackendError } from '@x/storage-core'

import { watchStall, type StallWatch } from '../stall-watch.ts'
import { createMessageReader } from './message-reader.ts'
import { decodeMessage, type Message } from './message.ts'

/** Whose streams are read. */
export interface Sender {
  readonly name: string
  readonly isGone: boolean
  /** Whether it was asked for blocks, so that what it sends may be long. */
  isExpected(): boolean
  onBytes(byteLength: number): void
  /** What it has open to us. Kept by the inbox. */
  readonly inbound: Inbound
}

interface Inbound {
  streams: number
  /** Bytes of messages that are not whole, or wait for their turn. */
  heldBytes: number
}

export interface InboxOptions<From> {
  stallTimeoutMs: number
  receive: (from: From, message: Message) => Promise<void>
  /** A stream was reset for this. */
  onRefused: (from: From, error: unknown) => void
}

/** Reads the streams that peers open to us: any number of messages on each, one after another. */
export interface Inbox<From> {
  read(stream: ReadStream, from: From): void
}

/** What is needed of a stream to read it. */
export type ReadStream = Pick<Stream, 'readStatus' | 'pause' | 'resume' | 'abort' | 'addEventListener'>

/** Of one peer, over all its connections. Kubo opens one for each answer. */
export const MAX_STREAMS = 32

/** Bytes that one peer makes us hold. */
const MAX_HELD_BYTES = 16 * 1024 * 1024

/** The same of a peer that was asked for nothing: wants alone are short. */
const MAX_UNASKED_BYTES = 1024 * 1024

/** Bytes of messages of all peers that are not whole: over it, some are given up. */
const MAX_ALL_PARTIAL_BYTES = 64 * 1024 * 1024

/** Bytes of messages of all peers, whole or not, over which streams are paused whose messages wait for their turn. */
const MUCH_HELD_BYTES = 32 * 1024 * 1024

/** Messages of one stream that wait for their turn before the stream is paused. */
const MAX_WAITING_MESSAGES = 4

interface Reading {
  from: Sender
  /** Bytes of a message that is not whole. */
  partialBytes: () => number
  /** When that message began: `Date.now()`. */
  since: number
  refuse: (error: Error) => void
}

export function createInbox<From extends Sender>(options: InboxOptions<From>): Inbox<From> {
  const { stallTimeoutMs, receive, onRefused } = options
  const all = new Set<Reading>()
  let allHeldBytes = 0
  let allPartialBytes = 0

  /** Resets what takes most room for longest, until there is enough: whoever sends next may well be honest. */
  function makeRoom(): void {
    if (allPartialBytes <= MAX_ALL_PARTIAL_BYTES) return
    const unfinished = [...all].filter((reading) => reading.partialBytes() > 0)
    const bytesOf = new Map<Sender, number>()
    for (const { from, partialBytes } of unfinished) bytesOf.set(from, (bytesOf.get(from) ?? 0) + partialBytes())
    const now = Date.now()
    const cost = ({ from, since }: Reading): number => (bytesOf.get(from) ?? 0) * (now - since + 1)
    for (const { from, refuse } of unfinished.toSorted((one, other) => cost(other) - cost(one))) {
      if (allPartialBytes <= MAX_ALL_PARTIAL_BYTES) return
      refuse(busy(`${from.name}: too many messages of all peers at once`))
    }
  }

  return {
    read(stream, from) {
      const { inbound } = from
      if (inbound.streams >= MAX_STREAMS) {
        stream.abort(new Error(`over ${MAX_STREAMS} streams at once`))
        return
      }
      inbound.streams += 1
      const reader = createMessageReader()
      let waiting: Uint8Array[] = []
      let held = { bytes: 0, partialBytes: 0 }
      let isReceiving = false
      /** Nothing more comes. What waits is received all the same. */
      let isClosed = false
      let watch: StallWatch | undefined
      const partialBytes = (): number => (isClosed ? 0 : reader.held)
      const reading: Reading = { from, partialBytes, since: 0, refuse }
      all.add(reading)

      /** After each change. Who is not read, or between two messages, is not late. */
      function settle(): void {
        const now = {
          bytes: waiting.reduce((sum, { length }) => sum + length, partialBytes()),
          partialBytes: partialBytes(),
        }
        inbound.heldBytes += now.bytes - held.bytes
        allHeldBytes += now.bytes - held.bytes
        allPartialBytes += now.partialBytes - held.partialBytes
        held = now
        if (now.partialBytes === 0 || stream.readStatus === 'paused') {
          watch?.stop()
          watch = undefined
        } else if (!watch) {
          reading.since = Date.now()
          watch = watchStall(stallTimeoutMs, () =>
            refuse(busy(`${from.name}: sent next to nothing of a message for ${stallTimeoutMs} ms`)),
          )
        }
      }

      function close(): void {
        if (isClosed) return
        isClosed = true
        inbound.streams -= 1
        all.delete(reading)
        settle()
      }

      function refuse(error: unknown): void {
        waiting = []
        close()
        settle()
        stream.abort(error instanceof Error ? error : new Error(String(error)))
        onRefused(from, error)
      }

      async function receiveWaiting(): Promise<void> {
        if (isReceiving) return
        isReceiving = true
        try {
          // `resume` hands over at once what came in the meantime.
          do {
            for (let [next] = waiting; next; [next] = waiting) {
              await receive(from, decodeMessage(next))
              waiting.shift()
              settle()
            }
            if (stream.readStatus === 'paused') stream.resume()
          } while (waiting.length > 0)
          settle()
        } catch (error) {
          refuse(error)
        } finally {
          isReceiving = false
        }
      }

      stream.addEventListener('message', ({ data }) => {
        if (isClosed) return
        if (from.isGone) {
          refuse(new Error('the peer is gone'))
          return
        }
        try {
          for (const { buffer, byteOffset, byteLength } of data instanceof Uint8Array ? [data] : data) {
            from.onBytes(byteLength)
            // Not a Buffer, whose `slice` is no copy.
            const whole = reader.push(new Uint8Array(buffer, byteOffset, byteLength))
            waiting.push(...whole)
            if (whole.length > 0) {
              // The next one has a time of its own.
              watch?.stop()
              watch = undefined
            } else watch?.onBytes(byteLength)
          }
          settle()
          const most = from.isExpected() ? MAX_HELD_BYTES : MAX_UNASKED_BYTES
          if (inbound.heldBytes > most) throw busy(`${from.name}: over ${most} bytes of messages at once`)
          makeRoom()
          if (isClosed) return
          const isMuch = inbound.heldBytes > MAX_HELD_BYTES / 2 || allHeldBytes > MUCH_HELD_BYTES
          const mustWait = waiting.length > MAX_WAITING_MESSAGES || (waiting.length > 0 && isMuch)
          if (mustWait && stream.readStatus === 'readable') stream.pause()
          void receiveWaiting()
        } catch (error) {
          refuse(error)
        }
      })
      stream.addEventListener('close', close)
    },
  }
}

const busy = (message: string): BackendError => new BackendError(message, { retryable: true })
