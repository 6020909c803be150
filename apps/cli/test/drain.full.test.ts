import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { expect, it, onTestFinished } from 'vitest'

import { setup } from './results-support.ts'

const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))

/** What became of one request. */
type Fate = 'answered' | 'cut off' | 'no connection'

/** Asks, and says what became of it. */
function ask(url: string, agent: Agent): Promise<Fate> {
  const body = JSON.stringify({ input: ['hello world', 'hello'] })
  const headers = { 'content-type': 'application/json', 'content-length': String(body.length) }
  return new Promise((resolve) => {
    let isConnected = false
    let whole = ''
    const asked = request(`${url}/v1/embeddings`, { method: 'POST', headers, agent }, (response) => {
      response.setEncoding('utf8').on('data', (piece: string) => (whole += piece))
      response.on('error', () => end('cut off'))
      response.on('end', () =>
        end(response.complete && response.statusCode === 200 && isWhole(whole) ? 'answered' : 'cut off'),
      )
    })
    const end = (fate: Fate): void => resolve(fate)
    asked.on('socket', (socket) => {
      isConnected = !socket.connecting
      if (!isConnected) socket.once('connect', () => (isConnected = true))
    })
    asked.on('error', () => end(isConnected ? 'cut off' : 'no connection'))
    asked.end(body)
  })
}

function isWhole(text: string): boolean {
  const parsed: unknown = JSON.parse(text)
  return (
    typeof parsed === 'object' &&
    parsed !== null &&
    'data' in parsed &&
    Array.isArray(parsed.data) &&
    parsed.data.length === 2
  )
}

interface Serving {
  child: ChildProcess
  url: string
  /** What it has said there so far. */
  stderr: string[]
}

/** A process that serves a model until the test ends. */
async function serving(...options: readonly string[]): Promise<Serving> {
  const { store, add } = await setup()
  const cid = await add('tiny-bert')
  const args = ['serve', '--model', cid, '--json', '--store', store, ...options]
  const node = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', program]
  const child = spawn(process.execPath, [...node, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const stderr: string[] = []
  child.stderr.on('data', (piece) => stderr.push(String(piece)))
  const [line] = await once(createInterface(child.stdout), 'line')
  const { url }: { url: string } = JSON.parse(String(line))
  return { child, url, stderr }
}

/** The status of a route, asked over a connection of its own. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

/** Asks until it says that it is not ready. */
async function untilNotReady(url: string): Promise<void> {
  while ((await statusOf(`${url}/readyz`)) === 200);
}

it('loses no request that it was asked when SIGTERM comes under load', async (context) => {
  if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
  const { child, url, stderr } = await serving('--drain-timeout', '60')

  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  onTestFinished(() => agent.destroy())
  const all: Fate[] = []
  const enough = Promise.withResolvers<void>()
  const client = async (): Promise<void> => {
    for (;;) {
      const fate = await ask(url, agent)
      all.push(fate)
      if (all.length === 500) enough.resolve()
      // The server is gone.
      if (fate === 'no connection') return
      if (fate === 'cut off') enough.resolve()
    }
  }
  const clients = Array.from({ length: 64 }, client)
  await enough.promise
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  await Promise.all(clients)
  const count = (fate: Fate): number => all.filter((each) => each === fate).length
  expect([code, stderr.join('')]).toEqual([0, expect.not.stringContaining('"error"')])
  expect(count('cut off')).toBe(0)
  expect(count('answered')).toBeGreaterThanOrEqual(500)
  // Each of the clients has found it gone, and nothing else.
  expect(count('no connection')).toBe(64)
})

it('takes requests as before for --drain-delay, not ready at once, and a second signal ends it', async (context) => {
  if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
  const { child, url } = await serving('--drain-delay', '86400')
  expect(await statusOf(`${url}/readyz`)).toBe(200)
  child.kill('SIGTERM')
  await untilNotReady(url)
  const agent = new Agent()
  expect([await statusOf(`${url}/healthz`), await ask(url, agent)]).toEqual([200, 'answered'])
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([130, null])
})

it('ends well when --drain-delay is over', async (context) => {
  if (process.platform === 'win32') context.skip('signals cannot be sent to one process on Windows')
  const { child, url, stderr } = await serving('--drain-delay', '1')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  expect([code, stderr.join('')]).toEqual([0, expect.not.stringContaining('"error"')])
  await expect(statusOf(`${url}/healthz`)).rejects.toThrow('ECONNREFUSED')
})
