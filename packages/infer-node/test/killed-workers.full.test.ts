import { readFileSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'

import { CrashError } from '@x/infer-core'
import { expect, it, onTestFinished } from 'vitest'

import { createEngine, runTask } from '../src/index.ts'
import { hold } from './support.ts'

const REQUESTS = 100_000
/** At once, as many callers have theirs under way. */
const CALLERS = 64
const WORDS = ['hello', 'world', 'this', 'is', 'a', 'test', 'content', 'address', 'model']
const MIB = 2 ** 20

/** The same on every machine. https://en.wikipedia.org/wiki/Xorshift */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Bytes that are in memory for this process alone: mapped weights are not. `undefined` where the system does not tell. */
function privateBytes(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8')
  const [, kib] = /^Private_Dirty:\s+(\d+) kB$/m.exec(text) ?? []
  return kib === undefined ? undefined : Number(kib) * 1024
}

it('gives 100,000 requests one right answer each or a typed error, while its threads are killed at random', async (context) => {
  if (privateBytes() === undefined) context.skip('the system does not tell how much memory is private')
  const workers = new Set<Worker>()
  const note = (worker: Worker): void => {
    workers.add(worker)
    worker.once('exit', () => workers.delete(worker))
  }
  process.on('worker', note)
  onTestFinished(() => void process.off('worker', note))
  const model = await (await hold('tiny-bert')).open()
  const texts = Array.from({ length: 40 }, (_, index) => WORDS.slice(0, 1 + (index % 9)).join(' ') + ' a'.repeat(index))
  const right = new Map<string, string>()
  for (const { output, receipt } of await runTask('feature-extraction', model, texts)) {
    right.set(receipt.input.toString(), Buffer.from(new Uint8Array(output.data.buffer)).toString('hex'))
  }
  const engine = createEngine({ workers: 2, quarantineMs: 1 })
  onTestFinished(() => engine.close({ drain: false }))
  const random = randomFrom(20_261_122)
  const counts = { answered: 0, crashed: 0, wrong: 0, kills: 0 }
  const atTenth: { bytes: number | undefined } = { bytes: undefined }
  let asked = 0
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (asked < REQUESTS) {
        asked += 1
        if (asked === REQUESTS / 10) atTenth.bytes = privateBytes()
        if (random(2000) === 0) {
          const victim = [...workers][random(Math.max(1, workers.size))]
          if (victim) {
            counts.kills += 1
            // It fails on that, between two runs of a graph. Inside one it would take the process with it, as ONNX Runtime is.
            victim.postMessage(null, [])
          }
        }
        try {
          const { output, receipt } = await engine.run('feature-extraction', model, texts[random(texts.length)] ?? '')
          const given = Buffer.from(new Uint8Array(output.data.buffer)).toString('hex')
          if (right.get(receipt.input.toString()) === given) counts.answered += 1
          else counts.wrong += 1
        } catch (error) {
          if (!(error instanceof CrashError) || error.model !== model.cid.toString()) throw error
          counts.crashed += 1
        }
      }
    }),
  )
  expect(counts.wrong).toBe(0)
  expect(counts.answered + counts.crashed).toBe(REQUESTS)
  expect(counts.kills).toBeGreaterThan(20)
  expect(counts.crashed).toBeGreaterThan(0)
  expect(counts.answered).toBeGreaterThan(REQUESTS * 0.9)
  expect((privateBytes() ?? Infinity) - (atTenth.bytes ?? 0)).toBeLessThan(200 * MIB)
  expect(engine.stats()).toMatchObject({ queued: 0 })
}, 3_600_000)
