import { appendFile, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createCache, type Cache, type CacheArea, type CacheValue } from '@x/cache'
import { openDiskArea } from '@x/cache/disk'
import { decodeDagCbor, encodeDagCbor, verify } from '@x/cid'
import type { Files } from '@x/fixtures'
import { encodeResultKey } from '@x/infer-core'
import { expect, it, onTestFinished } from 'vitest'

import { encodeModel, float32 } from '../../../tooling/fixtures/src/onnx-writer.ts'
import {
  createEngine,
  createRunner,
  type Engine,
  type EngineOptions,
  type EngineRunOptions,
  type Runner,
} from '../src/index.ts'
import { hold, tempDirectory, until } from './support.ts'

function startEngine(cache: Cache | undefined, options: EngineOptions = {}): Engine {
  const engine = createEngine({ cache, ...options })
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

it('gives a result again, with its receipt and blocks, and without loading the model', async () => {
  const directory = await tempDirectory()
  const open = async (): Promise<Cache> => createCache({ disk: await openDiskArea({ directory }) })
  const held = await hold('tiny-bert')
  const model = await held.open()
  const cache = await open()
  const engine = startEngine(cache)
  const first = await engine.run('feature-extraction', model, 'hello world')
  expect(first.from).toBe('computed')
  const again = await engine.run('feature-extraction', model, 'hello world')
  expect(again.from).toBe('memory')
  expect(again.output).toEqual(first.output)
  await engine.close()
  await cache.close()

  // Another process, which has loaded nothing.
  const later = await open()
  const idle = startEngine(later)
  const kept = await idle.run('feature-extraction', model, 'hello world')
  expect(kept).toMatchObject({ from: 'disk', output: first.output, receipt: first.receipt, params: first.params })
  expect(kept.receiptCid).toEqual(first.receiptCid)
  expect(kept.dtypeReason).toBe(first.dtypeReason)
  for (const { cid, bytes } of kept.blocks) await verify(cid, bytes)
  expect(kept.blocks.map(({ cid }) => cid.toString())).toEqual(first.blocks.map(({ cid }) => cid.toString()))
  expect(idle.stats()).toMatchObject({ loads: 0, runs: 0, workers: [] })
  await later.close()
})

it('is another result for another input, option, model, dtype or way to hold weights', async () => {
  const cache = createCache()
  const bert = await (await hold('tiny-bert')).open()
  const other = await (
    await hold('tiny-bert', (files: Files) => {
      files['README.md'] = Uint8Array.from(Buffer.from('another revision'))
    })
  ).open()
  const engine = startEngine(cache)
  const run = async (...args: Parameters<typeof engine.run<'feature-extraction'>>) => (await engine.run(...args)).from
  expect(await run('feature-extraction', bert, 'hello')).toBe('computed')
  expect(await run('feature-extraction', bert, 'hello')).toBe('memory')
  expect(await run('feature-extraction', bert, 'world')).toBe('computed')
  expect(await run('feature-extraction', bert, 'hello', { options: { normalize: true } })).toBe('computed')
  expect(await run('feature-extraction', other, 'hello')).toBe('computed')
  // Asked for by name, the same variant is the same key, once it is known that it is.
  expect(await run('feature-extraction', bert, 'world', { dtype: 'fp32' })).toBe('computed')
  expect(await run('feature-extraction', bert, 'hello', { dtype: 'fp32' })).toBe('memory')
  expect(await run('feature-extraction', bert, 'hello', { cache: 'bypass' })).toBe('computed')
  expect(await run('feature-extraction', bert, 'hello', { cache: 'refresh' })).toBe('computed')
  const mapped = startEngine(cache, {
    prepare: async (model, file) => ({
      path: model.path(file) ?? '',
      options: { extra: { session: { disable_prepacking: '1' } } },
      weights: 'unpacked',
      isMapped: false,
    }),
  })
  expect((await mapped.run('feature-extraction', bert, 'hello')).from).toBe('computed')
  expect((await mapped.run('feature-extraction', bert, 'hello')).from).toBe('memory')
})

it('is another result where graphs are prepared with other options or in another file', async () => {
  const cache = createCache()
  const bert = await (await hold('tiny-bert')).open()
  const directory = await tempDirectory()
  const preparedWith = (options: Record<string, unknown>, at?: string): Engine =>
    startEngine(cache, {
      prepare: async (model, file) => {
        const own = model.path(file) ?? ''
        if (at !== undefined) await copyFile(own, at)
        // Another file: what follows is a field of no meaning.
        if (at !== undefined) await appendFile(at, Uint8Array.of(0xa2, 0x06, 0))
        return { path: at ?? own, options, weights: 'prepacked', isMapped: false }
      },
    })
  const classes: unknown[] = []
  for (const engine of [
    startEngine(cache),
    preparedWith({ graphOptimizationLevel: 'disabled' }),
    preparedWith({ graphOptimizationLevel: 'basic' }),
    preparedWith({}, join(directory, 'derived.onnx')),
  ]) {
    const { from, receipt } = await engine.run('feature-extraction', bert, 'hello world')
    expect(from).toBe('computed')
    expect((await engine.run('feature-extraction', bert, 'hello world')).from).toBe('memory')
    classes.push(receipt.numericClass)
  }
  expect(new Set(classes).size).toBe(4)
  // Prepared as it is by itself, it is the same.
  expect((await preparedWith({}).run('feature-extraction', bert, 'hello world')).from).toBe('memory')
  for (const options of [{ executionProviders: ['cpu'] }, { log: () => undefined }]) {
    await expect(preparedWith(options).run('feature-extraction', bert, 'a')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
  }
})

it('computes once what many ask for at the same time', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const engine = startEngine(cache)
  await engine.run('text-classification', model, 'first, so that it is known what a run rests on')
  const before = engine.stats().rows
  const results = await Promise.all(Array.from({ length: 50 }, () => engine.run('text-classification', model, 'good')))
  expect(engine.stats().rows - before).toBe(1)
  expect(results.filter(({ from }) => from === 'computed')).toHaveLength(1)
  expect(results.filter(({ from }) => from === 'joined')).toHaveLength(49)
  expect(new Set(results.map(({ receiptCid }) => receiptCid.toString())).size).toBe(1)
})

it('computes once what many ask for at the same time before the model was ever loaded', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const engine = startEngine(cache)
  const results = await Promise.all(Array.from({ length: 50 }, () => engine.run('text-classification', model, 'good')))
  expect(engine.stats().rows).toBe(1)
  expect(results.filter(({ from }) => from === 'computed')).toHaveLength(1)
  expect(results.filter(({ from }) => from === 'joined')).toHaveLength(49)
  expect(new Set(results.map(({ receiptCid }) => receiptCid.toString())).size).toBe(1)
  // From now on it is kept under its own key.
  expect((await engine.run('text-classification', model, 'good')).from).toBe('memory')
})

it('does not keep results of a graph that draws random numbers, unless asked to', async () => {
  const drawing = encodeModel({
    nodes: [
      ['Gather', ['table', 'input_ids'], ['word'], { axis: 0 }],
      ['RandomUniformLike', ['word'], ['noise']],
      ['Add', ['word', 'noise'], ['last_hidden_state']],
    ],
    initializers: { table: float32([1024, 16], new Float32Array(16_384)) },
    inputs: { input_ids: ['int64', ['batch', 'length']], attention_mask: ['int64', ['batch', 'length']] },
    outputs: { last_hidden_state: ['float32', ['batch', 'length', 16]] },
  })
  const { open } = await hold('tiny-bert', (files: Files) => {
    files['onnx/model.onnx'] = drawing
  })
  const model = await open()
  const cache = createCache()
  const warnings: string[] = []
  const onWarning = (message: string): void => void warnings.push(message)
  const engine = startEngine(cache, { onWarning })
  const run = (options?: EngineRunOptions) => engine.run('feature-extraction', model, 'a', options)
  const [first, second] = [await run(), await run()]
  expect([first.from, second.from]).toEqual(['computed', 'computed'])
  expect(second.receipt.output).not.toEqual(first.receipt.output)
  expect(warnings).toEqual([
    `results of ${model.cid} are not kept: onnx/model.onnx draws random numbers (RandomUniformLike)`,
  ])
  // What was found out is kept.
  expect((await startEngine(cache).run('feature-extraction', model, 'a')).from).toBe('computed')
  const kept = await run({ cache: 'use' })
  expect(kept.from).toBe('computed')
  expect(await run({ cache: 'use' })).toMatchObject({ from: 'memory', output: kept.output })
  // Nor does a runner, which has found it out itself.
  const runner = createRunner({ cache: createCache(), onWarning })
  onTestFinished(() => runner.close())
  for (const _ of ['once', 'again']) {
    for await (const { from } of runner.run('feature-extraction', model, ['a'])) expect(from).toBe('computed')
  }
  expect(warnings).toHaveLength(2)
})

it('computes again what was kept and is no such result, and says so', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const warnings: string[] = []
  const engine = startEngine(cache, { onWarning: (message) => warnings.push(message) })
  const run = (text: string) => engine.run('text-classification', model, text)
  const [good, bad] = [await run('good'), await run('bad')]
  const { numericClass = '', tools = [] } = good.receipt
  const { cid: key } = await encodeResultKey({ ...good.receipt, numericClass, tools })
  const [input, params, output, receipt] = good.blocks
  const [, , otherOutput, otherReceipt] = bad.blocks
  if (!input || !params || !output || !receipt || !otherOutput || !otherReceipt) throw new Error('a result has four')
  const wrong: [string, CacheValue][] = [
    ['schema is 9', await encodeDagCbor({ schema: 9 })],
    ['another key', { block: otherReceipt, linked: [otherOutput, params, input] }],
    ['another output', { block: receipt, linked: [otherOutput, params, input] }],
    ['another output', receipt],
  ]
  for (const [why, value] of wrong) {
    await cache.put(key, value)
    expect(await run('good')).toMatchObject({ from: 'computed', output: good.output, receiptCid: good.receiptCid })
    expect(warnings.pop()).toContain(why)
    expect(await run('good')).toMatchObject({ from: 'memory', output: good.output })
  }
  await cache.close()
  expect(await run('good')).toMatchObject({ from: 'computed', output: good.output })
  expect(warnings).toEqual(['the cache was not used: the cache is closed'])
})

it('says what is wrong with a request once, and that the cache is not', async () => {
  const model = await (await hold('tiny-bert')).open()
  const warnings: string[] = []
  const engine = startEngine(createCache(), { onWarning: (message) => warnings.push(message) })
  const told = await Promise.allSettled([1, 2, 3].map(() => engine.run('text-classification', model, 'good')))
  for (const one of told) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_INPUT' } })
  expect(warnings).toEqual([])
  expect(engine.stats().loads).toBe(1)
})

/** Computes nothing before it is let. */
function gated(cache: Cache, many: number): { cache: Cache; areAsking: Promise<void>; goOn: () => void } {
  const [areAsking, going] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let asked = 0
  const getOrCompute: Cache['getOrCompute'] = (key, compute, options) => {
    asked += 1
    // When all that takes no waiting is done.
    if (asked === many) setImmediate(areAsking.resolve)
    const later: typeof compute = async (signal) => {
      await going.promise
      return compute(signal)
    }
    return cache.getOrCompute(key, later, options)
  }
  return { cache: { ...cache, getOrCompute }, areAsking: areAsking.promise, goOn: () => going.resolve() }
}

/** Of so many who ask for the same, the first computes only when the others wait for it. */
function inStep(all: Cache, many = 2): Cache {
  const { cache, areAsking, goOn } = gated(all, many)
  void areAsking.then(goOn)
  return cache
}

it('refuses nobody what another caller may not have', async () => {
  const model = await (await hold('tiny-bert')).open()
  const engine = startEngine(inStep(createCache()), { maxQueuedPerCaller: 2, batch: { windowMs: 3_600_000 } })
  const run = (text: string, caller: string, cache?: 'bypass') =>
    engine.run('feature-extraction', model, text, { caller, cache })
  const waiting = ['one', 'two'].map((text) => run(text, 'alice', 'bypass'))
  await until(() => engine.stats().queued === 2)
  const [first, second] = [run('three', 'alice'), run('three', 'bob')]
  await expect(first).rejects.toMatchObject({ code: 'BUSY', message: expect.stringContaining('alice') })
  await until(() => engine.stats().queued === 3)
  await engine.close()
  expect(await second).toMatchObject({ from: 'computed' })
  await Promise.all(waiting)
})

it('refuses all who ask for the same, once, where as many wait as may in all', async () => {
  const model = await (await hold('tiny-bert')).open()
  const callers = ['alice', 'bob', 'carol', 'dave']
  const cache = createCache()
  const engine = startEngine(inStep(cache, callers.length), { maxQueued: 1, batch: { windowMs: 3_600_000 } })
  const run = (text: string, caller: string, mode?: 'bypass') =>
    engine.run('feature-extraction', model, text, { caller, cache: mode })
  const waiting = run('one', 'erin', 'bypass')
  await until(() => engine.stats().queued === 1)
  const told = await Promise.allSettled(callers.map((caller) => run('two', caller)))
  for (const one of told) expect(one).toMatchObject({ reason: { code: 'BUSY', caller: undefined } })
  expect((await cache.stats()).counters).toMatchObject({ failed: 1 })
  await engine.close()
  await waiting
})

it('waits in the queues of those alone who wait for it', async () => {
  const model = await (await hold('tiny-bert')).open()
  const { cache, areAsking, goOn } = gated(createCache(), 2)
  const engine = startEngine(cache, { batch: { maxRows: 4, windowMs: 3_600_000 } })
  const run = (text: string, options: EngineRunOptions) => engine.run('feature-extraction', model, text, options)
  const queued = (): number => engine.stats().queued
  const ask = (caller: string): { leave: () => Promise<void> } => {
    const stop = new AbortController()
    const told = Promise.allSettled([run('a', { caller, signal: stop.signal })])
    return {
      async leave() {
        stop.abort()
        await told
      },
    }
  }
  // Who asks first leaves before it is put into a queue.
  const [alice, bob] = [ask('alice'), ask('bob')]
  await areAsking
  await alice.leave()
  goOn()
  await until(() => queued() > 0)
  expect(queued()).toBe(1)
  const carol = ask('carol')
  await until(() => queued() === 2)
  // Who asks now does not share what is under way, which cannot be seen from here: each of both waits for all.
  await cache.clear()
  const dave = ask('dave')
  await until(() => queued() === 6)
  await carol.leave()
  expect(queued()).toBe(4)
  // As soon as it is known what a result rests on, it is another one.
  await Promise.all(['a', 'b', 'c', 'd'].map((text) => run(text, { options: { normalize: true } })))
  const erin = ask('erin')
  await until(() => queued() > 4)
  expect(queued()).toBe(5)
  await Promise.all([bob, dave, erin].map(({ leave }) => leave()))
  expect(queued()).toBe(0)
})

it('asks again where what it waited for was asked of a runner that was closed', async () => {
  const model = await (await hold('tiny-sentiment')).open()
  const own = createCache()
  // From now on it is known, of any runner, what a result rests on.
  await startRunner(own).run('text-classification', model, ['bad']).next()
  const { cache, areAsking, goOn } = gated(own, 2)
  const [first, second] = [startRunner(cache), startRunner(cache)]
  let opens = 0
  const verifiedPath: typeof model.verifiedPath = async (...given) => {
    opens += 1
    return model.verifiedPath?.(...given)
  }
  const stop = new AbortController()
  const options = { signal: stop.signal }
  const left = first.run('text-classification', { ...model, verifiedPath }, ['good'], options).next()
  const waiting = second.run('text-classification', model, ['good']).next()
  await areAsking
  const reason = new Error('the first left')
  stop.abort(reason)
  await expect(left).rejects.toBe(reason)
  await first.close()
  goOn()
  expect(await waiting).toMatchObject({ value: { from: 'computed', output: [{ label: 'POSITIVE' }] } })
  expect(opens).toBe(0)
})

it('names an input that cannot be decoded to each as it gave it', async () => {
  const model = await (await hold('tiny-vit')).open()
  const directory = await tempDirectory()
  const [first, second] = [join(directory, 'first.png'), join(directory, 'second.png')]
  for (const file of [first, second]) await writeFile(file, 'this is no image')
  const bytes = Uint8Array.from(Buffer.from('this is no image'))
  const engine = startEngine(inStep(createCache()))
  const runner = createRunner({ cache: inStep(createCache()) })
  onTestFinished(() => runner.close())
  const inRunner = (file: string | Uint8Array): Promise<unknown> =>
    runner.run('image-classification', model, [file]).next()
  for (const told of [
    await Promise.allSettled([first, second].map((file) => engine.run('image-classification', model, file))),
    // Who asked first has no name for it.
    await Promise.allSettled([bytes, second].map(inRunner)),
  ]) {
    const errors = told.map((one) => (one.status === 'rejected' ? one.reason : one))
    for (const error of errors) expect(error).toMatchObject({ code: 'INVALID_INPUT' })
    expect(errors[1]).toMatchObject({ input: second, message: expect.stringContaining(`${second}: `) })
    expect(errors[1]).toMatchObject({ message: expect.not.stringContaining(first) })
  }
})

it('says which results are too large to be kept on disk, known beforehand or not', async () => {
  const model = await (await hold('tiny-bert')).open()
  const warnings: string[] = []
  const disk = await openDiskArea({ directory: await tempDirectory(), maxEntryBytes: 1000 })
  const cache = createCache({ disk })
  onTestFinished(() => cache.close())
  const engine = startEngine(cache, { onWarning: (message) => warnings.push(message) })
  for (const text of ['hello', 'world']) {
    expect(await engine.run('feature-extraction', model, text)).toMatchObject({ from: 'computed' })
    expect(warnings).toEqual([
      expect.stringMatching(/^a result is not kept but in memory: the entry counts \d+ bytes, of at most 1000$/),
    ])
    warnings.length = 0
    expect(await engine.run('feature-extraction', model, text)).toMatchObject({ from: 'memory' })
  }
  expect(warnings).toEqual([])
})

const broken = (): Promise<never> => Promise.reject(new Error('the disk is broken'))

it('runs on where the cache cannot be read or written', async () => {
  const mockBrokenArea: CacheArea = {
    get: broken,
    put: broken,
    delete: broken,
    clear: broken,
    info: broken,
    findValue: broken,
    usage: broken,
    async *entries() {
      yield await broken()
    },
    used: () => undefined,
    count: () => undefined,
    close: () => Promise.resolve(),
  }
  const problems: unknown[] = []
  const warnings: string[] = []
  const cache = createCache({ disk: mockBrokenArea, memoryBytes: 0, onProblem: ({ error }) => problems.push(error) })
  const model = await (await hold('tiny-sentiment')).open()
  const engine = startEngine(cache, { onWarning: (message) => warnings.push(message) })
  for (const _ of [1, 2]) {
    expect(await engine.run('text-classification', model, 'good')).toMatchObject({ output: [{ label: 'POSITIVE' }] })
  }
  expect(warnings[0]).toContain('the disk is broken')
  expect(problems.length).toBeGreaterThan(0)
})

function startRunner(cache: Cache): Runner {
  const runner = createRunner({ cache })
  onTestFinished(() => runner.close())
  return runner
}

it('is the same cache for a runner, which loads a model for the first result that is not there', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const opened: string[] = []
  const verifiedPath: typeof model.verifiedPath = (file, options) => {
    opened.push(file)
    return model.verifiedPath?.(file, options) ?? Promise.resolve(undefined)
  }
  const watched = { ...model, verifiedPath }
  const run = async (runner: Runner, inputs: string[], mode?: 'use' | 'refresh' | 'bypass') => {
    const from: string[] = []
    const given = { cache: mode }
    for await (const result of runner.run('text-classification', watched, inputs, given)) from.push(result.from)
    return from
  }
  const isLoaded = (): boolean => opened.some((file) => file.endsWith('.onnx'))
  expect(await run(startRunner(cache), ['good', 'bad', 'good'])).toEqual(['computed', 'computed', 'memory'])
  expect(isLoaded()).toBe(true)
  opened.length = 0
  const later = startRunner(cache)
  expect(await run(later, ['bad', 'good'])).toEqual(['memory', 'memory'])
  expect(isLoaded()).toBe(false)
  expect(await run(later, ['bad', 'new', 'good'])).toEqual(['memory', 'computed', 'memory'])
  expect(isLoaded()).toBe(true)
  expect(await run(later, ['good'], 'bypass')).toEqual(['computed'])
  expect(await run(later, ['good'], 'refresh')).toEqual(['computed'])
  // An engine's keys are the same.
  const engine = startEngine(cache)
  expect((await engine.run('text-classification', model, 'new')).from).toBe('memory')
})

it('explains a key before there is a result, and it is the one that the result is kept under', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const runner = startRunner(cache)
  const before = await runner.explain('text-classification', model, 'good')
  expect(await cache.explain(before.block)).toMatchObject({ state: 'absent' })
  for await (const { receipt } of runner.run('text-classification', model, ['good'])) {
    expect(receipt).toMatchObject({ ...before.parts })
  }
  expect(await cache.explain(before.block)).toMatchObject({ state: 'held' })
  const other = await runner.explain('text-classification', model, 'good', { options: { top_k: 2 } })
  expect(other.parts).toEqual({ ...before.parts, params: other.paramsBlock.cid })
  expect(await cache.explain(other.block)).toMatchObject({ state: 'absent' })
})

it('lets what a caller left behind end before its model is freed', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-gpt')).open()
  const stop = new AbortController()
  let isLoaded = false
  let isUnderWay = false
  const watched: Cache = {
    ...cache,
    getOrCompute: (key, compute, options) =>
      cache.getOrCompute(
        key,
        async (signal) => {
          const computing = compute(signal)
          if (!isLoaded) return computing
          isUnderWay = true
          setImmediate(() => stop.abort(new Error('the caller left')))
          return computing.finally(() => (isUnderWay = false))
        },
        options,
      ),
  }
  const runner = createRunner({ cache: watched })
  for await (const _ of runner.run('text-generation', model, ['to load the model'])) isLoaded = true
  const results = runner.run('text-generation', model, ['the quick'], { signal: stop.signal })
  await expect(results.next()).rejects.toThrowError('the caller left')
  expect(isUnderWay).toBe(true)
  await runner.close()
  expect(isUnderWay).toBe(false)
})

it('forgets what was known of a model when something else ran it', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  const from = async (): Promise<string[]> => {
    const runner = startRunner(cache)
    const given: string[] = []
    for await (const result of runner.run('text-classification', model, ['good'])) given.push(result.from)
    await runner.close()
    return given
  }
  expect(await from()).toEqual(['computed'])
  // As an execution provider that had refused the model leaves it.
  for await (const { key, keyBytes } of cache.entries()) {
    const hit = await cache.get(key)
    if (keyBytes === undefined || hit?.kind !== 'value' || !('loadKey' in Object(decodeDagCbor(keyBytes)))) continue
    const facts = Object(decodeDagCbor(hit.blocks[0].bytes))
    await cache.put({ cid: key, bytes: keyBytes }, await encodeDagCbor({ ...facts, executionProvider: 'cuda' }))
  }
  expect(await from()).toEqual(['computed'])
  expect(await from()).toEqual(['memory'])
})

it('counts results apart from what is known of models', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-sentiment')).open()
  for (const _ of [1, 2, 3]) {
    const runner = startRunner(cache)
    for await (const result of runner.run('text-classification', model, ['good'])) expect(result).toBeDefined()
    await runner.close()
  }
  const { groups } = await cache.stats()
  expect(groups).toMatchObject({
    results: { misses: 1, computed: 1, stored: 1, memoryHits: 2 },
    models: { misses: 1, computed: 0, stored: 1, memoryHits: 2 },
  })
})

it('keeps what was watched while it was written, and gives it again without pieces', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-gpt')).open()
  const runner = startRunner(cache)
  const write = async (stops = false): Promise<{ from: string; text: string }> => {
    let text = ''
    const onText = (piece: string): void => {
      if (stops) throw PRIMITIVE
      text += piece
    }
    for await (const { from, output } of runner.run('text-generation', model, ['the quick'], { onText })) {
      expect(from === 'computed' ? `the quick${text}` : output.generated_text).toBe(output.generated_text)
      return { from, text }
    }
    throw new Error('there is no result')
  }
  await expect(write(true)).rejects.toBe(PRIMITIVE)
  // Each hears of its own: neither is given what the other's computation says.
  const [one, other] = await Promise.all([write(), write()])
  expect(one.text).not.toBe('')
  expect([one, other]).toEqual([one, one])
  expect(await write()).toEqual({ from: 'memory', text: '' })
})

/** No object, by which an error could be known again. */
const PRIMITIVE = 'enough'
