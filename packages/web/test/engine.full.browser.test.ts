import { CID, cidOf, RAW } from '@x/cid'
import { tinyBert, tinyGpt, tinySentiment, type Files } from '@x/fixtures/models'
import { RAW_TENSORS, type RawTensors } from '@x/infer-core'
import { createEngine, type EngineOptions, type LoadProgress } from '@x/infer-web'
import type { DirectorySource, SourceNode } from '@x/storage-core'
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'

import { addModel, openStorage } from '../src/index.ts'

const directory = `engine-${crypto.randomUUID()}`

function folder(files: Files): DirectorySource {
  const names = new Set(Object.keys(files).map((path) => path.split('/')[0] ?? ''))
  const entry = (name: string): SourceNode => {
    const bytes = files[name]
    if (bytes) return { type: 'file', open: () => once(bytes) }
    const inside = Object.entries(files).filter(([path]) => path.startsWith(`${name}/`))
    return folder(Object.fromEntries(inside.map(([path, content]) => [path.slice(name.length + 1), content])))
  }
  return { type: 'directory', entries: () => Array.from(names, (name) => [name, entry(name)] as const) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A graph as whole as any other, with an operator that nobody has. */
function unknownOperator(files: Files): Files {
  const text = Array.from(files['onnx/model.onnx'] ?? [], (byte) => String.fromCharCode(byte)).join('')
  const changed = text.replace('Gather', 'Rehtag')
  if (changed === text) throw new Error('the graph has no Gather')
  return { ...files, 'onnx/model.onnx': Uint8Array.from(changed, (letter) => letter.charCodeAt(0)) }
}

const models = { bert: '', gpt: '', sentiment: '', broken: '' }

beforeAll(async () => {
  const storage = await openStorage({ directory })
  for (const [name, files] of [
    ['bert', tinyBert('inline')],
    ['gpt', tinyGpt()],
    ['sentiment', tinySentiment()],
    ['broken', unknownOperator(tinySentiment())],
  ] as const) {
    models[name] = `ipfs://${(await addModel(storage, folder(files))).cid}`
  }
  await storage.close()
})

function open(options: Partial<EngineOptions> = {}, parameters: Record<string, string> = {}) {
  const warnings: string[] = []
  const kept = new Map<string, string>()
  let started = 0
  const engine = createEngine({
    worker() {
      started += 1
      const url = new URL('./children/inference-worker.ts', import.meta.url)
      for (const [name, value] of Object.entries({ directory, ...parameters })) url.searchParams.set(name, value)
      return new Worker(url, { type: 'module' })
    },
    providers: { require: 'wasm' },
    onWarning: (message) => void warnings.push(message),
    verdicts: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) },
    ...options,
  })
  onTestFinished(() => engine.close())
  return { engine, warnings, kept, started: () => started }
}

/** Tells the workers of this file something that no page could. */
function tell(what: 'lose' | 'crash'): void {
  const channel = new BroadcastChannel(`test ${directory}`)
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
  channel.postMessage(what)
  channel.close()
}

const cidIn = (reference: string): string => reference.replace('ipfs://', '')

const crashing = (): void => tell('crash')

/** So often, when a model was opened. */
function losing(times: number): (event: LoadProgress) => void {
  let left = times
  return ({ phase }) => {
    if (phase === 'opened' && left-- > 0) tell('lose')
  }
}

describe('a text that is written', () => {
  const options = { max_new_tokens: 24 }

  it('comes in pieces, which are together what the result says', async () => {
    const { engine } = open()
    const pieces: string[] = []
    const onText = (piece: string): void => void pieces.push(piece)
    const { output, tokens } = await engine.run('text-generation', models.gpt, 'the quick', { options, onText })
    expect(pieces.length).toBeGreaterThan(1)
    expect(output).toEqual({ generated_text: `the quick${pieces.join('')}` })
    expect(tokens).toMatchObject({ output: expect.any(Number) })
  })

  it('ends when it is given up, at once for who asked, and the engine goes on', async () => {
    const { engine, started } = open()
    const stop = new AbortController()
    const onText = (): void => stop.abort('enough')
    const given = engine.run('text-generation', models.gpt, 'the quick', { options, onText, signal: stop.signal })
    await expect(given).rejects.toBe('enough')
    const thrown = new Error('of the page')
    const failing = (): never => {
      throw thrown
    }
    await expect(engine.run('text-generation', models.gpt, 'the quick', { options, onText: failing })).rejects.toBe(
      thrown,
    )
    expect((await engine.run('text-generation', models.gpt, 'the quick', { options })).output).toHaveProperty(
      'generated_text',
    )
    expect(started()).toBe(1)
  })
})

it('keeps as many models as there is memory for, and loads one again that went', async () => {
  const { engine: measuring } = open()
  const loaded: number[] = []
  for (const [task, model] of [
    ['feature-extraction', models.bert],
    ['text-classification', models.sentiment],
  ] as const) {
    await measuring.load(task, model, {
      onProgress: ({ phase, bytes }) => void (phase === 'loaded' && loaded.push(bytes)),
    })
  }
  const [first = 0, second = 0] = loaded
  expect(Math.min(first, second)).toBeGreaterThan(0)
  const both = await measuring.stats()
  expect(both.runtimes[0]?.models.length).toBe(2)

  const { engine } = open({ memoryBytes: first + second - 1 })
  const before = await engine.run('feature-extraction', models.bert, 'the cat')
  await engine.run('text-classification', models.sentiment, 'a good film')
  expect((await engine.stats()).runtimes[0]?.models.map(({ task }) => task)).toEqual(['text-classification'])
  const again = await engine.run('feature-extraction', models.bert, 'the cat')
  expect(again.receiptCid.equals(before.receiptCid)).toBe(true)
  expect(await engine.unload(models.bert.slice('ipfs://'.length))).toBe(1)

  const { engine: small } = open({ memoryBytes: 10 })
  await expect(small.load('feature-extraction', models.bert)).rejects.toMatchObject({ code: 'NO_SPACE' })
})

it('says when a worker ends, however it does, and starts another', async () => {
  const { engine, started } = open()
  await engine.load('feature-extraction', models.bert)
  const waiting = engine.run('text-classification', models.sentiment, 'a good film', { onProgress: crashing })
  await expect(waiting).rejects.toMatchObject({ code: 'CRASH', model: models.sentiment })
  expect((await engine.run('feature-extraction', models.bert, 'the cat')).output.dims.at(-1)).toBeGreaterThan(1)
  expect(started()).toBe(2)
})

it('runs a graph on tensors as they are, with the numbers of the task', async () => {
  const { engine } = open()
  const session = await engine.session(models.sentiment)
  expect(session.file).toMatch(/\.onnx$/)
  const feeds: RawTensors = Object.fromEntries(
    session.inputs.map(({ name }) => [name, { type: 'int64', dims: [1, 3], data: BigInt64Array.of(1n, 1n, 1n) }]),
  )
  const { output, receipt } = await session.run(feeds)
  expect(Object.keys(output)).toEqual(session.outputs.map(({ name }) => name))
  expect(receipt).toMatchObject({ task: RAW_TENSORS, executionProvider: 'wasm' })
  await expect(session.run({})).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(await engine.tasksOf(models.sentiment)).toEqual(['text-classification', 'zero-shot-classification'])
})

it('asks nobody but the page’s own origin for anything', async () => {
  const { engine } = open()
  await engine.run('text-classification', models.sentiment, 'a good film')
  const channel = new BroadcastChannel(`test ${directory}`)
  onTestFinished(() => channel.close())
  const { promise, resolve } = Promise.withResolvers<string[]>()
  channel.addEventListener('message', ({ data }: MessageEvent<string[]>) => resolve(data))
  // From this very channel, which does not hear itself.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
  channel.postMessage('requests')
  const urls = (await promise).map((url) => new URL(url))
  expect(urls.filter(({ pathname }) => pathname.endsWith('.wasm'))).toHaveLength(1)
  expect(urls.map(({ origin }) => origin).filter((origin) => origin !== location.origin)).toEqual([])
})

describe('a model', () => {
  it('is loaded once for all who ask, by name or CID, and a name is what it is then', async () => {
    const storage = await openStorage({ directory })
    onTestFinished(() => storage.close())
    const [bert, sentiment] = [CID.parse(models.bert.slice(7)), CID.parse(models.sentiment.slice(7))]
    await storage.names.set('org/model', bert)
    const { engine } = open()
    for (const model of ['org/model', models.bert]) await engine.load('feature-extraction', model)
    await storage.names.set('org/model', sentiment)
    const session = await engine.session('org/model')
    expect(session.model.equals(sentiment)).toBe(true)
    await session.run(
      Object.fromEntries(
        session.inputs.map(({ name }) => [name, { type: 'int64', dims: [1, 3], data: BigInt64Array.of(1n, 1n, 1n) }]),
      ),
    )
    const { runtimes } = await engine.stats()
    expect(runtimes[0]?.models.map(({ task, cid }) => `${task} ${cid}`)).toEqual([
      `feature-extraction ${bert}`,
      `${RAW_TENSORS} ${sentiment}`,
    ])
  })

  it('gives each of those who ask at once what it gives one alone', async () => {
    const { engine } = open()
    const texts = ['the quick', 'brown fox', 'lazy dog']
    const embed = (text: string) => engine.run('feature-extraction', models.bert, text)
    const classify = (text: string) => engine.run('text-classification', models.sentiment, text)
    const at = async () =>
      Promise.all(texts.flatMap((text) => [embed(text), classify(text)].map(async (one) => (await one).receiptCid)))
    const together = await at()
    for (const [index, text] of texts.entries()) {
      expect((await embed(text)).receiptCid.equals(together[2 * index])).toBe(true)
      expect((await classify(text)).receiptCid.equals(together[2 * index + 1])).toBe(true)
    }
  })

  it('that ONNX Runtime refuses is named, and is in nobody else’s way', async () => {
    const { engine, warnings } = open()
    const broken = engine.run('text-classification', models.broken, 'a good film')
    const behind = [models.sentiment, models.sentiment].map((model) =>
      engine.run('text-classification', model, 'a good film'),
    )
    await expect(broken).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('onnx/model.onnx on wasm'),
    })
    for (const { receipt } of await Promise.all(behind)) expect(receipt.executionProvider).toBe('wasm')
    await expect(engine.session(models.broken)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(warnings).toEqual([])
  })

  it('of which WebGPU refuses the graph goes to WebAssembly, and others stay', async () => {
    const { engine, warnings } = open({ providers: 'auto' })
    const asked = [models.broken, models.sentiment].map((model) => engine.run('text-classification', model, 'a film'))
    await expect(asked[0]).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect((await asked[1])?.receipt.executionProvider).toBe('webgpu')
    expect(warnings).toEqual([expect.stringContaining(`webgpu cannot run ${models.broken}`)])
    const { engine: strict } = open({ providers: { require: 'webgpu' } })
    await expect(strict.load('text-classification', models.broken)).rejects.toMatchObject({
      code: 'GATED',
      message: expect.stringContaining('webgpu: '),
    })
  })
})

it('says what is wrong with what it is given', async () => {
  const { engine } = open()
  const absent = `ipfs://${CID.parse('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')}`
  await expect(engine.run('feature-extraction', absent, 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(engine.run('image-classification', models.bert, 'https://example.org/a.png')).rejects.toHaveProperty(
    'code',
  )
  await expect(engine.run('text-generation', models.bert, 'a')).rejects.toHaveProperty('code')
  // Another caller's model is as good as before: each of these leaves the worker as it is.
  expect((await engine.run('text-classification', models.sentiment, 'a good film')).output).not.toHaveLength(0)
  engine.close()
  await expect(engine.run('feature-extraction', models.bert, 'a')).rejects.toMatchObject({ code: 'BACKEND' })
})

it('holds the runtime against its CID', async () => {
  const { engine } = open({}, { wasmCid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' })
  await expect(engine.run('feature-extraction', models.bert, 'a')).rejects.toMatchObject({ code: 'INTEGRITY' })
})

it('runs one model after another on a runtime that is what its CID says', async () => {
  const bytes = new Uint8Array(await (await fetch(jspiWasm)).arrayBuffer())
  const verified = open({}, { wasmCid: (await cidOf(RAW, bytes)).toString() }).engine
  const { engine } = open()
  for (const [task, model] of [
    ['feature-extraction', models.bert],
    ['text-classification', models.sentiment],
  ] as const) {
    const one = await verified.run(task, model, 'hello world')
    const other = await engine.run(task, model, 'hello world')
    expect(one.output).toEqual(other.output)
  }
})

it('says that the runtime did not come, which is no fault of an execution provider', async () => {
  const { engine, kept, warnings } = open({ providers: 'auto' }, { missing: '' })
  await expect(engine.run('feature-extraction', models.bert, 'a')).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
    message: expect.stringContaining('ONNX Runtime was not loaded'),
  })
  expect(warnings).toEqual([])
  expect([...kept]).toEqual([])
  expect(await engine.stats()).toEqual({ runtimes: [], refusals: [] })
})

describe('a ladder', () => {
  /** Of what never answers; WebAssembly, which comes after, is compiled in less on a busy machine too. */
  const LIMIT_MS = 20_000

  it('goes on where an execution provider never answers, and asks it again another time', async () => {
    const { engine, kept, warnings } = open({ providers: 'auto', probeTimeoutMs: LIMIT_MS }, { stuck: '' })
    const { receipt } = await engine.run('feature-extraction', models.bert, 'the cat')
    expect(receipt.executionProvider).toBe('wasm')
    expect(warnings).toEqual(['execution provider webgpu does not work here: it did not answer within 20 s'])
    expect([...kept.keys()].filter((key) => key.includes('webgpu'))).toEqual([])
  })

  it('goes on where a browser never says whether it has an adapter', async () => {
    const ask = vi.spyOn(GPU.prototype, 'requestAdapter').mockReturnValue(new Promise(() => undefined))
    onTestFinished(() => ask.mockRestore())
    const { engine, warnings } = open({ providers: 'auto', probeTimeoutMs: LIMIT_MS })
    const { receipt } = await engine.run('feature-extraction', models.bert, 'the cat')
    expect(receipt.executionProvider).toBe('wasm')
    expect(warnings).toEqual(['execution provider webgpu does not work here: it did not answer within 20 s'])
    const { engine: strict } = open({ providers: { require: 'webgpu' }, probeTimeoutMs: LIMIT_MS })
    await expect(strict.run('feature-extraction', models.bert, 'the cat')).rejects.toMatchObject({ code: 'GATED' })
    ask.mockRestore()
    // Nothing else is left to that engine, so it asks again.
    const again = await strict.run('feature-extraction', models.bert, 'the cat')
    expect(again.receipt.executionProvider).toBe('webgpu')
  })

  it('goes by what is known of this browser, and says why', async () => {
    const at = Date.now()
    const verdict = JSON.stringify({ works: false, why: 'the driver crashed', at })
    const verdicts = { getItem: (key: string) => (key.includes('webgpu') ? verdict : null), setItem: () => undefined }
    const { engine, warnings } = open({ providers: 'auto', verdicts })
    const { receipt } = await engine.run('feature-extraction', models.bert, 'the cat')
    expect(receipt.executionProvider).toBe('wasm')
    expect(warnings).toEqual([expect.stringMatching(/webgpu does not work here: the driver crashed/)])

    const { engine: strict } = open({ providers: { require: 'webgpu' }, verdicts })
    const refused = strict.run('feature-extraction', models.bert, 'the cat')
    await expect(refused).rejects.toMatchObject({
      code: 'GATED',
      feature: 'execution-provider',
      message: expect.stringContaining('webgpu: the driver crashed'),
    })
    expect(() => open({ providers: ['cuda'] })).toThrow(/cuda/)
  })

  // Chromium as Debian builds it has the interface of WebNN, and nothing behind it.
  it('says that it ran on WebNN only where it did, and else what the browser says of it', async () => {
    const { engine, warnings } = open({ providers: ['webnn', 'wasm'] })
    const { receipt } = await engine.run('feature-extraction', models.bert, 'the cat')
    const why: unknown = expect.stringMatching(/webnn does not work here: this browser has (no WebNN|WebNN, and .+)/)
    expect([receipt.executionProvider, ...warnings]).toEqual(
      receipt.executionProvider === 'webnn' ? ['webnn'] : ['wasm', why],
    )
  })

  it('is another one for a call that says so, of the same workers', async () => {
    const { engine, started } = open({ providers: ['wasm'] })
    const ranOn = async (providers?: EngineOptions['providers']): Promise<string> =>
      (await engine.run('feature-extraction', models.bert, 'the cat', { providers })).receipt.executionProvider
    expect([await ranOn(), await ranOn({ require: 'webgpu' }), await ranOn(['wasm'])]).toEqual([
      'wasm',
      'webgpu',
      'wasm',
    ])
    const graph = await engine.session(models.bert, { providers: ['webgpu'] })
    const ids: RawTensors[string] = { type: 'int64', dims: [1, 2], data: BigInt64Array.of(1n, 2n) }
    const feeds = Object.fromEntries(graph.inputs.map(({ name }) => [name, ids]))
    expect((await graph.run(feeds)).receipt.executionProvider).toBe('webgpu')
    expect(started()).toBe(2)
    await expect(ranOn(['cuda'])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('cuda'),
    })
  })

  it('starts a worker that is wanted, and whoever gives up meanwhile is told at once', async () => {
    const { engine, started } = open()
    const stop = new AbortController()
    const given = engine.run('feature-extraction', models.bert, 'the cat', { signal: stop.signal })
    const other = engine.run('feature-extraction', models.bert, 'the cat')
    stop.abort('enough')
    await expect(Promise.race([given, other])).rejects.toBe('enough')
    expect((await other).receipt.executionProvider).toBe('wasm')
    expect(started()).toBe(1)
  })

  it('survives that the GPU is lost, once', async () => {
    const { engine, warnings, started, kept } = open({ providers: { require: 'webgpu' } })
    const before = await engine.run('feature-extraction', models.bert, 'the cat')
    expect(before.receipt.executionProvider).toBe('webgpu')
    expect([...kept.values()].map((text): unknown => JSON.parse(text))).toMatchObject([{ works: true }])
    const lostOnce = engine.run('text-classification', models.sentiment, 'a good film', { onProgress: losing(1) })
    expect((await lostOnce).receipt.executionProvider).toBe('webgpu')
    expect(warnings.filter((text) => text.startsWith('the GPU was lost'))).toHaveLength(1)
    expect(started()).toBe(2)
    const pieces: string[] = []
    let restarts = 0
    const { output } = await engine.run('text-generation', models.gpt, 'the quick', {
      options: { max_new_tokens: 8 },
      onProgress: losing(1),
      onText: (piece) => void pieces.push(piece),
      onRestart() {
        restarts += 1
        pieces.length = 0
      },
    })
    expect(restarts).toBe(1)
    expect(output).toEqual({ generated_text: `the quick${pieces.join('')}` })
    expect(await engine.unload(cidIn(models.gpt))).toBe(1)
    const lostTwice = engine.run('text-generation', models.gpt, 'the quick', { onProgress: losing(2) })
    await expect(lostTwice).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  })
})
