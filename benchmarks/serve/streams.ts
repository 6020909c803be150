// What a server holds while many texts are streamed at once, beside connections that are idle, and how fast they come.
import { createEngine } from '@x/infer-node'
import { openModel, openStorage } from '@x/node'
import { Pool, request } from 'undici'

import { runJob } from '../harness/job.ts'
import { memoryOf } from '../infer/callers.ts'
import { openIdle, openOf, socketsOf, untilSockets } from './idle.ts'
import { ourServer, type OurServer } from './our-server.ts'
import { startServerProcess } from './server-process.ts'

interface AskedOfStreams extends OurServer {
  idle: number
  streams: number
  /** Of each text. */
  tokens: number
}

/** A temperature at which hardly two texts are the same. */
const TEMPERATURE = 2
const MESSAGES = [{ role: 'user' as const, content: 'the quick' }]
/** How long all streams may take to begin. */
const BEGUN_MS = 120_000

await runJob<AskedOfStreams>(async (asked) => {
  const { tokens } = asked
  const expected = await textsOfLibrary(asked)
  const server = await startServerProcess(ourServer(asked))
  const heldMB = (): number => memoryOf(server.pid).privateMB
  try {
    const none = socketsOf(server.pid)
    await streamAll(server.url, { expected, tokens, whenAllBegan: async () => undefined })
    await untilSockets(server.pid, none)
    const beforeMB = heldMB()
    const idle = await openIdle(server.url, asked.idle)
    const idleMB = heldMB()
    let busy = { busyMB: Number.NaN, open: Number.NaN, streaming: Number.NaN }
    const all = await streamAll(server.url, {
      expected,
      tokens,
      async whenAllBegan() {
        const busyMB = heldMB()
        busy = { busyMB, open: openOf(idle), streaming: await inFlight(server.url) }
      },
    })
    for (const socket of idle) socket.destroy()
    await untilSockets(server.pid, none)
    const afterMB = heldMB()
    const { seconds, pieces } = all
    const firsts = all.firsts.toSorted((a, b) => a - b)
    const at = (share: number): number => firsts[Math.floor(firsts.length * share)] ?? Number.NaN
    return {
      seconds,
      evidence: { texts: 'those of the library' },
      figures: {
        beforeMB,
        idleMB,
        ...busy,
        afterMB,
        moreMB: Math.max(idleMB, busy.busyMB) - beforeMB,
        perSecond: pieces / seconds,
        firstP50: at(0.5),
        firstP99: at(0.99),
      },
    }
  } finally {
    await server.stop()
  }
})

/** What the engine alone makes of each seed. @throws {Error} All are the same, which would tell little. */
async function textsOfLibrary({ store, model, threads, streams, tokens }: AskedOfStreams): Promise<string[]> {
  const storage = await openStorage({ directory: store, environment: {}, create: false })
  const opened = await openModel(async () => storage, `bench/${model}`)
  const engine = createEngine({ threads })
  const texts: string[] = []
  for (let seed = 0; seed < streams; seed += 1) {
    let text = ''
    await engine.run('text-generation', opened, MESSAGES, {
      options: { max_new_tokens: tokens, temperature: TEMPERATURE, seed },
      onText: (piece) => (text += piece),
    })
    texts.push(text)
  }
  await engine.close()
  await storage.close()
  if (new Set(texts).size < 2) throw new Error('all texts are the same')
  return texts
}

interface Streaming {
  /** The text of each stream. */
  expected: readonly string[]
  tokens: number
  /** Called once, when each stream has begun; none is read further than to its first piece until it resolves. */
  whenAllBegan: () => Promise<void>
}

interface Streamed {
  seconds: number
  pieces: number
  /** From the question to the first piece, in seconds. */
  firsts: readonly number[]
}

/** Asks for all texts at once. @throws {Error} One is another than the library's. */
async function streamAll(url: string, { expected, tokens, whenAllBegan }: Streaming): Promise<Streamed> {
  const pool = new Pool(url, { connections: expected.length, pipelining: 1 })
  const barrier = createBarrier(expected.length, whenAllBegan)
  const firsts: number[] = []
  let pieces = 0
  const start = performance.now()
  const stream = async (seed: number): Promise<void> => {
    const asked = { messages: MESSAGES, stream: true, temperature: TEMPERATURE, max_tokens: tokens, seed }
    const { statusCode, body } = await pool.request({
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    })
    if (statusCode !== 200) throw new Error(`${statusCode}: ${await body.text()}`)
    barrier.begin()
    let text = ''
    for await (const piece of piecesOf(body)) {
      if (text === '') firsts.push((performance.now() - start) / 1000)
      text += piece
      pieces += 1
      await barrier.all
    }
    if (text !== expected[seed]) throw new Error(`stream ${seed} is not the text of the library: ${text}`)
  }
  try {
    await Promise.all(Array.from(expected.keys(), stream))
  } finally {
    barrier.stop()
    await pool.destroy()
  }
  return { seconds: (performance.now() - start) / 1000, pieces, firsts }
}

interface Barrier {
  begin: () => void
  /** Resolves when all have begun, and what is done then is done. */
  all: Promise<void>
  stop: () => void
}

function createBarrier(count: number, then: () => Promise<void>): Barrier {
  const { promise: all, resolve, reject } = Promise.withResolvers<void>()
  // It may be that nobody waits for it when it fails.
  all.catch(() => undefined)
  let begun = 0
  const timer = setTimeout(() => reject(new Error(`only ${begun} of ${count} streams ever began`)), BEGUN_MS)
  return {
    begin() {
      begun += 1
      if (begun === count) then().then(resolve, reject)
    },
    all,
    stop: () => clearTimeout(timer),
  }
}

/** @throws {Error} An event of an error, or a stream that breaks off. */
async function* piecesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const frames = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = frames.pop() ?? ''
    for (const frame of frames) {
      const data = frame.slice('data: '.length)
      if (data === '[DONE]') return
      const event: { error?: unknown; choices?: readonly { delta: { content?: string } }[] } = JSON.parse(data)
      if (event.error !== undefined) throw new Error(`a stream ended with ${data}`)
      const piece = event.choices?.[0]?.delta.content
      if (piece) yield piece
    }
  }
  throw new Error('a stream broke off')
}

/** Requests that the server has not answered to their end, that for this among them or not. */
async function inFlight(url: string): Promise<number> {
  // Over a connection that is closed then.
  const { body } = await request(`${url}/metrics`, { reset: true })
  const text = await body.text()
  const [, count] = /^ipfs_accelerate_http_requests_in_flight(?:\{.*\})? (\d+)$/m.exec(text) ?? []
  if (count === undefined) throw new Error('the server does not say how many requests are under way')
  return Number(count)
}
