import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

import { createCache, type Cache } from '@x/cache'
import type { OpenedModel } from '@x/model-loader'
import { expect, it, onTestFinished } from 'vitest'

import { createEngine, type Engine, type EngineOptions } from '../src/index.ts'
import { crash, hold, soon, until } from './support.ts'

const EMBED = 'feature-extraction'
const CLASSIFY = 'text-classification'
const QUARANTINED = { code: 'CRASH', quarantinedUntilMs: expect.any(Number) }

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

const openBert = async (): Promise<OpenedModel> => (await hold('tiny-bert')).open()
const openSentiment = async (): Promise<OpenedModel> => (await hold('tiny-sentiment')).open()

/** Beside `inPairs`. */
const BYPASS = { cache: 'bypass' } as const

/** How each of them ends, heard from now on. */
const told = (...all: Promise<unknown>[]): Promise<PromiseSettledResult<unknown>[]> => Promise.allSettled(all)

/** A model which a thread cannot load before something has ended. */
const slow = (model: OpenedModel, whenLoading: () => Promise<unknown>): OpenedModel => ({
  ...model,
  async verifiedPath(file, options) {
    await whenLoading()
    return model.verifiedPath?.(file, options)
  },
})

/** Finds nothing, and lets those that look in it go on two by two, so that they are put into their queues in the same turn. */
function inPairs(): Cache {
  const cache = createCache()
  let first: PromiseWithResolvers<void> | undefined
  return {
    ...cache,
    async getOrCompute(...given) {
      const pair = first ?? Promise.withResolvers()
      if (first) pair.resolve()
      first = first ? undefined : pair
      await pair.promise
      return cache.getOrCompute(...given)
    },
  }
}

it('blames the model that is being loaded when a thread ends, and not one whose run was asked for before', async () => {
  const good = await openBert()
  const engine = startEngine({ quarantineMs: 3_600_000, cache: inPairs() })
  let worker: Worker | undefined
  const bad = slow(await openSentiment(), () => crash(worker))
  for (const _ of [1, 2]) {
    const started = once(process, 'worker')
    await engine.load(EMBED, good)
    ;[worker] = await started
    const both = [engine.run(EMBED, good, 'a'), engine.run(CLASSIFY, bad, 'good')]
    await soon(told(...both), () => engine.stats())
  }
  expect(await engine.run(EMBED, good, 'a', BYPASS)).toMatchObject({ output: { dims: [16] } })
  await expect(engine.run(CLASSIFY, bad, 'good', BYPASS)).rejects.toMatchObject(QUARANTINED)
})

it('blames the model that runs when a thread ends, and not one that waits behind it', async () => {
  const [bad, good] = [await openBert(), await openSentiment()]
  const engine = startEngine({ quarantineMs: 3_600_000 })
  // The thread is among its tokens, and not inside ONNX Runtime, until it has ended.
  const long = 'hello world '.repeat(200_000)
  for (const _ of [1, 2]) {
    const started = once(process, 'worker')
    await Promise.all([engine.load(EMBED, bad), engine.load(CLASSIFY, good)])
    const [worker]: Worker[] = await started
    const isGiven = (given: number): Promise<void> =>
      until(
        () => engine.stats().workers[0]?.given === given,
        () => engine.stats(),
      )
    const first = told(engine.run(EMBED, bad, long))
    await isGiven(1)
    const second = told(engine.run(CLASSIFY, good, 'good'))
    await isGiven(2)
    // It is there already.
    await engine.load(EMBED, bad)
    await worker?.terminate()
    const all = soon(Promise.all([first, second]), () => engine.stats())
    expect(await all).toMatchObject([[{ reason: { code: 'CRASH' } }], [{ reason: { code: 'CRASH' } }]])
  }
  expect(await engine.run(CLASSIFY, good, 'good')).toMatchObject({ output: [{ label: 'POSITIVE' }] })
  await expect(engine.run(EMBED, bad, 'a')).rejects.toMatchObject(QUARANTINED)
})

it('runs a model that is loaded before it loads another one that was asked for after it', async () => {
  const first = await openBert()
  const answered = Promise.withResolvers<void>()
  const other = slow(await openSentiment(), () => answered.promise)
  const engine = startEngine({ cache: inPairs() })
  await engine.load(EMBED, first)
  const run = engine.run(EMBED, first, 'a')
  const behind = told(engine.run(CLASSIFY, other, 'good'))
  await soon(run, () => engine.stats())
  answered.resolve()
  expect(await behind).toMatchObject([{ value: { output: [{ label: 'POSITIVE' }] } }])
})

it.for<[string, (engine: Engine, other: OpenedModel) => Promise<unknown>]>([
  ['run', (engine, other) => engine.run(CLASSIFY, other, 'good')],
  ['load', (engine, other) => engine.load(CLASSIFY, other)],
  ['session', (engine, other) => engine.session(other)],
])(
  'runs a model for which it was loaded before it loads another one that was asked for meanwhile: %s',
  async ([, ask]) => {
    const answered = Promise.withResolvers<void>()
    const other = slow(await openSentiment(), () => answered.promise)
    const engine = startEngine()
    const isAsked = (): boolean => engine.stats().queued === 1 || engine.stats().workers[0]?.given === 2
    const first = slow(await openBert(), () => until(isAsked))
    const run = engine.run(EMBED, first, 'a')
    await until(() => engine.stats().workers[0]?.given === 1)
    const behind = told(ask(engine, other))
    await soon(run, () => engine.stats())
    answered.resolve()
    expect(await behind).toMatchObject([{ status: 'fulfilled' }])
  },
)
