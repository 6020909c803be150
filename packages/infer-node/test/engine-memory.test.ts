import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { createEngine, type Engine, type EngineOptions } from '../src/index.ts'
import { hold, tempDirectory } from './support.ts'

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
