// Answers that were kept, one after another: from memory and from disk, in an engine that has loaded the model and in one that
// has not, as after a restart.
import { createCache, type Cache } from '@x/cache'
import { openDiskArea } from '@x/cache/disk'
import { createEngine, type Engine } from '@x/infer-node'
import { openModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'
import { checkedCount, createProof, floatsOf, readInputs } from './inputs.ts'

const CALLERS = 32
const MEMORY_BYTES = 256 * 2 ** 20

await runJob<{ inputs: string; store: string; model: string; count: number; output: string }>(async (asked) => {
  const storage = await openStorage({ directory: asked.store, environment: {}, create: false })
  const model = await openModel(async () => storage, `bench/${asked.model}`)
  const inputs = readInputs(asked.inputs)
  const texts = inputs.texts.slice(0, asked.check ? checkedCount(asked.count) : asked.count)
  const proof = createProof(inputs, 'answer', 'be-same')
  const figures: Record<string, number> = {}

  async function using(memoryBytes: number, work: (engine: Engine, cache: Cache) => Promise<void>): Promise<void> {
    const cache = createCache({ memoryBytes, disk: await openDiskArea({ directory: asked.output }) })
    const engine = createEngine({ cache })
    await work(engine, cache)
    await engine.close()
    await cache.close()
  }

  /** What each of the texts gives, from where it has to be. */
  async function askAll(engine: Engine, from: string, receipts: Map<number, string>): Promise<number[]> {
    const delays: number[] = []
    for (const [index, text] of texts.entries()) {
      const start = performance.now()
      const result = await engine.run('feature-extraction', model, text)
      delays.push(performance.now() - start)
      if (result.from !== from) throw new Error(`text ${index} is ${result.from}, not from ${from}`)
      if (result.receiptCid.toString() !== receipts.get(index)) throw new Error(`text ${index} has another receipt`)
      proof.take(index, floatsOf(result.output.data))
    }
    return delays
  }

  const receipts = new Map<number, string>()
  await using(MEMORY_BYTES, async (engine) => {
    let next = 0
    await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        for (let index = next++; index < texts.length; index = next++) {
          const { from, receiptCid } = await engine.run('feature-extraction', model, texts[index] ?? '')
          if (from !== 'computed') throw new Error(`text ${index} is ${from}: it is no new one`)
          receipts.set(index, receiptCid.toString())
        }
      }),
    )
  })
  let total = 0
  for (const place of ['memory', 'disk'] as const) {
    for (const state of ['loaded', 'not loaded'] as const) {
      await using(place === 'memory' ? MEMORY_BYTES : 0, async (engine) => {
        if (state === 'loaded') await engine.load('feature-extraction', model)
        // The first pass brings them where they are to be, and warms the code.
        await askAll(engine, 'disk', receipts)
        const delays = (await askAll(engine, place, receipts)).toSorted((a, b) => a - b)
        const at = (share: number): number => (delays[Math.floor(delays.length * share)] ?? 0) / 1000
        figures[`${place} ${state} p50`] = at(0.5)
        figures[`${place} ${state} p99`] = at(0.99)
        total += delays.reduce((sum, delay) => sum + delay, 0) / 1000
        const [{ models } = { models: [] }] = engine.stats().workers
        if (models.length > 0 !== (state === 'loaded')) throw new Error(`the model is not ${state}`)
      })
    }
  }
  await storage.close()
  return { seconds: total, evidence: proof.evidence(), figures: { ...figures, ...proof.figures() } }
})
