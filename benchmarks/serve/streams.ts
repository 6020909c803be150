// What a server holds while many texts are streamed at once, beside connections that are idle, and how fast they come.
import { createEngine } from '@x/infer-node'
import { openModel, openStorage } from '@x/node'
import { Pool } from 'undici'

import { runJob } from '../harness/job.ts'
import { memoryOf } from '../infer/callers.ts'
import { highestWhile } from './highest-memory.ts'
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

await runJob<AskedOfStreams>(async (asked) => {
  const { tokens } = asked
  const expected = await textsOfLibrary(asked)
  const server = await startServerProcess(ourServer(asked))
  const heldMB = (): number => memoryOf(server.pid).privateMB
  try {
    const none = socketsOf(server.pid)
    await streamAll(server.url, { expected, tokens })
    await untilSockets(server.pid, none)
    const beforeMB = heldMB()
    const idle = await openIdle(server.url, asked.idle)
    const idleMB = heldMB()
    const { value: all, highestMB: busyMB } = await highestWhile(server.pid, () =>
      streamAll(server.url, { expected, tokens }),
    )
    const open = openOf(idle)
    for (const socket of idle) socket.destroy()
    await untilSockets(server.pid, none)
    const afterMB = heldMB()
    const { seconds, pieces, atOnce } = all
    const firsts = all.firsts.toSorted((a, b) => a - b)
    const at = (share: number): number => firsts[Math.floor(firsts.length * share)] ?? Number.NaN
    return {
      seconds,
      evidence: { texts: 'those of the library' },
      figures: {
        beforeMB,
        idleMB,
        busyMB,
        open,
        streaming: atOnce,
        afterMB,
        moreMB: Math.max(idleMB, busyMB) - beforeMB,
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
}

interface Streamed {
  seconds: number
  /** The most that had begun and not ended. */
  atOnce: number
  pieces: number
  /** From the question to the first piece, in seconds. */
  firsts: readonly number[]
}

/** Asks for all texts at once. @throws {Error} One is another than the library's. */
async function streamAll(url: string, { expected, tokens }: Streaming): Promise<Streamed> {
  const pool = new Pool(url, { connections: expected.length, pipelining: 1 })
  const firsts: number[] = []
  let pieces = 0
  let begun = 0
  let atOnce = 0
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
    let text = ''
    for await (const piece of piecesOf(body)) {
      if (text === '') {
        firsts.push((performance.now() - start) / 1000)
        begun += 1
        atOnce = Math.max(atOnce, begun)
      }
      text += piece
      pieces += 1
    }
    begun -= 1
    if (text !== expected[seed]) throw new Error(`stream ${seed} is not the text of the library: ${text}`)
  }
  try {
    await Promise.all(Array.from(expected.keys(), stream))
  } finally {
    await pool.destroy()
  }
  return { seconds: (performance.now() - start) / 1000, pieces, firsts, atOnce }
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
