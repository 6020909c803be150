import type { Worker } from 'node:worker_threads'

import { readReference, type Files } from '@x/fixtures'
import type { TaskName } from '@x/infer-core'
import { addModel, openModel } from '@x/model-loader'
import { expect, it, onTestFinished, vi } from 'vitest'

import { encodeModel, float32, type Graph } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { createEngine, createRunner, runTask, type Engine, type EngineOptions, type TaskResult } from '../src/index.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { crash, createSha256, directoryOf, EMBEDDED_MODEL, hold, openStore, soon, until } from './support.ts'

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

/** The threads that are started from now on. */
function watchWorkers(): Worker[] {
  const workers: Worker[] = []
  const note = (worker: Worker): void => void workers.push(worker)
  process.on('worker', note)
  onTestFinished(() => void process.off('worker', note))
  return workers
}

const TEXTS = ['hello world', 'this is a test', 'a', 'content address model test', 'hello hello hello hello hello']

async function alone(
  task: 'feature-extraction' | 'text-classification',
  model: Parameters<Engine['run']>[1],
  inputs: readonly string[],
): Promise<TaskResult[]> {
  const runner = createRunner()
  onTestFinished(() => runner.close())
  const results: TaskResult[] = []
  for await (const result of runner.run(task, model, inputs)) results.push(result)
  return results
}

it('gives in threads and batches what each input gives alone in this one, receipt and all', async () => {
  const engine = startEngine({ workers: 2 })
  for (const [name, task] of [
    ['tiny-bert', 'feature-extraction'],
    ['tiny-sentiment', 'text-classification'],
  ] as const) {
    const { open } = await hold(name)
    const model = await open()
    const inputs = [...TEXTS, ...TEXTS, ...TEXTS]
    const expected = await alone(task, model, inputs)
    const given = await Promise.all(inputs.map((input) => engine.run(task, model, input)))
    expect(given.map(({ receiptCid }) => receiptCid.toString())).toEqual(
      expected.map(({ receiptCid }) => receiptCid.toString()),
    )
    expect(given.map(({ output }) => output)).toEqual(expected.map(({ output }) => output))
  }
  const { runs, rows, crashes } = engine.stats()
  expect(rows).toBe(30)
  expect(runs).toBeLessThan(30)
  expect(crashes).toBe(0)
})

it('runs tasks whose inputs do not share a run', async () => {
  const engine = startEngine()
  for (const [name, task] of [
    ['tiny-gpt', 'text-generation'],
    ['tiny-vit', 'image-classification'],
    ['tiny-ctc', 'automatic-speech-recognition'],
    // It has an option that it cannot do without.
    ['tiny-nli', 'zero-shot-classification'],
  ] as const) {
    const [wanted] = readReference(name).pipelines
    if (wanted === undefined) throw new Error('every model has a case')
    const model = await (await hold(name)).open()
    const [inputs, options] = [inputsOf(task, wanted), optionsOf(wanted)]
    const expected = await runTask<TaskName>(task, model, inputs, { options })
    const given = await Promise.all(inputs.map((input) => engine.run<TaskName>(task, model, input, { options })))
    expect(given.map(({ receipt }) => receipt)).toEqual(expected.map(({ receipt }) => receipt))
  }
  const { runs, rows } = engine.stats()
  expect(runs).toBe(rows)
})

it('gives in a batch what a real model gives alone', async () => {
  const { store } = await openStore()
  const { cid } = await addModel(store, await directoryOf(EMBEDDED_MODEL), { createSha256 })
  const model = await openModel(store, `ipfs://${cid}`)
  const engine = startEngine()
  const expected = await alone('feature-extraction', model, TEXTS)
  const given = await Promise.all(TEXTS.map((text) => engine.run('feature-extraction', model, text)))
  expect(given.map(({ receiptCid }) => receiptCid.toString())).toEqual(
    expected.map(({ receiptCid }) => receiptCid.toString()),
  )
  const { runs, rows } = engine.stats()
  expect(rows).toBe(TEXTS.length)
  expect(runs).toBeLessThan(rows)
})

/** Gives each token a vector that depends on the whole batch, in one of two ways. */
const batchVariant = (nodes: Graph['nodes']) => (files: Files) => {
  files['onnx/model.onnx'] = encodeModel({
    nodes: [['Gather', ['table', 'input_ids'], ['word'], { axis: 0 }], ...nodes],
    initializers: {
      table: float32(
        [1024, 16],
        Array.from({ length: 16_384 }, (_, index) => (index * index) % 97),
      ),
    },
    inputs: { input_ids: ['int64', ['batch', 'length']], attention_mask: ['int64', ['batch', 'length']] },
    outputs: { last_hidden_state: ['float32', ['batch', 'length', 16]] },
  })
}

it.for<[string, Graph['nodes']]>([
  [
    'its operators say so',
    [
      ['DynamicQuantizeLinear', ['word'], ['quantised', 'scale', 'zero']],
      ['DequantizeLinear', ['quantised', 'scale', 'zero'], ['last_hidden_state']],
    ],
  ],
  [
    'it gives other bits when it is tried',
    [
      ['ReduceMax', ['word'], ['most'], { axes: [0, 1], keepdims: 1 }],
      ['Add', ['word', 'most'], ['last_hidden_state']],
    ],
  ],
])('lets no inputs share a run of a graph that looks at the whole batch: %s', async ([, nodes]) => {
  const { open } = await hold('tiny-bert', batchVariant(nodes))
  const model = await open()
  const told: { kind: string; id: number }[] = []
  process.once('worker', (worker) => worker.on('message', (message) => told.push(message)))
  const engine = startEngine()
  // As long as each other, so that they are given to it together.
  const texts = TEXTS.map((text) => text.padEnd(30))
  const expected = await alone('feature-extraction', model, texts)
  const given = await Promise.all(texts.map((text) => engine.run('feature-extraction', model, text)))
  expect(given.map(({ output }) => output)).toEqual(expected.map(({ output }) => output))
  expect(engine.stats()).toMatchObject({ runs: TEXTS.length, rows: TEXTS.length })
  // Those that were taken before it was known are answered one by one, and later ones taken so.
  expect(told.filter(({ kind }) => kind === 'ran')).toHaveLength(TEXTS.length)
  told.length = 0
  await Promise.all(texts.map((text) => engine.run('feature-extraction', model, text)))
  expect(told.filter(({ kind }) => kind === 'ran')).toEqual([])
})

it('tells a bad input, a task and a model apart, and goes on', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine()
  // @ts-expect-error no such task
  await expect(engine.run('no-task', model, 'a')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  // @ts-expect-error it takes text
  await expect(engine.run('feature-extraction', model, new Uint8Array(3))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
  await expect(engine.run('feature-extraction', model, 'a', { options: { pool: 1 } })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('no option "pool"'),
  })
  await expect(engine.run('feature-extraction', 'name', 'a')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(engine.run('text-classification', model, 'a')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('is no model for text-classification'),
  })
  await expect(engine.run('feature-extraction', model, 'a', { dtype: 'q4' })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
})

it('tells a text piece by piece while it is generated, and ends it when nobody wants it any more', async () => {
  const { open } = await hold('tiny-gpt')
  const model = await open()
  const engine = startEngine()
  const options = { max_new_tokens: 8 }
  const pieces: string[] = []
  const { output } = await engine.run('text-generation', model, 'the', {
    options,
    onText: (piece) => pieces.push(piece),
  })
  expect(output).toEqual({ generated_text: `the${pieces.join('')}` })
  expect(pieces.length).toBeGreaterThan(1)
  const stop = new AbortController()
  const long = engine.run('text-generation', model, 'the', {
    options: { max_new_tokens: 100_000 },
    signal: stop.signal,
    onText: () => stop.abort(new Error('enough')),
  })
  await expect(long).rejects.toThrow('enough')
  const thrown = engine.run('text-generation', model, 'the', {
    options,
    onText: () => {
      throw new Error('of the caller')
    },
  })
  await expect(thrown).rejects.toThrow('of the caller')
  // The thread is not busy with what nobody wants.
  expect(await engine.run('text-generation', model, 'the', { options })).toMatchObject({ output })
  const noText = engine.run('feature-extraction', model, 'a', { onText: () => undefined })
  await expect(noText).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('takes an aborted input out of the queue, and refuses what is too much', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine({ maxQueued: 10, batch: { windowMs: 60_000 } })
  const stop = new AbortController()
  const [first, ...others] = Array.from({ length: 10 }, (_, index) =>
    engine.run('feature-extraction', model, TEXTS[0] ?? '', { signal: index === 0 ? stop.signal : undefined }),
  )
  // Until all have found their way into the queue, which waits for more.
  await until(() => engine.stats().queued === 10)
  await expect(engine.run('feature-extraction', model, 'one too many')).rejects.toMatchObject({ code: 'BUSY' })
  stop.abort(new Error('not wanted any more'))
  await expect(first).rejects.toThrow('not wanted any more')
  expect(engine.stats().queued).toBe(9)
  const closing = engine.close()
  await expect(engine.run('feature-extraction', model, 'late')).rejects.toMatchObject({
    message: 'the engine is closed',
  })
  // What was asked for before ends first.
  expect(await Promise.all(others)).toHaveLength(9)
  await closing
})

it('answers what becomes ready between two looks at the clock', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine({ batch: { windowMs: 300 } })
  await engine.load('feature-extraction', model)
  const now = performance.now.bind(performance)
  let looks = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + (looks += 110))
  onTestFinished(() => clock.mockRestore())
  expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
})

it('rejects what waits when it is closed at once', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine({ batch: { windowMs: 60_000 } })
  const waiting = engine.run('feature-extraction', model, 'a')
  const told = Promise.allSettled([waiting])
  await until(() => engine.stats().queued === 1)
  await engine.close({ drain: false })
  const reason = { code: 'BACKEND', message: 'the engine was closed' }
  expect(await told).toMatchObject([{ status: 'rejected', reason }])
})

it('fails what a thread was doing when it ended, and starts another', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const workers = watchWorkers()
  const engine = startEngine()
  await engine.load('feature-extraction', model)
  // Long enough not to be answered before the thread has ended, and as long as each other, so that they are given to it together.
  const long = TEXTS.map((text) => `${text} `.repeat(200_000).slice(0, 400_000))
  const running = Promise.allSettled(long.map((text) => engine.run('feature-extraction', model, text)))
  await until(
    () => engine.stats().workers[0]?.given === 1,
    () => engine.stats(),
  )
  // It is among its tokens, and not inside ONNX Runtime.
  await workers[0]?.terminate()
  for (const result of await soon(running, () => engine.stats())) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CRASH', model: model.cid.toString() } })
  }
  expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
  expect(engine.stats().crashes).toBe(1)
  expect(workers).toHaveLength(2)
})

it('leaves a model alone that crashes again, and no other', async () => {
  const [bad, good] = [await (await hold('tiny-bert')).open(), await (await hold('tiny-sentiment')).open()]
  const workers = watchWorkers()
  const engine = startEngine({ quarantineMs: 3_600_000 })
  for (const _ of [1, 2]) {
    const before = workers.length
    const told = Promise.allSettled([engine.run('feature-extraction', bad, 'a')])
    // The one that was started for it, and has it.
    await until(
      () => workers.length > before && engine.stats().workers[0]?.given === 1,
      () => engine.stats(),
    )
    await crash(workers.at(-1))
    expect(await soon(told, () => engine.stats())).toMatchObject([{ status: 'rejected', reason: { code: 'CRASH' } }])
  }
  await expect(engine.run('feature-extraction', bad, 'a')).rejects.toMatchObject({
    code: 'CRASH',
    quarantinedUntilMs: expect.any(Number),
    message: expect.stringContaining('left alone until'),
  })
  const running = soon(engine.run('text-classification', good, 'good'), () => engine.stats())
  expect(await running).toMatchObject({ output: [{ label: 'POSITIVE' }] })
})

it('ends a thread that needs more memory than it may have, not the process', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine({ heapMib: 60 })
  expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
  await expect(engine.run('feature-extraction', model, 'hello world '.repeat(2_000_000))).rejects.toMatchObject({
    code: 'CRASH',
    message: expect.stringContaining('memory limit'),
  })
  expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
})

it('unloads what was not used for longest where there is no room for all', async () => {
  const [bert, sentiment] = [await (await hold('tiny-bert')).open(), await (await hold('tiny-sentiment')).open()]
  const bytes = bert.files.find(({ path }) => path === 'onnx/model.onnx')?.size ?? 0
  const engine = startEngine({ memoryBytes: bytes + 100 })
  for (const _ of [1, 2]) {
    expect(await engine.run('feature-extraction', bert, 'a')).toMatchObject({ output: { dims: [16] } })
    expect(await engine.run('text-classification', sentiment, 'good')).toMatchObject({
      output: [{ label: 'POSITIVE' }],
    })
  }
  expect(engine.stats()).toMatchObject({ loads: 4, unloads: 3 })
  const small = startEngine({ memoryBytes: 1000 })
  await expect(small.run('feature-extraction', bert, 'a')).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringContaining(`${bytes} bytes, and 1000 may be loaded`),
  })
  await expect(small.load('feature-extraction', bert)).rejects.toMatchObject({ code: 'NO_SPACE' })
})

it('unloads what nobody asks for any more', async () => {
  const { open } = await hold('tiny-bert')
  const model = await open()
  const engine = startEngine({ keepAliveMs: 50 })
  await engine.run('feature-extraction', model, 'a')
  await until(() => engine.stats().unloads === 1)
  expect(engine.stats().models).toEqual([])
  await engine.run('feature-extraction', model, 'a')
  expect(await engine.unload(model.cid.toString())).toBeLessThanOrEqual(1)
})

it('opens a reference once, and closes what it opened', async () => {
  const { open, added } = await hold('tiny-bert')
  const events: string[] = []
  const engine = startEngine({
    openModel: async (reference) => {
      events.push(`open ${reference}`)
      const model = await open()
      return { ...model, close: async () => void events.push('close') }
    },
  })
  const reference = `ipfs://${added.cid}`
  await Promise.all([1, 2, 3].map(() => engine.run('feature-extraction', reference, 'a')))
  await engine.run('feature-extraction', reference, 'b')
  await engine.close()
  expect(events.filter((event) => event.startsWith('open')).length).toBe(
    events.filter((event) => event === 'close').length,
  )
})
