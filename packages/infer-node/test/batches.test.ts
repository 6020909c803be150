import { createCache } from '@x/cache'
import { wideBert, type Files } from '@x/fixtures'
import type { GivenOptions } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { expect, it, onTestFinished, vi } from 'vitest'

import { encoder } from '../../../tooling/fixtures/src/models/encoder.ts'
import { encodeModel, float32, int64 } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { createEngine, createRunner, type Engine, type EngineOptions, type Runner } from '../src/index.ts'
import { graphOf, openFiles, product } from './raw-support.ts'
import { hold, soon } from './support.ts'

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

function padding(files: Files, side: string): Files {
  const config = Buffer.from(files['tokenizer_config.json'] ?? []).toString()
  const padded = JSON.stringify({ ...JSON.parse(config), padding_side: side })
  return { ...files, 'tokenizer_config.json': Uint8Array.from(Buffer.from(padded)) }
}

const TASK = 'feature-extraction'
// Of like length, so that they would share a run with little padding.
const TEXTS = ['hello world this', 'hello world this is', 'a test', 'content address model test', 'this is a test']

async function outputsAlone(runner: Runner, model: OpenedModel, options: GivenOptions): Promise<string[]> {
  const outputs: string[] = []
  for await (const { receipt } of runner.run(TASK, model, TEXTS, { options })) outputs.push(receipt.output.toString())
  return outputs
}

const CASES = ['right', 'left'].flatMap((side) =>
  ['mean', 'cls', 'first_token', 'last_token', 'eos', 'none'].flatMap((pooling) =>
    [false, true].map((normalize) => ({ side, options: { pooling, normalize } })),
  ),
)

it('gives in a batch the bits that a text has alone: any pooling, normalised or not, padded at either side', async () => {
  const engine = startEngine()
  const runner = createRunner()
  onTestFinished(() => runner.close())
  const shape = { width: 16, layers: 1, heads: 2, intermediate: 32 }
  const models = {
    right: await openFiles(padding(encoder(shape), 'right')),
    left: await openFiles(padding(encoder(shape), 'left')),
  }
  for (const { side, options } of CASES) {
    const model = side === 'left' ? models.left : models.right
    const given = await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text, { options })))
    const outputs = given.map(({ receipt }) => receipt.output.toString())
    expect({ side, options, outputs }).toEqual({ side, options, outputs: await outputsAlone(runner, model, options) })
  }
  // It is the batches that were right.
  expect(engine.stats().runs).toBeLessThan(engine.stats().rows)
})

it('sees when it tries a graph that many tokens at once change what it gives', async () => {
  const changing = encodeModel({
    nodes: [
      ['Gather', ['table', 'input_ids'], ['word'], { axis: 0 }],
      ['Shape', ['input_ids'], ['shape']],
      ['ReduceProd', ['shape'], ['tokens'], { keepdims: 0 }],
      ['Greater', ['tokens', 'many'], ['are_many']],
      ['Cast', ['are_many'], ['shift'], { to: 1 }],
      ['Add', ['word', 'shift'], ['last_hidden_state']],
    ],
    initializers: { table: float32([1024, 16], new Float32Array(16_384)), many: int64([], [200]) },
    inputs: { input_ids: ['int64', ['batch', 'length']], attention_mask: ['int64', ['batch', 'length']] },
    outputs: { last_hidden_state: ['float32', ['batch', 'length', 16]] },
  })
  const model = await openFiles({ ...wideBert(16, 1), 'onnx/model.onnx': changing })
  const engine = startEngine()
  await engine.load(TASK, model)
  const given = await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text)))
  expect(given).toHaveLength(engine.stats().runs)
})

it('sees when it tries a graph that it takes one text at a time', async () => {
  const single = encodeModel({
    nodes: [['Gather', ['table', 'input_ids'], ['last_hidden_state'], { axis: 0 }]],
    initializers: { table: float32([1024, 16], new Float32Array(16_384)) },
    inputs: { input_ids: ['int64', [1, 'length']], attention_mask: ['int64', [1, 'length']] },
    outputs: { last_hidden_state: ['float32', [1, 'length', 16]] },
  })
  const model = await openFiles({ ...wideBert(16, 1), 'onnx/model.onnx': single })
  const engine = startEngine()
  const given = await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text)))
  // None of a batch that fails first.
  expect(engine.stats()).toMatchObject({ runs: given.length, rows: given.length })
})

it('lets no input wait for others that would run alone', async () => {
  const engine = startEngine({ batch: { windowMs: 3_600_000 } })
  const [gpt, alone] = [await (await hold('tiny-gpt')).open(), await openFiles(padding(wideBert(16, 1), 'left'))]
  const session = await engine.session(await openFiles({ 'a.onnx': graphOf(product) }))
  await engine.load(TASK, alone)
  const given = [
    session.run({ x: { type: 'float32', dims: [1, 3], data: Float32Array.of(1, 2, 3) } }),
    engine.run('text-generation', gpt, 'the'),
    engine.run(TASK, alone, 'a test'),
  ]
  expect(await soon(Promise.all(given), () => engine.stats())).toHaveLength(3)
})

it('lets what is left over wait no longer than from when it came', async () => {
  const windowMs = 50
  const model = await openFiles(wideBert(16, 1))
  const engine = startEngine({ workers: 2, threads: 1, batch: { windowMs }, cache: createCache() })
  await engine.load(TASK, model)
  // A clock that stands, but that once all wait their time is over.
  const baseMs = performance.now()
  let isOver = false
  vi.spyOn(performance, 'now').mockImplementation(() => {
    isOver ||= engine.stats().queued === 4
    return isOver ? baseMs + windowMs : baseMs
  })
  onTestFinished(() => void vi.restoreAllMocks())
  const asked = ['one', 'other'].flatMap((caller) =>
    ['a test', 'hello world'].map((text) => engine.run(TASK, model, text, { caller })),
  )
  expect(await soon(Promise.all(asked), () => engine.stats())).toHaveLength(4)
  // Each text in a thread of its own, however many ask for it.
  expect(engine.stats()).toMatchObject({ runs: 2, rows: 2 })
})

it('lets no inputs share a run where the weights are not prepacked', async () => {
  const model = await openFiles(wideBert(512, 2))
  const engine = startEngine({
    threads: 2,
    prepare: async (of, file) => ({
      path: of.path(file) ?? '',
      options: { extra: { session: { disable_prepacking: '1' } } },
      weights: 'unpacked',
      isMapped: false,
    }),
  })
  const texts = Array.from({ length: 32 }, (_, row) => `${TEXTS.join(' ')} ${'a '.repeat(row % 2)}`)
  const [first] = texts
  const alone = await engine.run(TASK, model, first ?? '')
  const before = engine.stats()
  const [given] = await Promise.all(texts.map((text) => engine.run(TASK, model, text)))
  expect(given?.receipt.output).toEqual(alone.receipt.output)
  expect(engine.stats().runs - before.runs).toBe(texts.length)
  // And with another number of threads the bits are not said to be the same.
  expect(given?.receipt.numericClass).toMatch(/-unpacked-2/)
})

/** Texts of so many characters, of one word and of many. */
const few = (characters: number): string => 'x'.repeat(characters)
const many = (characters: number): string => 'hello world '.repeat(characters / 12)

it('answers what has run when its run ends, once, whatever becomes of those beside it', async () => {
  const model = await openFiles(wideBert(16, 1))
  const told: { kind: string; ones?: { index: number }[]; result?: { ran?: unknown[] } }[] = []
  let killsNext = false
  let ended = Promise.withResolvers<void>()
  process.once('worker', (worker) =>
    worker.on('message', (message) => {
      told.push(message)
      if (message.kind === 'result') ended.resolve()
      if (killsNext && message.kind === 'ran') void worker.terminate()
    }),
  )
  const engine = startEngine({ threads: 1 })
  await engine.load(TASK, model)
  told.length = 0
  ended = Promise.withResolvers()
  // Equally long, so that they are given to the thread together, and of one token or many, so that padding the first to the length of
  // the others would cost more than a second run.
  const texts = [few(360), many(360), few(360), many(360)]
  const given = await Promise.all(texts.map((text) => engine.run(TASK, model, text)))
  await ended.promise
  expect(given[0]?.receiptCid).toEqual(given[2]?.receiptCid)
  expect(told.map(({ kind }) => kind)).toEqual(['ran', 'ran', 'result'])
  expect(told.flatMap(({ ones = [] }) => ones.map(({ index }) => index))).toEqual([0, 2, 1, 3])
  expect(told.at(-1)?.result?.ran).toEqual([undefined, undefined, undefined, undefined])
  expect(engine.stats()).toMatchObject({ runs: 2, rows: 4 })
  killsNext = true
  // Long enough not to be answered before the thread has ended.
  const asked = [few(600_000), few(600_000), many(600_000)].map((text) => engine.run(TASK, model, text))
  expect(await Promise.allSettled(asked)).toMatchObject([
    { value: { output: given[0]?.output } },
    { value: { output: given[0]?.output } },
    { reason: { code: 'CRASH' } },
  ])
  expect(engine.stats()).toMatchObject({ runs: 3, rows: 6, crashes: 1 })
})
