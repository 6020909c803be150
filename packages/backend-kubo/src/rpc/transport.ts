import { randomUUID } from 'node:crypto'
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as httpsRequest } from 'node:https'

import type { AbortOptions } from '@x/storage-core'

import { answerOf, readBody } from './answer.ts'
import type { Endpoint } from './endpoint.ts'
import { RpcFailure } from './rpc-error.ts'
import { createStallClock, type StallClock } from './stall.ts'

type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface CallOptions extends AbortOptions {
  /** What a command line would have as arguments. */
  args?: readonly string[] | undefined
  query?: Query | undefined
  /**
   * The daemon may work for long before it says anything. When nothing came for the stall time it is then asked whether
   * it is still at it, and waited for as long as it says so. Default false.
   */
  patient?: boolean | undefined
  /** Must not be sent again, as over a connection that was kept open and turns out to be closed. Default false. */
  once?: boolean | undefined
}

export interface TransportOptions {
  endpoint: Endpoint
  headers: Readonly<Record<string, string>>
  stallTimeoutMs: number
}

/** One HTTP exchange: what is sent, and what comes back. */
export interface Exchange {
  /** Rejects when the daemon answers, or goes away, before it has read everything. */
  write(bytes: Uint8Array): Promise<void>
  end(bytes?: Uint8Array): void
  /** Once there is an answer that is no error. */
  answer(): Promise<IncomingMessage>
  /** The body of the answer, whole or with an error at its end. */
  read(answer: IncomingMessage): AsyncGenerator<Uint8Array>
  /** Breaks the connection, which stops the daemon's work. Does nothing once all has been read. */
  destroy(): void
}

export interface Transport {
  /** For messages; has no secret. */
  readonly address: string
  /** `body`: sent as it is, again if need be. `stream`: whoever called writes it. */
  open(
    command: string,
    options: CallOptions & { isFresh?: boolean },
    body?: { contentType: string; bytes?: Uint8Array; stream?: true },
  ): Exchange
  /** Sends, and resolves once there is an answer that is no error. */
  exchange(
    command: string,
    options: CallOptions,
    body?: { contentType: string; bytes: Uint8Array },
  ): Promise<{ exchange: Exchange; answer: IncomingMessage }>
  /** Whether the daemon runs a collection, or a deletion, that other calls wait for. */
  isCollecting(): Promise<boolean>
  close(): void
}

// An option that no command has; Kubo keeps it in its list of running commands.
const TAG = 'ipfs-accelerate-call'

const SOCKETS = 64

export function createTransport({ endpoint, headers, stallTimeoutMs }: TransportOptions): Transport {
  const secure = endpoint.protocol === 'https:'
  const agentOptions = { keepAlive: true, maxSockets: SOCKETS, maxFreeSockets: 16, scheduling: 'lifo' } as const
  const agent = secure ? new TlsAgent(agentOptions) : new Agent(agentOptions)
  // A connection for each, however many of the others are taken.
  const freshAgent = secure ? new TlsAgent() : new Agent()
  const request = secure ? httpsRequest : httpRequest

  /** @param isFresh - Not over a connection that was kept open, which the other side may have closed. */
  function start(
    command: string,
    { args = [], query = {}, patient }: CallOptions,
    { contentType, isFresh }: { contentType?: string | undefined; isFresh?: boolean | undefined } = {},
  ): { sent: ClientRequest; tag: string | undefined } {
    const search = new URLSearchParams()
    for (const arg of args) search.append('arg', arg)
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.append(key, String(value))
    const tag = patient ? randomUUID() : undefined
    if (tag !== undefined) search.append(TAG, tag)
    const isUpload = contentType !== undefined
    const sent = request({
      ...(endpoint.socketPath === undefined
        ? { host: endpoint.host, port: endpoint.port }
        : { socketPath: endpoint.socketPath }),
      method: 'POST',
      path: `${endpoint.basePath}/api/v0/${command}?${search.toString()}`,
      headers: { ...headers, ...(isUpload ? { 'content-type': contentType } : { 'content-length': '0' }) },
      agent: isFresh ? freshAgent : agent,
    })
    return { sent, tag }
  }

  const open: Transport['open'] = (command, options, body) => {
    const { signal, patient, isFresh } = options
    signal?.throwIfAborted()
    // What streams in cannot be sent again.
    const { sent, tag } = start(command, options, {
      contentType: body?.contentType,
      isFresh: isFresh === true || body?.stream === true,
    })
    if (body?.bytes) sent.end(body.bytes)
    else if (!body?.stream) sent.end()
    const clock = createStallClock(stallTimeoutMs, async () => {
      if (patient && tag !== undefined) {
        const running = await whatRuns()
        // One who may not ask still hears that it is there.
        const isActive = running === 'not told' || running.some((entry) => entry.includes(tag))
        // Before it has read everything, a daemon has no reason to be silent but a collection that it waits for.
        if (isActive && (sent.writableFinished || isCollection(running))) return
      }
      throw new RpcFailure(`nothing moved for ${stallTimeoutMs} ms`, { kind: 'stalled' })
    })
    return createExchange(sent, clock, signal)
  }

  const exchange: Transport['exchange'] = async (command, options, body) => {
    for (let isAgain = false; ; isAgain = true) {
      const opened = open(command, { ...options, isFresh: isAgain || options.once === true }, body)
      try {
        return { exchange: opened, answer: await opened.answer() }
      } catch (error) {
        opened.destroy()
        options.signal?.throwIfAborted()
        const wasStale = error instanceof StaleConnection
        if (!wasStale || isAgain) throw wasStale ? error.failure : error
      }
    }
  }

  let asking: Promise<Running> | undefined
  /** What the daemon is at work on: one question, however many calls want to know. */
  function whatRuns(): Promise<Running> {
    asking ??= askWhatRuns().finally(() => (asking = undefined))
    return asking
  }

  async function askWhatRuns(): Promise<Running> {
    const { sent } = start('diag/cmds', {}, { isFresh: true })
    sent.end()
    const clock = createStallClock(stallTimeoutMs, () => {
      throw new RpcFailure(`nothing moved for ${stallTimeoutMs} ms, and the daemon does not say why`, {
        kind: 'stalled',
      })
    })
    const asked = createExchange(sent, clock, undefined)
    try {
      return await runningCommands(asked.read(await asked.answer()))
    } catch (error) {
      if (error instanceof RpcFailure && error.kind === 'http' && error.status === 403) return 'not told'
      throw error
    } finally {
      asked.destroy()
    }
  }

  return {
    address: endpoint.text,
    open,
    exchange,
    isCollecting: async () => isCollection(await whatRuns()),
    close() {
      agent.destroy()
      freshAgent.destroy()
    },
  }
}

/** What a daemon says of each command that runs; or that this caller may not ask. */
type Running = readonly string[] | 'not told'

const isCollection = (running: Running): boolean =>
  running !== 'not told' && running.some((entry) => /"Command":"(?:repo\/gc|block\/rm)"/.test(entry))

const ENTRY = '{"StartTime"'

/** Of one entry, and of all that run. */
const MAX_ENTRY_BYTES = 1024 * 1024
const MAX_RUNNING_BYTES = 16 * 1024 * 1024
/** Of the list, more than an hour of a busy daemon's commands. */
const MAX_LIST_BYTES = 1024 * 1024 * 1024

/** The entries of `diag/cmds` that run. A daemon may remember many that do not, so the list is not held as a whole. */
async function runningCommands(pieces: AsyncIterable<Uint8Array>): Promise<string[]> {
  const running: string[] = []
  let [rest, listBytes, runningBytes] = ['', 0, 0]
  const take = (entry: string): void => {
    if (!entry.includes('"Active":true')) return
    running.push(entry)
    runningBytes += entry.length
  }
  for await (const piece of pieces) {
    listBytes += piece.length
    rest += Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('latin1')
    const entries = rest.split(ENTRY)
    rest = entries.pop() ?? ''
    for (const entry of entries) take(entry)
    if (rest.length > MAX_ENTRY_BYTES || runningBytes > MAX_RUNNING_BYTES || listBytes > MAX_LIST_BYTES) {
      throw new RpcFailure('its list of what it does has no end', { kind: 'foreign' })
    }
  }
  take(rest)
  return running
}

/** A connection that was kept open, and that the other side had closed meanwhile. */
class StaleConnection extends Error {
  readonly failure: RpcFailure
  constructor(failure: RpcFailure) {
    super(failure.message, { cause: failure })
    this.failure = failure
  }
}

function createExchange(sent: ClientRequest, clock: StallClock, signal: AbortSignal | undefined): Exchange {
  const failed = Promise.withResolvers<never>()
  // It may fail while nobody waits: who does so next hears of it.
  failed.promise.catch(() => undefined)
  const answered = Promise.withResolvers<IncomingMessage>()
  const connected = Promise.withResolvers<void>()
  let isAnswered = false

  const onAbort = (): void => {
    failed.reject(signal?.reason)
    sent.destroy()
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  sent.once('close', () => {
    signal?.removeEventListener('abort', onAbort)
    if (!isAnswered) failed.reject(new RpcFailure('the connection was closed', { kind: 'lost' }))
  })
  // Not counted as waiting for the daemon: all connections may be taken by other calls.
  sent.once('socket', () => connected.resolve())
  sent.once('response', (response: IncomingMessage) => {
    isAnswered = true
    answered.resolve(response)
  })
  sent.on('error', (cause: NodeJS.ErrnoException) => {
    const failure = toFailure(cause)
    failed.reject(!isAnswered && sent.reusedSocket && failure.kind === 'lost' ? new StaleConnection(failure) : failure)
  })

  let checked: Promise<IncomingMessage> | undefined
  const answer = async (): Promise<IncomingMessage> => {
    await Promise.race([connected.promise, failed.promise])
    const response = await clock.wait(Promise.race([answered.promise, failed.promise]))
    return answerOf(response, clock)
  }

  return {
    async write(bytes) {
      if (isAnswered) {
        // Whatever it says, it is no answer to all of this.
        await (checked ??= answer())
        throw new RpcFailure('the daemon answered before it had read everything', { kind: 'foreign' })
      }
      await Promise.race([connected.promise, failed.promise])
      const written = Promise.withResolvers<void>()
      sent.write(bytes, (error) => (error ? written.reject(toFailure(error)) : written.resolve()))
      try {
        await clock.wait(Promise.race([written.promise, failed.promise, answered.promise]))
      } catch (error) {
        signal?.throwIfAborted()
        // What the daemon said before it hung up tells more.
        if (isAnswered) await (checked ??= answer())
        throw error instanceof StaleConnection ? error.failure : error
      }
    },
    end: (bytes) => {
      if (bytes) sent.end(bytes)
      else sent.end()
    },
    answer: async () => {
      try {
        return await (checked ??= answer())
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      }
    },
    async *read(response) {
      let isWhole = false
      try {
        yield* readBody(response, clock)
        isWhole = true
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      } finally {
        if (!isWhole) sent.destroy()
      }
    },
    destroy: () => {
      if (!sent.destroyed) sent.destroy()
    },
  }
}

const REFUSED = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

function toFailure(cause: NodeJS.ErrnoException): RpcFailure {
  const code = cause.code ?? ''
  if (REFUSED.has(code)) return new RpcFailure(`no daemon answers (${code})`, { kind: 'refused', cause })
  if (code === 'ETIMEDOUT') return new RpcFailure('no connection was made (ETIMEDOUT)', { kind: 'refused', cause })
  if (code.startsWith('HPE_')) return new RpcFailure(`not HTTP (${code})`, { kind: 'foreign', cause })
  if (code === 'EACCES' || code.startsWith('ERR_') || code.includes('CERT')) {
    return new RpcFailure(cause.message, { kind: 'foreign', cause })
  }
  return new RpcFailure(`the connection broke (${code || cause.message})`, { kind: 'lost', cause })
}
