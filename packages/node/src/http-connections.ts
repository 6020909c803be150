import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'

import { linger } from './linger.ts'

/** The connections of a server, and what is asked over them. */
export interface HttpConnections {
  /** It has stopped listening: answers are to say that theirs is the last of its connection. */
  readonly isClosing: boolean
  /** @returns What aborts when the server ends before the answer does; `undefined` where no answer can be sent any more. */
  begin(incoming: IncomingMessage, outgoing: ServerResponse): AbortSignal | undefined
  /**
   * Stops listening, and waits for the answers to what has been asked and is still asked over connections that are open.
   *
   * @returns How many answers were broken off.
   */
  close(drainMs: number): Promise<number>
}

/** Why the signal of `begin` aborts. */
export const CLOSING: Error = new Error('the server is closing')

/**
 * How long a connection stays open that nothing is asked over: a request may be on its way, and over one that is closed it
 * would be lost.
 */
const LINGER_MS = 2000

/** How long what is broken off has to say so. */
const LAST_WORDS_MS = 200

interface Connection {
  /** What breaks off the answer to each request that has not got all of it. */
  open: Set<AbortController>
  /** Bytes that had come of it when the last answer ended: more are a request. */
  read: number
  /** What was asked last. */
  latest: IncomingMessage | undefined
  /** Its last answer was sent, and it is open only for the client to get it. */
  isLingering: boolean
}

export function trackConnections(server: Server): HttpConnections {
  const connections = new Map<Socket, Connection>()
  let isClosing = false
  let isSweeping = false
  let brokenOff = 0
  server.on('connection', (socket) => {
    const connection: Connection = { open: new Set(), read: 0, latest: undefined, isLingering: false }
    connections.set(socket, connection)
    socket.once('close', () => connections.delete(socket))
    lingerIfUnread(socket, connection)
  })

  // So Node ends a connection when the last answer over it was sent.
  const lingerIfUnread = (socket: Socket, connection: Connection): void => {
    const destroySoon = socket.destroySoon.bind(socket)
    socket.destroySoon = () => {
      if (connection.latest?.complete !== false) return destroySoon()
      connection.isLingering = true
      linger(socket, () => isClosing)
    }
  }
  // To `closeIdleConnections` of Node is idle what waits to be sent, once all of the answer was written.
  const endIfIdle = (socket: Socket, { open, read }: Connection): void => {
    if (open.size === 0 && socket.bytesRead === read) socket.destroy()
  }
  const answersOpen = (): AbortController[] => [...connections.values()].flatMap(({ open }) => [...open])

  return {
    get isClosing() {
      return isClosing
    },
    begin(incoming, outgoing) {
      const { socket } = incoming
      const breakOff = new AbortController()
      const connection = connections.get(socket)
      if (connection?.isLingering === true) return undefined
      if (connection) connection.latest = incoming
      connection?.open.add(breakOff)
      outgoing.once('close', () => {
        if (!connection) return
        connection.open.delete(breakOff)
        connection.read = socket.bytesRead
        if (isSweeping) endIfIdle(socket, connection)
      })
      return breakOff.signal
    },
    async close(drainMs) {
      if (drainMs > 0) await untilAllAccepted(server)
      isClosing = true
      // `close` of an HTTP server ends connections over which nothing is asked at that moment.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      if (drainMs > 0) {
        const lingerMs = Math.min(LINGER_MS, drainMs)
        await within(closed, lingerMs)
        await untilRead()
        isSweeping = true
        for (const [socket, connection] of connections) endIfIdle(socket, connection)
        await within(closed, drainMs - lingerMs)
      }
      const left = answersOpen().filter(({ signal }) => !signal.aborted)
      for (const each of left) each.abort(CLOSING)
      brokenOff += left.length
      if (drainMs > 0 && left.length > 0) await within(closed, LAST_WORDS_MS)
      server.closeAllConnections()
      await closed
      // Ends what looks after timeouts.
      server.close()
      return brokenOff
    },
  }
}

/** So many more connections are taken in before it stops listening, where they keep coming. */
const MOST_TURNS = 1000

/**
 * Waits until those who are connected are known: one is taken in at each turn of the loop, and whoever still stands in the system's queue when
 * that is closed loses what was asked.
 */
async function untilAllAccepted(server: Server): Promise<void> {
  let quiet = 0
  const heard = (): void => void (quiet = 0)
  server.on('connection', heard)
  for (let turn = 0; quiet < 2 && turn < MOST_TURNS; turn += 1) {
    quiet += 1
    await new Promise(setImmediate)
  }
  server.off('connection', heard)
}

/** Waits until what had come by now was read: timers run before it is, and late ones where there is much to do. */
const untilRead = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Waits for it, or as long as it may take. */
async function within(work: Promise<void>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}
