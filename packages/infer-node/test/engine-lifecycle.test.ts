import type { Worker } from 'node:worker_threads'

import { createCache, type Cache } from '@x/cache'
import type { OpenedModel } from '@x/model-loader'
import { expect, it, onTestFinished, vi } from 'vitest'

import { createEngine, type Engine, type EngineOptions } from '../src/index.ts'
import { graphOf, openFiles, product } from './raw-support.ts'
import { crash, hold, soon, until } from './support.ts'

const TASK = 'feature-extraction'
const WAITING = { batch: { windowMs: 3_600_000 } }
const CLOSED = { code: 'BACKEND', message: 'the engine was closed' }

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

/** The threads that are started from now on, and of those the ones that have ended. */
function watchWorkers(): { started: Worker[]; ended: Worker[] } {
  const started: Worker[] = []
  const ended: Worker[] = []
  const note = (worker: Worker): void => {
    started.push(worker)
    worker.once('exit', () => ended.push(worker))
  }
  process.on('worker', note)
  onTestFinished(() => void process.off('worker', note))
  return { started, ended }
}

const open = async (): Promise<OpenedModel> => (await hold('tiny-bert')).open()

const close = (): Promise<void> => Promise.reject(new Error('it will not close'))

/** How each of them ends, heard from now on. */
const told = (...all: Promise<unknown>[]): Promise<PromiseSettledResult<unknown>[]> => Promise.allSettled(all)

/** An engine that has opened a model, and holds it for nobody. */
async function withIdleModel(engine: Engine, model: OpenedModel): Promise<void> {
  const stop = new AbortController()
  const first = told(engine.run(TASK, model, 'a', { signal: stop.signal }))
  await until(() => engine.stats().queued === 1)
  stop.abort()
  await first
}

it('does not let go of a model that somebody has in hand', async () => {
  const model = await open()
  const engine = startEngine(WAITING)
  await withIdleModel(engine, model)
  const asked = told(engine.run(TASK, model, 'hello world'))
  expect(await engine.unload(model.cid.toString())).toBe(0)
  await until(() => engine.stats().queued === 1)
  await engine.close({ drain: false })
  expect(await asked).toMatchObject([{ reason: CLOSED }])
})

it('opens a model for the others when the first of them gives up', async () => {
  const model = await open()
  const engine = startEngine(WAITING)
  const stop = new AbortController()
  const asked = told(engine.run(TASK, model, 'a', { signal: stop.signal }), engine.run(TASK, model, 'b'))
  const reason = new Error('the first gave up')
  stop.abort(reason)
  await until(() => engine.stats().queued === 1)
  await engine.close({ drain: false })
  expect(await asked).toMatchObject([{ reason }, { reason: CLOSED }])
})

it('goes on when a model that nobody asked for any more cannot be closed, and says so', async () => {
  const { added, open: openHeld } = await hold('tiny-bert')
  const onWarning = vi.fn<(message: string) => void>()
  const openModel = async (): Promise<OpenedModel> => ({ ...(await openHeld()), close })
  const engine = createEngine({ ...WAITING, keepAliveMs: 1, openModel, onWarning })
  const stop = new AbortController()
  const first = told(engine.run(TASK, `ipfs://${added.cid}`, 'a', { signal: stop.signal }))
  await until(() => engine.stats().queued === 1)
  stop.abort()
  await first
  await until(() => engine.stats().models.length === 0)
  await until(() => onWarning.mock.calls.length > 0)
  expect(onWarning.mock.calls).toEqual([[`${added.cid} was not closed: it will not close`]])
  await engine.close()
})

it('closes a model that is open only after the engine was closed', async () => {
  const model = await open()
  const opening = Promise.withResolvers<OpenedModel>()
  const events: string[] = []
  const engine = startEngine({ openModel: () => opening.promise })
  const asked = told(engine.run(TASK, 'a name', 'a'))
  await engine.close({ drain: false })
  opening.resolve({ ...model, close: async () => void events.push('closed') })
  expect(await asked).toMatchObject([{ reason: CLOSED }])
  expect(events).toEqual(['closed'])
})

it('lets end what was asked for in the same turn when it is closed, loads as well', async () => {
  const model = await open()
  const { started, ended } = watchWorkers()
  const engine = startEngine()
  const loading = told(engine.load(TASK, model), engine.run(TASK, model, 'a'))
  await engine.close()
  expect(await loading).toMatchObject([{ status: 'fulfilled' }, { value: { output: { dims: [16] } } }])
  expect(ended).toEqual(started)
})

it('tells what runs when it is closed at once that it was closed, and loads as well', async () => {
  const [gpt, bert] = [await (await hold('tiny-gpt')).open(), await open()]
  const engine = startEngine()
  const asked = told(engine.run('text-generation', gpt, 'the'))
  const loading = told(engine.load(TASK, bert))
  // The thread loads the library first, so nothing is done yet.
  await until(() => engine.stats().workers[0]?.given !== undefined)
  await engine.close({ drain: false })
  expect([...(await asked), ...(await loading)]).toMatchObject([{ reason: CLOSED }, { reason: CLOSED }])
})

it('loads once for all who ask, until the last of them; one that ends in the middle is a crash of the model', async () => {
  const model = await open()
  const { started } = watchWorkers()
  const engine = startEngine()
  const stop = new AbortController()
  const order: string[] = []
  const loads = ['first', 'second'].map((name) => engine.load(TASK, model).finally(() => order.push(name)))
  const asked = told(...loads)
  const given = told(engine.load(TASK, model, { signal: stop.signal }).finally(() => order.push('aborted')))
  await until(() => engine.stats().workers[0]?.given === 3)
  const reason = new Error('enough')
  stop.abort(reason)
  expect(await given).toMatchObject([{ reason }])
  expect(await engine.unload(model.cid.toString())).toBe(0)
  await crash(started[0])
  const crashed = { code: 'CRASH', model: model.cid.toString() }
  expect(await asked).toMatchObject([{ reason: crashed }, { reason: crashed }])
  expect(order[0]).toBe('aborted')
  expect(engine.stats()).toMatchObject({ crashes: 1, loads: 1 })
})

it('counts what waits over all parameters, and has one timer for it, which keeps the process', async () => {
  const model = await (await hold('tiny-sentiment')).open()
  const timers = new Set<NodeJS.Timeout>()
  const { setTimeout: set, clearTimeout: clear } = globalThis
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(
    Object.assign((...args: Parameters<typeof set>) => {
      const timer = set(...args)
      if ((args[1] ?? 0) > 3_000_000) timers.add(timer)
      return timer
    }, set),
  )
  vi.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    if (typeof timer === 'object') timers.delete(timer)
    clear(timer)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  const engine = startEngine({ ...WAITING, maxQueued: 4 })
  const asked = Array.from({ length: 6 }, (_, index) =>
    engine.run('text-classification', model, 'good', { options: { top_k: index + 1 } }),
  )
  const all = told(...asked)
  await Promise.any(asked.map((one) => one.catch((error: unknown) => error)))
  await until(() => engine.stats().queued === 4 && timers.size > 0)
  await new Promise(setImmediate)
  expect([...timers].map((timer) => timer.hasRef())).toEqual([true])
  // No thread is started for what is not to run yet.
  expect(engine.stats().workers).toEqual([])
  await engine.close({ drain: false })
  expect(timers.size).toBe(0)
  const codes = (await all).map((one) => (one.status === 'rejected' ? Reflect.get(Object(one.reason), 'code') : ''))
  expect(codes.filter((code) => code === 'BUSY')).toHaveLength(2)
  expect(codes.filter((code) => code === 'BACKEND')).toHaveLength(4)
})

it.for<[string, (engine: Engine, model: OpenedModel) => Promise<unknown>]>([
  ['run', (engine, model) => engine.run(TASK, model, 'a')],
  ['load', (engine, model) => engine.load(TASK, model)],
])('starts no thread before something waits, nor at once where the last did nothing: %s', async ([, ask]) => {
  const model = await open()
  const { started } = watchWorkers()
  const engine = startEngine()
  const loading = told(engine.load(TASK, model))
  await until(() => started.length === 1)
  // However long a busy machine takes, the time after which one is started again is not over.
  const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now())
  onTestFinished(() => clock.mockRestore())
  await crash(started[0])
  expect(await loading).toMatchObject([{ reason: { code: 'CRASH' } }])
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  expect(engine.stats().workers).toEqual([])
  const asked = ask(engine, model)
  await until(() => engine.stats().queued === 1)
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  expect(started).toHaveLength(1)
  clock.mockRestore()
  await asked
  expect(engine.stats()).toMatchObject({ queued: 0, workers: [{ models: [model.cid.toString()] }] })
})

it('runs nothing of a model that was put aside while it was asked for', async () => {
  const model = await open()
  const { started } = watchWorkers()
  const cache = createCache()
  const [looked, found] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow: Cache = {
    ...cache,
    async getOrCompute(...given) {
      looked.resolve()
      await found.promise
      return cache.getOrCompute(...given)
    },
  }
  const engine = startEngine({ cache: slow, quarantineMs: 3_600_000 })
  const asked = told(engine.run(TASK, model, 'a'))
  await looked.promise
  for (const threads of [1, 2]) {
    const crashed = told(engine.run(TASK, model, 'a', { cache: 'bypass' }))
    await until(() => started.length === threads)
    await crash(started.at(-1))
    await crashed
  }
  found.resolve()
  expect(await asked).toMatchObject([
    { reason: { code: 'CRASH', message: expect.stringContaining('left alone until') } },
  ])
  expect(started).toHaveLength(2)
})

it.for<[string, (value: number) => EngineOptions, readonly number[]]>([
  ['workers', (workers) => ({ workers }), [0, -1, 1.5, Infinity]],
  ['threads', (threads) => ({ threads }), [0, 1.5, Infinity]],
  // In the smallest no thread can run, or the process ends.
  ['heapMib', (heapMib) => ({ heapMib }), [2, 23, Infinity]],
  ['memoryBytes', (memoryBytes) => ({ memoryBytes }), [-1]],
  ['maxQueued', (maxQueued) => ({ maxQueued }), [0, 1.5]],
  ['maxQueuedPerCaller', (maxQueuedPerCaller) => ({ maxQueuedPerCaller }), [0]],
  ['maxQueuedBytes', (maxQueuedBytes) => ({ maxQueuedBytes }), [-1]],
  ['maxQueuedBytesPerCaller', (maxQueuedBytesPerCaller) => ({ maxQueuedBytesPerCaller }), [-1]],
  ['minResidentMs', (minResidentMs) => ({ minResidentMs }), [-1, 2 ** 31]],
  ['keepAliveMs', (keepAliveMs) => ({ keepAliveMs }), [-1, 2 ** 31]],
  ['quarantineMs', (quarantineMs) => ({ quarantineMs }), [-1, Infinity]],
  ['batch.maxRows', (maxRows) => ({ batch: { maxRows } }), [0]],
  ['batch.maxTokens', (maxTokens) => ({ batch: { maxTokens } }), [0]],
  ['batch.windowMs', (windowMs) => ({ batch: { windowMs } }), [-1, 2 ** 31, Infinity]],
])('refuses a number with which it would not do, or never end: %s', ([name, withValue, values]) => {
  for (const value of [...values, Number.NaN]) {
    const input = String(value)
    const error = { code: 'INVALID_INPUT', input, message: expect.stringMatching(new RegExp(`^${name} is `)) }
    expect(() => createEngine(withValue(value))).toThrow(expect.objectContaining(error))
  }
})

it('takes no more bytes of inputs than it may hold until they are answered, but one that is alone', async () => {
  const model = await open()
  const engine = startEngine({ ...WAITING, maxQueuedBytes: 100 })
  const stop = new AbortController()
  const first = told(engine.run(TASK, model, 'a'.repeat(150), { signal: stop.signal }))
  await until(() => engine.stats().queued === 1)
  expect(engine.stats().queuedBytes).toBe(150)
  await expect(engine.run(TASK, model, 'b')).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining('inputs of 150 bytes wait or run already, of at most 100'),
  })
  const session = await engine.session(await openFiles({ 'a.onnx': graphOf(product) }))
  const x = { type: 'float32', dims: [1, 3], data: new Float32Array(3) } as const
  await expect(session.run({ x })).rejects.toMatchObject({ code: 'BUSY' })
  stop.abort()
  await first
  expect(engine.stats().queuedBytes).toBe(0)
  const others = [told(engine.run(TASK, model, 'a'.repeat(60))), told(engine.run(TASK, model, 'b'.repeat(40)))]
  await until(() => engine.stats().queued === 2)
  expect(engine.stats().queuedBytes).toBe(100)
  await engine.close({ drain: false })
  expect((await Promise.all(others)).flat()).toMatchObject([{ reason: CLOSED }, { reason: CLOSED }])
})

it('holds no more bytes of a caller than one may have, and others have their own', async () => {
  const model = await open()
  const engine = startEngine({ ...WAITING, maxQueuedBytes: 200, maxQueuedBytesPerCaller: 100 })
  const [much, little] = [{ caller: 'much' }, { caller: 'little' }]
  const waiting = [told(engine.run(TASK, model, 'a'.repeat(120), much))]
  await until(() => engine.stats().queued === 1)
  await expect(engine.run(TASK, model, 'b', much)).rejects.toMatchObject({
    code: 'BUSY',
    caller: 'much',
    message: 'inputs of 120 bytes of much wait or run already, of at most 100; this one is of 1',
  })
  waiting.push(told(engine.run(TASK, model, 'c'.repeat(80), little)))
  await until(() => engine.stats().queued === 2)
  await expect(engine.run(TASK, model, 'd', { caller: 'third' })).rejects.toMatchObject({
    code: 'BUSY',
    caller: undefined,
  })
  await engine.close({ drain: false })
  await Promise.all(waiting)
  expect(engine.stats().queuedBytes).toBe(0)
})

it('answers each input of a task whose inputs share no run as soon as it has run', async () => {
  const model = await (await hold('tiny-gpt')).open()
  const results: string[] = []
  process.once('worker', (worker) => {
    worker.on('message', ({ kind }: { kind: string }) => kind === 'result' && results.push(kind))
  })
  const engine = startEngine()
  await Promise.all(Array.from({ length: 4 }, () => engine.run('text-generation', model, 'the')))
  // One of the load, and one of each.
  expect(results).toHaveLength(5)
})

it.each([
  ['the window of a batch', { batch: { windowMs: 50 } }],
  ['the time after which a thread is started again', {}],
])(
  'loses nobody who waits for %s, when that ends between two looks at the clock',
  async (_, options: EngineOptions) => {
    const model = await open()
    const { started } = watchWorkers()
    const engine = startEngine(options)
    if (options.batch === undefined) {
      const loading = told(engine.load(TASK, model))
      await until(() => started.length === 1)
      await crash(started[0])
      await loading
    }
    // A clock that stands until something waits, and goes on at each look by as much that at the second the time is over.
    const baseMs = performance.now()
    const stepMs = 0.6 * (options.batch ? 50 : 500)
    let looks = 0
    vi.spyOn(performance, 'now').mockImplementation(() =>
      engine.stats().queued === 0 ? baseMs : baseMs + (looks += 1) * stepMs,
    )
    onTestFinished(() => void vi.restoreAllMocks())
    const answered = soon(engine.run(TASK, model, 'a'), () => engine.stats())
    await until(
      () => looks > 0 && engine.stats().queued === 0,
      () => engine.stats(),
    )
    vi.restoreAllMocks()
    expect(await answered).toMatchObject({ output: { dims: [16] } })
  },
)

it('is closed for all who close it when its threads have ended and its models are closed', async () => {
  const { added, open: openHeld } = await hold('tiny-bert')
  const { started, ended } = watchWorkers()
  let closes = 0
  const openModel = async (): Promise<OpenedModel> => ({
    ...(await openHeld()),
    async close() {
      await new Promise(setImmediate)
      closes += 1
    },
  })
  const engine = startEngine({ openModel })
  await engine.load(TASK, `ipfs://${added.cid}`)
  const asked = told(engine.run(TASK, `ipfs://${added.cid}`, 'a'))
  const seen = [{}, { drain: false }, { drain: false }].map(async (options) => {
    await engine.close(options)
    return { ended: ended.length, closes }
  })
  expect(await Promise.all(seen)).toEqual(seen.map(() => ({ ended: 1, closes: 1 })))
  expect(await asked).toMatchObject([{ reason: CLOSED }])
  expect(started).toHaveLength(1)
})

it('leaves nothing behind in the process where it was dropped', async () => {
  const before = process.listenerCount('exit')
  const engines = Array.from({ length: 12 }, () => createEngine())
  expect(process.listenerCount('exit')).toBe(before)
  const [engine] = engines
  await engine?.load(TASK, await open())
  expect(process.listenerCount('exit')).toBe(before + 1)
  await engine?.close()
  expect(process.listenerCount('exit')).toBe(before)
})
