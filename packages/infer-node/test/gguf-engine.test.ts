import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

import { createCache } from '@x/cache'
import { ggufFixture, readGgufReference } from '@x/fixtures'
import { openModel, type OpenedModel } from '@x/model-loader'
import { LlamaModel } from 'node-llama-cpp'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'

import { runTask, type EngineOptions } from '../src/index.ts'
import { holdFiles, holdGguf, llamaOrSkip, openEngine as open, watchLlama } from './gguf-support.ts'
import { graphOf, openFiles, product } from './raw-support.ts'
import { crash, until } from './support.ts'

beforeEach(llamaOrSkip)

const options = { max_new_tokens: 16, return_full_text: false }

it('a GGUF gives in an engine what it gives alone', async () => {
  const [llama, bert] = await Promise.all([holdGguf('tiny-gguf-llama'), holdGguf('tiny-gguf-bert')])
  const models = await Promise.all([llama.open(), bert.open()])
  const [text] = await runTask('text-generation', models[0], ['goats walks'], { options })
  const [vector] = await runTask('feature-extraction', models[1], ['hello world'])
  const engine = open({ workers: 2, threads: 1 })
  const pieces: string[] = []
  const onText = (piece: string): unknown => pieces.push(piece)
  const results = await Promise.all([
    engine.run('text-generation', models[0], 'goats walks', { options, onText }),
    engine.run('feature-extraction', models[1], 'hello world'),
    engine.run('text-generation', models[0], 'goats walks', { options }),
  ])
  const cids = results.map(({ receiptCid }) => receiptCid.toString())
  expect(cids).toEqual([text, vector, text].map((one) => one?.receiptCid.toString()))
  expect(pieces.join('')).toBe(readGgufReference('tiny-gguf-llama').texts[0]?.text)
  // Of a GGUF no run is shared.
  expect(engine.stats()).toMatchObject({ runs: 3, rows: 3 })
})

it('what waits for a GGUF is bounded, and is taken back', async () => {
  const { open: openOne } = await holdGguf('tiny-gguf-llama')
  const model = await openOne()
  const engine = open({ maxQueued: 1 })
  const stop = new AbortController()
  const reason = new Error('enough')
  const begun = Promise.withResolvers<void>()
  let pieces = 0
  const first = engine.run('text-generation', model, 'goats walks', {
    options: { max_new_tokens: 400 },
    signal: stop.signal,
    onText() {
      pieces += 1
      stop.abort(reason)
      begun.resolve()
    },
  })
  await expect(first).rejects.toBe(reason)
  await begun.promise
  const refused = await Promise.allSettled(
    ['goats walks', 'near tree', 'tree a', 'hills a'].map((prompt) =>
      engine.run('text-generation', model, prompt, { options }),
    ),
  )
  const reasons = refused.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  expect(reasons.length).toBeGreaterThan(0)
  for (const one of reasons) expect(one).toMatchObject({ code: 'BUSY' })
  // What was taken back ended before it had its answer.
  expect(pieces).toBe(1)
  expect(engine.stats().rows).toBe(refused.length - reasons.length)
})

it('a GGUF that was loaded is given from the cache without being loaded again', async () => {
  const { open: openOne } = await holdGguf('tiny-gguf-llama')
  const model = await openOne()
  const cache = createCache()
  for (const from of ['computed', 'memory']) {
    const engine = open({ cache, threads: 1 })
    const result = await engine.run('text-generation', model, 'goats walks', { options })
    expect(result.from).toBe(from)
    expect(engine.stats().loads).toBe(from === 'computed' ? 1 : 0)
  }
})

it('close lets a GGUF end what was asked of it, or ends it', async () => {
  const { store, added } = await holdGguf('tiny-gguf-llama')
  const reference = `ipfs://${added.cid}`
  const openOne: EngineOptions['openModel'] = (given, opening) => openModel(store, given, opening)
  const draining = open({ openModel: openOne })
  const asked = draining.run('text-generation', reference, 'goats walks', { options })
  await draining.close()
  expect((await asked).output.generated_text).toBe(readGgufReference('tiny-gguf-llama').texts[0]?.text)

  const long = { prompt: 'goats walks hills a', options: { max_new_tokens: 400 } }
  let whole = 0
  await runTask('text-generation', await openModel(store, reference), [long.prompt], {
    options: long.options,
    onText: () => (whole += 1),
  })
  const ending = open({ openModel: openOne })
  const begun = Promise.withResolvers<void>()
  let pieces = 0
  const cut = ending.run('text-generation', reference, long.prompt, {
    options: long.options,
    onText() {
      pieces += 1
      begun.resolve()
    },
  })
  await begun.promise
  const [ended] = await Promise.allSettled([cut, ending.close({ drain: false })])
  expect(ended).toMatchObject({ reason: { code: 'BACKEND', message: expect.stringContaining('closed') } })
  expect(pieces).toBeLessThan(whole)
})

it('one of several files is chosen, and a task that it does not do is refused', async () => {
  const { open: openOne } = await holdFiles({
    'tiny-F32.gguf': ggufFixture('tiny-gguf-llama').bytes,
    'tiny-Q8_0.gguf': ggufFixture('tiny-gguf-llama-q8').bytes,
  })
  const model = await openOne()
  const engine = open({})
  const { receipt } = await engine.run('text-generation', model, 'goats', { options, dtype: 'Q8_0' })
  expect(receipt.files.map(({ path }) => path)).toEqual(['tiny-Q8_0.gguf'])
  const running = engine.run('fill-mask', model, 'a [MASK]', { dtype: 'Q8_0' })
  await expect(running).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(engine.run('text-generation', model, 'goats')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('a GGUF that several run is held once', async () => {
  const opened = await watchLlama()
  const { open: openOne } = await holdGguf('tiny-gguf-llama')
  const model = await openOne()
  // Two copies would have no room.
  const engine = open({ workers: 2, memoryBytes: ggufFixture('tiny-gguf-llama').bytes.length })
  const begun = Promise.withResolvers<void>()
  const first = engine.run('text-generation', model, 'goats walks hills a', {
    options: { max_new_tokens: 300 },
    onText: () => begun.resolve(),
  })
  await begun.promise
  const second = await engine.run('text-generation', model, 'goats walks', { options })
  expect(second.output.generated_text).toBe(readGgufReference('tiny-gguf-llama').texts[0]?.text)
  await first
  expect(engine.stats().workers.map(({ models }) => models.length)).toEqual([1, 1])
  expect(opened.map(({ disposed }) => disposed)).toEqual([false])
  await engine.close()
  expect(opened.map(({ disposed }) => disposed)).toEqual([true])
})

it('a GGUF is not blamed for a thread that ends beside it, and is let go of there', async () => {
  const [{ open: openOne }, graph] = [
    await holdGguf('tiny-gguf-llama'),
    await openFiles({ 'a.onnx': graphOf(product) }),
  ]
  const opened = await openOne()
  const held = Promise.withResolvers<void>()
  const model = {
    ...opened,
    async verifiedPath(...given: Parameters<NonNullable<OpenedModel['verifiedPath']>>) {
      await held.promise
      return opened.verifiedPath?.(...given)
    },
  }
  const dispose = vi.spyOn(LlamaModel.prototype, 'dispose')
  onTestFinished(() => dispose.mockRestore())
  const engine = open({ threads: 1 })
  const ask = (): Promise<unknown> => engine.run('text-generation', model, 'goats walks', { options })
  const runs: Promise<unknown>[] = []
  for (let round = 0; round < 2; round++) {
    runs.push(ask())
    await until(() => engine.stats().workers[0]?.given === 1)
    const started = once(process, 'worker')
    const session = Promise.allSettled([engine.session(graph)])
    const [worker]: Worker[] = await started
    await crash(worker)
    expect(await session).toMatchObject([{ reason: { code: 'CRASH', model: graph.cid.toString() } }])
  }
  await expect(engine.session(graph)).rejects.toMatchObject({ message: expect.stringContaining('left alone until') })
  held.resolve()
  await Promise.all(runs)
  // Nobody holds it any more.
  await until(() => dispose.mock.calls.length === 1)
  await ask()
})
