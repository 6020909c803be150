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
import { crash, soon, until } from './support.ts'

beforeEach(llamaOrSkip)

const options = { max_new_tokens: 16, return_full_text: false }

it('a GGUF gives in an engine what it gives alone', async () => {
  const [llama, bert] = await Promise.all([holdGguf('tiny-gguf-llama'), holdGguf('tiny-gguf-bert')])
  const models = await Promise.all([llama.open(), bert.open()])
  const [text] = await runTask('text-generation', models[0], ['goats walks'], { options })
  const [vector] = await runTask('feature-extraction', models[1], ['hello world'])
  const engine = open({ workers: 2, threads: 1, batch: { windowMs: 3_600_000 } })
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
  // Of a GGUF no run is shared, nor waited for.
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

/** A model whose files are not checked before it may go on, so that it is being loaded until then. */
function heldUp(opened: OpenedModel): { model: OpenedModel; goOn: () => void } {
  const held = Promise.withResolvers<void>()
  async function verifiedPath(...given: Parameters<NonNullable<OpenedModel['verifiedPath']>>): Promise<string> {
    await held.promise
    return (await opened.verifiedPath?.(...given)) ?? ''
  }
  return { model: { ...opened, verifiedPath }, goOn: held.resolve }
}

const feeds = { x: { type: 'float32', dims: [1, 3], data: Float32Array.of(1, 2, 3) } } as const

it('graphs and GGUFs do not wait for each other', async () => {
  const llama = await (await holdGguf('tiny-gguf-llama')).open()
  const graph = await openFiles({ 'a.onnx': graphOf(product) })
  const engine = open({ threads: 1 })
  const given = (): number[] => engine.stats().workers.map((one) => one.given)
  const ask = (model: OpenedModel): Promise<unknown> => engine.run('text-generation', model, 'goats walks', { options })

  const slow = heldUp(llama)
  const texts = [ask(slow.model), ask(slow.model)]
  await until(() => given()[0] === 2, given)
  const session = await soon(engine.session(graph), given)
  expect((await soon(session.run(feeds), given)).output['y']?.dims).toEqual([1, 2])
  expect(given()).toEqual([2, 0])
  slow.goOn()
  await Promise.all(texts)

  const slowGraph = heldUp(await openFiles({ 'b.onnx': graphOf(product) }))
  const sessions = [engine.session(slowGraph.model), engine.session(slowGraph.model)]
  await until(() => given()[1] === 2, given)
  await soon(ask(slow.model), given)
  expect(given()).toEqual([0, 2])
  slowGraph.goOn()
  await Promise.all(sessions)
})

it('a GGUF is not blamed for a thread that ends beside it, and stays loaded', async () => {
  const llama = heldUp(await (await holdGguf('tiny-gguf-llama')).open())
  const graph = await openFiles({ 'a.onnx': graphOf(product) })
  const dispose = vi.spyOn(LlamaModel.prototype, 'dispose')
  onTestFinished(() => dispose.mockRestore())
  const engine = open({ threads: 1 })
  const ask = (): Promise<unknown> => engine.run('text-generation', llama.model, 'goats walks', { options })
  const runs: Promise<unknown>[] = []
  for (const given of [1, 2]) {
    runs.push(ask())
    await until(() => engine.stats().workers[0]?.given === given)
    const started = once(process, 'worker')
    const session = Promise.allSettled([engine.session(graph)])
    const [worker]: Worker[] = await started
    await crash(worker)
    expect(await session).toMatchObject([{ reason: { code: 'CRASH', model: graph.cid.toString() } }])
  }
  await expect(engine.session(graph)).rejects.toMatchObject({ message: expect.stringContaining('left alone until') })
  llama.goOn()
  await Promise.all(runs)
  await ask()
  // Each graph was loaded once, and it as well.
  expect(engine.stats()).toMatchObject({ crashes: 2, loads: 3 })
  expect(dispose).not.toHaveBeenCalled()
})

it('a GGUF takes its room, also when a thread of graphs has ended since', async () => {
  const [one, other] = [await holdGguf('tiny-gguf-llama'), await holdGguf('tiny-gguf-bert')]
  const llama = heldUp(await one.open())
  const graph = await openFiles({ 'a.onnx': graphOf(product) })
  const memoryBytes = ggufFixture('tiny-gguf-llama').bytes.length + graphOf(product).length
  const engine = open({ threads: 1, memoryBytes, minResidentMs: 0 })
  const started = once(process, 'worker')
  await engine.session(graph)
  const [worker]: Worker[] = await started
  const text = engine.run('text-generation', llama.model, 'goats walks', { options })
  await until(() => engine.stats().workers.some(({ given }) => given === 1))
  await crash(worker)
  const vector = engine.run('feature-extraction', await other.open(), 'hello world')
  await until(() => engine.stats().queued === 1)
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
  expect(engine.stats()).toMatchObject({ queued: 1, loads: 2 })
  llama.goOn()
  await text
  expect((await vector).output.dims).toEqual([expect.any(Number)])
})
