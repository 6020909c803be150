/** Pulls of a large model by real processes: one that is killed goes on where it was, and two at once fetch it once. */
import { spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { fixtureModel } from '@x/fixtures'
import { fixtureCommit, startFixtureHub } from '@x/fixtures/hub'
import { openStorage } from '@x/node'
import { expect, it, onTestFinished, vi } from 'vitest'

import { cli, temporaryDirectory } from './harness.ts'

const MIB = 1024 * 1024
const REPO = 'org/large'
const WEIGHTS = 'model.safetensors'
const PIECE_BYTES = 64 * 1024

const program = fileURLToPath(new URL('./cli-process.ts', import.meta.url))

/** One tensor of random bytes. */
function safetensors(bytes: number): Buffer {
  const header = Buffer.from(
    JSON.stringify({ weight: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } }).padEnd(128),
  )
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, randomFillSync(Buffer.alloc(bytes))])
}

/** A hub that sends the weights slowly, and half of them until it is told to go on. */
async function setup() {
  const weights = safetensors(24 * MIB)
  const files = { ...fixtureModel('tiny-bert').files, [WEIGHTS]: weights }
  const made = fixtureCommit(files, { lfs: [WEIGHTS, 'onnx/model.onnx'] })
  const half = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  let served = 0

  async function* slowly(body: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < body.length; at += PIECE_BYTES) {
      if (served > weights.length / 2) {
        half.resolve()
        await goOn.promise
      }
      const piece = body.subarray(at, at + PIECE_BYTES)
      served += piece.length
      yield piece
      // 32 MiB/s at most on a connection: little waits in buffers when its reader is killed.
      await wait(2)
    }
  }
  function intercept(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || !request.url?.includes('/resolve/') || !request.url.endsWith(WEIGHTS)) return false
    const end = response.end.bind(response)
    const sendSlowly = (body: Uint8Array): void => {
      Object.defineProperty(response, 'end', { value: end })
      // Its reader may be killed.
      pipeline(slowly(body), response).catch(() => response.destroy())
    }
    Object.defineProperty(response, 'end', { value: sendSlowly, configurable: true })
    return false
  }

  const hub = await startFixtureHub({
    repositories: { [REPO]: { commits: [made], refs: { main: made.commit } } },
    intercept,
  })
  onTestFinished(() => hub.close())
  const folder = await temporaryDirectory()
  const store = path.join(folder, 'store')
  const env = { PATH: process.env['PATH'], HOME: folder, HF_HOME: path.join(folder, 'hf'), HF_ENDPOINT: hub.url }
  const pull = () => {
    const flags = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning']
    const args = ['model', 'pull', `hf://${REPO}`, '--all', '--json', '--store', store]
    const child = spawn(process.execPath, [...flags, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
    onTestFinished(() => void child.kill('SIGKILL'))
    const said = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk) => (said.stdout += String(chunk)))
    child.stderr.on('data', (chunk) => (said.stderr += String(chunk)))
    const ended = once(child, 'close').then(() => ({ code: child.exitCode, ...said }))
    return { child, ended }
  }
  return { weights, store, pull, half: half.promise, goOn: goOn.resolve, served: () => served }
}

/** Resolves when so much of a file of that size has come. */
async function untilRecorded(bytes: number, { store, size }: { store: string; size: number }): Promise<void> {
  const storage = await openStorage({ directory: store, environment: {} })
  const partials = await storage.openPartials()
  try {
    await vi.waitFor(async () => {
      let recordedBytes = 0
      for await (const one of partials.list()) if (one.size === size) ({ recordedBytes } = one)
      expect(recordedBytes).toBeGreaterThanOrEqual(bytes)
    }, 600_000)
  } finally {
    await partials.close()
    await storage.close()
  }
}

async function expectWhole(line: string, store: string, weights: Buffer): Promise<void> {
  const { cid } = JSON.parse(line)
  expect((await cli(['cat', `${cid}/${WEIGHTS}`, '--store', store])).bytes.equals(weights)).toBe(true)
  expect((await cli(['verify', cid, '--json', '--store', store])).lines).toMatchObject([{ ok: true }])
}

it('a pull that is killed in the middle goes on where it was', async () => {
  const { weights, store, pull, half, goOn, served } = await setup()
  const first = pull()
  await half
  // What was sent has come, but for what is no whole leaf of either request.
  await untilRecorded(10 * MIB, { store, size: weights.length })
  first.child.kill('SIGKILL')
  expect(await first.ended).toMatchObject({ code: null, stdout: '' })
  expect((await cli(['ls', '--json', '--store', store])).lines).toEqual([])
  goOn()
  const second = await pull().ended
  expect(second).toMatchObject({ code: 0 })
  console.info(`served ${(served() / weights.length).toFixed(3)} of the bytes`)
  // A leaf of each of two requests, and what the system holds of them.
  expect(served()).toBeLessThanOrEqual(weights.length + 4 * MIB)
  await expectWhole(second.stdout, store, weights)
})

it('two processes that pull one model at once fetch it once', async () => {
  const { weights, store, pull, half, goOn, served } = await setup()
  const [first, second] = [pull(), pull()]
  const waits = Promise.withResolvers<void>()
  for (const { child } of [first, second]) {
    child.stderr.on('data', (chunk) => {
      if (String(chunk).includes('another process is downloading it')) waits.resolve()
    })
  }
  await Promise.all([half, waits.promise])
  goOn()
  const ended = await Promise.all([first.ended, second.ended])
  expect(ended).toMatchObject([{ code: 0 }, { code: 0 }])
  expect(served()).toBeLessThanOrEqual(weights.length + MIB)
  for (const { stdout } of ended) await expectWhole(stdout, store, weights)
})
