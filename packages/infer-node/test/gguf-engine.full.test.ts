import { fixtureModel, ggufFixture } from '@x/fixtures'
import { beforeEach, expect, it } from 'vitest'

import { runTask } from '../src/index.ts'
import { holdGguf, llamaOrSkip, openEngine as open, watchLlama } from './gguf-support.ts'
import { hold } from './support.ts'

beforeEach(llamaOrSkip)

const options = { max_new_tokens: 16, return_full_text: false }

it('GGUFs and graphs run beside each other', async () => {
  const [llama, graphs] = await Promise.all([holdGguf('tiny-gguf-llama'), hold('tiny-bert')])
  const models = await Promise.all([llama.open(), graphs.open()])
  const [text] = await runTask('text-generation', models[0], ['goats walks'], { options })
  const [vector] = await runTask('feature-extraction', models[1], ['hello world'])
  for (const workers of [1, 2]) {
    const engine = open({ workers, threads: 1 })
    const results = await Promise.all([
      engine.run('text-generation', models[0], 'goats walks', { options }),
      engine.run('feature-extraction', models[1], 'hello world'),
      engine.run('text-generation', models[0], 'goats walks', { options }),
    ])
    const cids = results.map(({ receiptCid }) => receiptCid.toString())
    expect(cids).toEqual([text, vector, text].map((one) => one?.receiptCid.toString()))
  }
})

it('memory is bounded over GGUFs and graphs, and what is not used for longest goes', async () => {
  const size = ggufFixture('tiny-gguf-llama').bytes.length
  const [llama, q8, graphs] = await Promise.all([
    holdGguf('tiny-gguf-llama'),
    holdGguf('tiny-gguf-llama-q8'),
    hold('tiny-bert'),
  ])
  const graphBytes = fixtureModel('tiny-bert').files['onnx/model.onnx']?.length ?? 0
  const engine = open({ memoryBytes: size + graphBytes })
  const loaded = (): number => engine.stats().workers.reduce((sum, { models }) => sum + models.length, 0)
  await engine.load('text-generation', await llama.open())
  await engine.load('feature-extraction', await graphs.open())
  expect(loaded()).toBe(2)
  await engine.run('text-generation', await q8.open(), 'goats', { options })
  expect(engine.stats()).toMatchObject({ unloads: 1 })
  expect(await engine.unload(q8.added.cid.toString())).toBe(1)
  const small = open({ memoryBytes: size - 1 })
  await expect(small.load('text-generation', await llama.open())).rejects.toMatchObject({ code: 'NO_SPACE' })
})

it('a GGUF that is not used any more is unloaded, and loaded again when it is', async () => {
  const opened = await watchLlama()
  const { open: openOne } = await holdGguf('tiny-gguf-llama')
  const model = await openOne()
  const engine = open({ keepAliveMs: 1 })
  const first = await engine.run('text-generation', model, 'goats walks', { options })
  await expect.poll(() => opened.map(({ disposed }) => disposed)).toEqual([true])
  expect(engine.stats().unloads).toBe(1)
  const again = await engine.run('text-generation', model, 'goats walks', { options })
  expect(again.receiptCid).toEqual(first.receiptCid)
  expect(engine.stats().loads).toBe(2)
  expect(opened).toHaveLength(2)
})
