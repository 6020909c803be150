import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { createEngine, type Engine, type EngineOptions, type EngineStats } from '../src/index.ts'
import { hold, tempDirectory, until } from './support.ts'

const TASK = 'feature-extraction'
const ANSWER = { output: { dims: [16] } }

function startEngine(options: EngineOptions): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

it('sizes a model by what is loaded, not by graphs that its architecture does not have', async () => {
  const { open } = await hold('tiny-bert', (files) => {
    const graph = files['onnx/model.onnx'] ?? new Uint8Array()
    files['onnx/model_quantized.onnx'] = graph
    for (const index of [1, 2, 3]) files[`onnx/other${index}.onnx`] = graph
  })
  const model = await open()
  const bytes = model.files.find(({ path }) => path === 'onnx/model.onnx')?.size ?? 0
  const engine = startEngine({ memoryBytes: bytes * 2 })
  expect(await engine.run(TASK, model, 'a')).toMatchObject(ANSWER)
  expect(engine.stats().models).toMatchObject([{ bytes }])
  // The other graphs have no such variant.
  expect(await engine.run(TASK, model, 'a', { dtype: 'q8' })).toMatchObject(ANSWER)
})

it('unloads nothing for a model that is too large in any case', async () => {
  const [gpt, bert] = [await (await hold('tiny-gpt')).open(), await (await hold('tiny-bert')).open()]
  const sizeOf = ({ files }: typeof bert): number => files.find(({ path }) => path === 'onnx/model.onnx')?.size ?? 0
  expect(sizeOf(bert)).toBeGreaterThan(sizeOf(gpt))
  const engine = startEngine({ memoryBytes: sizeOf(gpt) })
  await engine.load('text-generation', gpt)
  await expect(engine.run(TASK, bert, 'a')).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(engine.stats().unloads).toBe(0)
})

it.each([
  ['no graph', (path: string) => writeFile(path, 'no graph')],
  ['not there', async () => undefined],
])('tells of a graph that is not held as it was prepared: what it would be is %s', async (_what, make) => {
  const model = await (await hold('tiny-bert')).open()
  const path = join(await tempDirectory(), 'model.onnx')
  await make(path)
  const warnings: string[] = []
  const engine = startEngine({
    prepare: async () => ({ path, options: {}, weights: 'unpacked', isMapped: true }),
    onWarning: (message) => warnings.push(message),
  })
  expect(await engine.run(TASK, model, 'a')).toMatchObject({
    ...ANSWER,
    receipt: { numericClass: expect.stringMatching(/-prepacked$/) },
  })
  expect(warnings).toEqual([expect.stringMatching(new RegExp(`^${model.cid}: .* is opened as it is: `))])
})

it('runs nothing on a prepared file that cannot be read, for it could not be said which it was', async () => {
  const model = await (await hold('tiny-bert')).open()
  const path = await tempDirectory()
  const engine = startEngine({
    prepare: async () => ({ path, options: {}, weights: 'prepacked', isMapped: false }),
  })
  await expect(engine.run(TASK, model, 'a')).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining('EISDIR'),
  })
})

/** How many workers have a model. */
const copiesIn = ({ workers }: EngineStats): number => workers.reduce((sum, { models }) => sum + models.length, 0)

const TEXTS = ['a', 'hello', 'hello world', 'this is a test']

it('makes no copies for which there is no room of weights that were to be mapped, and are refused', async () => {
  const model = await (await hold('tiny-bert')).open()
  const path = join(await tempDirectory(), 'model.onnx')
  await writeFile(path, 'no graph')
  const bytes = model.files.find((file) => file.path === 'onnx/model.onnx')?.size ?? 0
  const prepare = async () => ({ path, options: {}, weights: 'prepacked', isMapped: true }) as const
  const engine = startEngine({ workers: 4, threads: 1, memoryBytes: bytes * 1.5, batch: { maxRows: 1 }, prepare })
  await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text)))
  expect(engine.stats().loads).toBe(1)
  expect(copiesIn(engine.stats())).toBe(1)
})

it('lets a copy go when weights that were mapped cannot be any more, and there is no room for two', async () => {
  const model = await (await hold('tiny-bert')).open()
  const path = join(await tempDirectory(), 'model.onnx')
  await copyFile(model.path('onnx/model.onnx') ?? '', path)
  const bytes = model.files.find((file) => file.path === 'onnx/model.onnx')?.size ?? 0
  const prepare = async () => ({ path, options: {}, weights: 'prepacked', isMapped: true }) as const
  const engine = startEngine({ workers: 2, threads: 1, memoryBytes: bytes * 1.5, batch: { maxRows: 1 }, prepare })
  await engine.load(TASK, model)
  await writeFile(path, 'no graph')
  await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text)))
  expect(engine.stats().loads).toBe(2)
  await until(() => copiesIn(engine.stats()) === 1)
  expect(engine.stats().unloads).toBe(1)
})
