import { once } from 'node:events'
import {
  createServer,
  request,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** Where in a body: a number of bytes, or a part of the length that its Content-Length announces. */
type Place = { atByte: number } | { atFraction: number }

/** What goes wrong with one request. Bodies are counted without their HTTP framing; a place behind the end is never hit. */
export type Fault =
  /** Nothing. */
  | { type: 'none' }
  /** The request is passed on once this resolves, and from then on nothing happens to it. */
  | { type: 'hold'; until: Promise<void> }
  /** The request is taken whole; nothing is ever answered, nor the target asked. */
  | { type: 'hang' }
  /** The connection is reset before any answer; the target is not asked. */
  | { type: 'drop' }
  /** Answered by the proxy itself; the target is not asked. */
  | { type: 'status'; status: number; headers?: Readonly<Record<string, string>>; body?: string }
  /** The answer's body stops at the place, and the connection is reset. What was sent just before may be lost with it. */
  | ({ type: 'reset' } & Place)
  /** The answer's body stops at the place, and the connection stays open. */
  | ({ type: 'stall' } & Place)
  /**
   * The answer's body ends at the place. `cut`: the connection is closed before the length that was announced, or the
   * last chunk. `valid`: nothing in HTTP shows it: the shorter length is announced, or the last chunk comes early.
   */
  | ({ type: 'truncate'; framing: 'cut' | 'valid' } & Place)
  /** All bits of one byte of the answer's body are turned. */
  | ({ type: 'flip' } & Place)
  /** The answer's body comes at this speed, from 1 byte a second. */
  | { type: 'slow'; bytesPerSecond: number }
  /** Passes this many bytes of the request's body on, then resets both connections. */
  | { type: 'reset-upload'; atByte: number }
  /** Passes this many bytes of the request's body on, then reads no more; the answer, if any, is passed on. */
  | { type: 'stall-upload'; atByte: number }

export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** 0 for the first since the proxy was started. */
  readonly index: number
  /** Bytes of its body that came. */
  bytesReceived: number
  /** Bytes of the answer's body that were handed to the system. */
  bytesSent: number
  /** The status that was answered; `undefined` before. */
  status: number | undefined
  /** Whether the fault has happened to it. */
  hit: boolean
  /** Whether its connection was closed before the end of the answer, by either side. */
  brokenOff: boolean
  /** Whether nothing more comes of it: its answer is whole, or was broken off. */
  isOver: boolean
}

/** Says which fault a request gets. */
export type ChooseFault = (request: SeenRequest) => Fault

export interface FaultyProxy {
  /** `http://127.0.0.1:PORT`, without a slash at its end. */
  readonly url: string
  /** For the requests that come from now on. */
  fault: Fault | ChooseFault
  /** Every request so far, in order of their coming. */
  readonly requests: readonly SeenRequest[]
  /** How many connections were accepted. */
  readonly connections: number
  /** Of all requests' bodies. */
  readonly bytesReceived: number
  /** Of all answers' bodies. */
  readonly bytesSent: number
  /** How many requests a fault has happened to. */
  readonly hits: number
  /** Closes the port and resets every connection: from now on they are refused. */
  refuse(): Promise<void>
  /** Opens the same port again after `refuse`. */
  accept(): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The first `count` requests that match get the fault, the others none. */
export function firstFew(
  count: number,
  fault: Fault,
  matches: (request: SeenRequest) => boolean = () => true,
): ChooseFault {
  let left = count
  return (seen) => (matches(seen) && left-- > 0 ? fault : { type: 'none' })
}

/** A URL on loopback where nothing listens. */
export async function closedUrl(): Promise<string> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = addressOf(server.address())
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

/**
 * An HTTP/1.1 proxy in front of one server, on a free loopback port, that passes requests and answers on as they stream
 * (chunks, trailers, keep-alive; no upgrades) but for the fault. A caller that goes away is passed on as well.
 *
 * @param options.target - `http://host:port`; a path in it is put before that of each request.
 * @param options.fault - Default: none.
 */
export async function startFaultyProxy({
  target,
  fault = { type: 'none' },
}: {
  target: string | URL
  fault?: Fault | ChooseFault | undefined
}): Promise<FaultyProxy> {
  const proxy = new LoopbackProxy(new URL(target), fault)
  await proxy.accept()
  return proxy
}

class LoopbackProxy implements FaultyProxy {
  fault: Fault | ChooseFault
  readonly requests: SeenRequest[] = []
  connections = 0
  readonly #target: URL
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 })
  #port = 0

  constructor(target: URL, fault: Fault | ChooseFault) {
    if (target.protocol !== 'http:') throw new Error(`the target of a faulty proxy is http:, not ${target.protocol}`)
    this.#target = target
    this.fault = fault
    this.#server.on('connection', (socket) => {
      this.connections += 1
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      // The caller gave up; `close` follows.
      socket.on('error', () => {})
    })
    this.#server.on('request', (incoming, outgoing) => this.#serve(incoming, outgoing))
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get bytesReceived(): number {
    return this.requests.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0)
  }

  get bytesSent(): number {
    return this.requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0)
  }

  get hits(): number {
    return this.requests.filter(({ hit }) => hit).length
  }

  async accept(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = addressOf(this.#server.address()).port
  }

  async refuse(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await once(this.#server, 'close')
  }

  async close(): Promise<void> {
    await this.refuse()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = incoming
    const index = this.requests.length
    const seen: SeenRequest = {
      method,
      url,
      headers,
      index,
      bytesReceived: 0,
      bytesSent: 0,
      status: undefined,
      hit: false,
      brokenOff: false,
      isOver: false,
    }
    this.requests.push(seen)
    outgoing.once('close', () => {
      seen.isOver = true
      seen.brokenOff = !outgoing.writableFinished
    })
    const fault = typeof this.fault === 'function' ? this.fault(seen) : this.fault
    switch (fault.type) {
      case 'hang':
        seen.hit = true
        discard(incoming, seen)
        return
      case 'hold':
        seen.hit = true
        void fault.until.then(() => this.#forward(incoming, outgoing, { type: 'none' }, seen))
        return
      case 'drop':
        seen.hit = true
        incoming.socket.resetAndDestroy()
        return
      case 'status': {
        seen.hit = true
        const body = Buffer.from(fault.body ?? '')
        seen.status = fault.status
        if (method !== 'HEAD') seen.bytesSent = body.length
        discard(incoming, seen)
        outgoing.writeHead(fault.status, { 'content-length': body.length, ...fault.headers }).end(body)
        return
      }
      default:
        this.#forward(incoming, outgoing, fault, seen)
    }
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault, seen: SeenRequest): void {
    // A caller may give up while its request is held.
    if (outgoing.destroyed) return
    const upstream = request(this.#target, {
      method: seen.method,
      path: this.#target.pathname.replace(/\/$/, '') + seen.url,
      headers: passedOn(incoming.rawHeaders),
      // A connection for each request: none is reused that the target is about to close.
      agent: false,
    })
    let over = false
    const giveUp = (): void => {
      if (over) return
      over = true
      upstream.destroy()
      incoming.socket.resetAndDestroy()
    }
    outgoing.once('close', () => {
      over = true
      upstream.destroy()
    })
    // Once it has answered, the answer says how it went.
    let answered = false
    upstream.on('error', () => {
      if (!answered) giveUp()
    })
    upstream.once('response', (answer) => {
      answered = true
      answer.on('error', giveUp)
      respond(answer, outgoing, fault, seen).catch((error: unknown) => {
        giveUp()
        // Either side has gone, but for a mistake in the test, which must not be overlooked.
        if (error instanceof MisplacedFaultError) throw error
      })
    })
    upload(incoming, upstream, fault, seen).catch((error: unknown) => {
      // Either side has gone; if the target has answered before it read everything, the answer still counts.
      if (error instanceof PlannedReset || !answered) giveUp()
    })
  }
}

/** Thrown where no test can catch it, so that the run fails. */
class MisplacedFaultError extends Error {
  override readonly name = 'MisplacedFaultError'
}

class PlannedReset extends Error {}

async function upload(
  incoming: IncomingMessage,
  upstream: ClientRequest,
  fault: Fault,
  seen: SeenRequest,
): Promise<void> {
  const place = fault.type === 'reset-upload' || fault.type === 'stall-upload' ? fault.atByte : Infinity
  let at = 0
  const hit = (): boolean => {
    if (at < place) return false
    seen.hit = true
    if (fault.type === 'reset-upload') throw new PlannedReset()
    return true
  }
  if (hit()) return
  for await (const chunk of bytesOf(incoming)) {
    const goes = chunk.subarray(0, place - at)
    seen.bytesReceived += chunk.length
    at += goes.length
    if (goes.length > 0) await write(upstream, goes)
    if (hit()) return
  }
  upstream.addTrailers(pairs(incoming.rawTrailers))
  upstream.end()
}

async function respond(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault,
  seen: SeenRequest,
): Promise<void> {
  const { statusCode = 502, statusMessage, rawHeaders } = answer
  const announced = answer.headers['content-length']
  const length = announced === undefined ? undefined : Number(announced)
  const empty = seen.method === 'HEAD' || length === 0 || statusCode === 204 || statusCode === 304
  const place = empty ? Infinity : placeOf(fault, length)
  const shorter = fault.type === 'truncate' && fault.framing === 'valid' && place < (length ?? 0)
  seen.status = statusCode
  outgoing.writeHead(statusCode, statusMessage, passedOn(rawHeaders, shorter ? String(place) : undefined))
  outgoing.flushHeaders()
  if (fault.type === 'slow' && !empty) seen.hit = true
  const stops = fault.type === 'reset' || fault.type === 'stall' || fault.type === 'truncate'
  const end = stops ? place : Infinity
  let at = 0
  if (end > 0) {
    for await (const chunk of fault.type === 'slow' ? slowly(answer, fault, outgoing) : bytesOf(answer)) {
      const goes = Buffer.from(chunk.subarray(0, end - at))
      const turned = fault.type === 'flip' ? goes[place - at] : undefined
      if (turned !== undefined) {
        goes[place - at] = ~turned
        seen.hit = true
      }
      await write(outgoing, goes)
      seen.bytesSent += goes.length
      at += goes.length
      if (at >= end) break
    }
  }
  if (at < end) {
    outgoing.addTrailers(pairs(answer.rawTrailers))
    outgoing.end()
    return
  }
  seen.hit = true
  if (fault.type === 'reset') outgoing.socket?.resetAndDestroy()
  else if (fault.type === 'truncate' && fault.framing === 'cut') outgoing.socket?.destroySoon()
  else if (fault.type === 'truncate') outgoing.end()
}

function placeOf(fault: Fault, length: number | undefined): number {
  if (fault.type === 'reset-upload' || fault.type === 'stall-upload') return Infinity
  if ('atByte' in fault) return fault.atByte
  if (!('atFraction' in fault)) return Infinity
  if (length === undefined) throw new MisplacedFaultError('the answer announces no length: place the fault by atByte')
  return Math.floor(length * fault.atFraction)
}

/** A message's body. Leaving it early leaves the message as it is. */
function bytesOf(message: IncomingMessage): AsyncIterable<Buffer> {
  return message.iterator({ destroyOnReturn: false })
}

async function* slowly(
  answer: IncomingMessage,
  { bytesPerSecond }: { bytesPerSecond: number },
  outgoing: ServerResponse,
): AsyncGenerator<Buffer> {
  const turn = Math.max(1, Math.floor(bytesPerSecond / 50))
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  for await (const chunk of bytesOf(answer)) {
    for (let at = 0; at < chunk.length; at += turn) {
      yield chunk.subarray(at, at + turn)
      await wait((turn * 1000) / bytesPerSecond, undefined, { signal: gone.signal })
    }
  }
}

/** Resolves when the system has taken the bytes. */
function write(message: OutgoingMessage, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error('the connection was closed'))
    if (message.destroyed || message.closed) return onClose()
    message.once('close', onClose)
    message.write(bytes, (error) => {
      message.off('close', onClose)
      if (error) reject(error)
      else resolve()
    })
  })
}

function discard(incoming: IncomingMessage, seen: SeenRequest): void {
  incoming.on('data', (chunk: Buffer) => {
    seen.bytesReceived += chunk.length
  })
}

// Of one connection alone; and Node answers `Expect` itself.
const NOT_PASSED_ON = new Set(['connection', 'keep-alive', 'proxy-connection', 'expect'])

function passedOn(raw: readonly string[], contentLength?: string): string[] {
  return pairs(raw)
    .filter(([name]) => !NOT_PASSED_ON.has(name.toLowerCase()))
    .flatMap(([name, value]) => [
      name,
      contentLength !== undefined && name.toLowerCase() === 'content-length' ? contentLength : value,
    ])
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []))
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return address
}
