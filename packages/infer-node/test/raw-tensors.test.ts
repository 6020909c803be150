import { createCache } from '@x/cache'
import { decodeOutput, type RawTensor, type RawTensors, type RawType } from '@x/infer-core'
import { assert, asyncProperty, array, constantFrom, integer, record, tuple, uint8Array } from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import {
  createEngine,
  createRunner,
  verifyReceipt,
  type Engine,
  type EngineOptions,
  type Runner,
} from '../src/index.ts'
import { libraryRuntime } from '../src/providers/library-runtime.ts'
import { ALL_TYPES, graphOf, identities, openExternal, openFiles, product, runDirectly } from './raw-support.ts'
import { hold } from './support.ts'

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine(options)
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

function startRunner(): Runner {
  const runner = createRunner()
  onTestFinished(() => runner.close())
  return runner
}

const row = (...numbers: number[]): RawTensor => ({
  type: 'float32',
  dims: [numbers.length / 3, 3],
  data: Float32Array.from(numbers),
})

const JSON_FILE = Uint8Array.from(Buffer.from('{}'))

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
}

/** A tensor of these bits, NaNs of any kind among them. */
function tensorOf(type: RawType, dims: readonly number[], bytes: Uint8Array): RawTensor {
  const items = dims.reduce((all, dim) => all * dim, 1)
  const at = (index: number): number => bytes[index % bytes.length] ?? 0
  const filled = Uint8Array.from({ length: items * 8 }, (_, index) => at(index))
  if (type === 'string') {
    return { type, dims, data: Array.from({ length: items }, (_, index) => 'é𝄞'.repeat(at(index) % 3) + at(index)) }
  }
  if (type === 'bool') return { type, dims, data: filled.map((byte) => byte & 1).slice(0, items) }
  return { type, dims, data: new ARRAYS[type](filled.buffer, 0, items) }
}

/** Three NaNs with this in their payload. */
const nanOf = (low: number): RawTensor => tensorOf('float32', [1, 3], Uint8Array.of(low, 0, 192, 127))

/** With every bit to be seen. */
const bitsOf = (tensors: RawTensors): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tensors)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { type, dims, data }]) => {
        const bits = ArrayBuffer.isView(data)
          ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')
          : JSON.stringify(data)
        return [name, `${type} [${dims.join()}] ${bits}`]
      }),
  )

describe('a graph on raw tensors', () => {
  it('gives bit for bit what ONNX Runtime gives, of every type and any dims, in threads and in this one', async () => {
    const graph = graphOf(identities(['a', 'b']))
    // No more of a model than this.
    const model = await openFiles({ 'echo.onnx': graph })
    const [engine, runner] = [startEngine({ workers: 2 }), startRunner()]
    const [threaded, here] = [await engine.session(model), await runner.session(model)]
    expect(threaded.inputs).toEqual(ALL_TYPES.map((type) => ({ name: type, type, shape: ['a', 'b'] })))
    expect(threaded.outputs.at(-1)).toEqual({ name: 'shape', type: 'int64', shape: [2] })
    expect([here.inputs, here.outputs, here.file]).toEqual([threaded.inputs, threaded.outputs, 'echo.onnx'])
    const dims = array(integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 2 })
    await assert(
      asyncProperty(dims, uint8Array({ minLength: 1, maxLength: 64 }), async (shape, bytes) => {
        const feeds = Object.fromEntries(ALL_TYPES.map((type) => [type, tensorOf(type, shape, bytes)]))
        const direct = await runDirectly(graph, feeds)
        if ('refused' in direct) throw direct.refused
        const [there, near] = await Promise.all([threaded.run(feeds), here.run(feeds)])
        expect(bitsOf(there.output)).toEqual(bitsOf(direct.output))
        expect(bitsOf(near.output)).toEqual(bitsOf(direct.output))
        expect(near.receiptCid).toEqual(there.receiptCid)
      }),
      { numRuns: 20, seed: 6 },
    )
  })

  it('gives of a model what ONNX Runtime gives, also where it is one that runs a task', async () => {
    const { open } = await hold('tiny-bert')
    const model = await open()
    const engine = startEngine()
    const session = await engine.session(model)
    const ids = BigInt64Array.of(2n, 5n, 7n, 3n, 0n, 0n)
    const feeds = Object.fromEntries(
      session.inputs.map(({ name, type, shape }) => {
        expect({ type, rank: shape.length }).toEqual({ type: 'int64', rank: 2 })
        const data =
          name === 'attention_mask'
            ? ids.map((id) => (id > 0n ? 1n : 0n))
            : ids.map((id) => (name === 'input_ids' ? id : 0n))
        return [name, { type: 'int64', dims: [2, 3], data } as const]
      }),
    )
    const direct = await runDirectly(await model.read('onnx/model.onnx'), feeds)
    if ('refused' in direct) throw direct.refused
    expect(bitsOf((await session.run(feeds)).output)).toEqual(bitsOf(direct.output))
    expect(await engine.run('feature-extraction', model, 'a')).toMatchObject({ output: { dims: [16] } })
  })

  it('refuses the dims that ONNX Runtime refuses, and no others', async () => {
    const graph = graphOf(product)
    const session = await startEngine().session(await openFiles({ 'model.onnx': graph }))
    const anyDims = array(constantFrom(0, 1, 2, 3, 4), { maxLength: 4 })
    const likely = tuple(integer({ min: 0, max: 4 }), constantFrom(3)).map((dims): number[] => dims)
    await assert(
      asyncProperty(record({ any: anyDims, like: likely, pick: constantFrom(0, 1) }), async ({ any, like, pick }) => {
        const x = tensorOf('float32', pick === 0 ? any : like, Uint8Array.of(0, 0, 0, 63))
        const direct = await runDirectly(graph, { x })
        const told = await session.run({ x }).then(
          ({ output }) => bitsOf(output),
          (error: unknown) => error,
        )
        const refusal: unknown = expect.objectContaining({ code: 'INVALID_INPUT', input: 'x' })
        expect(told).toEqual('output' in direct ? bitsOf(direct.output) : refusal)
      }),
      { numRuns: 40, seed: 6 },
    )
  })

  it('names the input that it cannot be given, before ONNX Runtime sees it', async () => {
    const session = await startEngine().session(await openFiles({ 'model.onnx': graphOf(product) }))
    const data = new Float32Array(3)
    const cases: [unknown, string, string][] = [
      [{}, 'x', 'is missing'],
      [{ x: row(1, 2, 3), z: row(1, 2, 3) }, 'z', 'no input of the graph'],
      [JSON.parse('{"__proto__": {}, "x": 1}'), '__proto__', 'no input of the graph'],
      [{ x: { type: 'int32', dims: [1, 3], data: new Int32Array(3) } }, 'x', 'is float32, not int32'],
      [
        { x: { type: 'float32', dims: [1, 3], data: new Int32Array(3) } },
        'x',
        'is of float32, and its data a Int32Array',
      ],
      [{ x: { type: 'float32', dims: [2, 3], data } }, 'x', '6 items, and data of 3'],
      [{ x: { type: 'float32', dims: [1, 3], data: new Uint8Array(12) } }, 'x', 'data a Uint8Array'],
      [{ x: { type: 'float32', dims: [-1, -3], data } }, 'x', 'which are none'],
      [{ x: { type: 'float32', dims: [1.5, 2], data } }, 'x', 'which are none'],
      [{ x: { type: 'float32', dims: [2 ** 40, 2 ** 40], data } }, 'x', 'more items than there can be'],
      // Zero, if it were multiplied in floats.
      [{ x: { type: 'float32', dims: [2 ** 40, 2 ** 40, 0], data: new Float32Array() } }, 'x', 'more items'],
      [{ x: { type: 'float32', dims: [2 ** 32, 3], data } }, 'x', 'items, and data of 3'],
      [{ x: { type: 'float32', dims: '13', data } }, 'x', 'no list of dims'],
      [{ x: { type: 'bfloat16', dims: [1, 3], data } }, 'x', 'bfloat16'],
      [{ x: null }, 'x', 'is no tensor'],
    ]
    for (const [feeds, input, message] of cases) {
      // @ts-expect-error these are no feeds
      await expect(session.run(feeds)).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        input,
        message: expect.stringContaining(message),
      })
    }
    await expect(session.run({ x: row(1, 2, 3) }, { outputs: ['other'] })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('which gives y, most'),
    })
    const echo = await startEngine().session(await openFiles({ 'echo.onnx': graphOf(identities([1])) }))
    const feeds = Object.fromEntries(ALL_TYPES.map((type) => [type, tensorOf(type, [1], Uint8Array.of(1))]))
    const bad: [string, RawTensor][] = [
      ['bool', { type: 'bool', dims: [1], data: Uint8Array.of(2) }],
      ['string', { type: 'string', dims: [1], data: ['\uD800'] }],
    ]
    for (const [input, tensor] of bad) {
      await expect(echo.run({ ...feeds, [input]: tensor })).rejects.toMatchObject({ code: 'INVALID_INPUT', input })
    }
  })

  it('leaves the caller its memory, and gives the output it was asked for', async () => {
    const session = await startEngine().session(await openFiles({ 'model.onnx': graphOf(product) }))
    const data = Float32Array.of(1, 2, 3, 4, 5, 6)
    const running = session.run({ x: { type: 'float32', dims: [2, 3], data } }, { outputs: ['most', 'most'] })
    // Before it has run.
    data.fill(7)
    expect((await running).output).toEqual({ most: { type: 'float32', dims: [2], data: Float32Array.of(28, 64) } })
    expect(data).toEqual(new Float32Array(6).fill(7))
    const both = [session.run({ x: row(1, 2, 3) }), session.run({ x: row(1, 2, 3) })]
    const [one, other] = await Promise.all(both)
    expect(one?.output).toEqual(other?.output)
    // Of the same memory for two inputs.
    const echo = await startEngine().session(await openFiles({ 'echo.onnx': graphOf(identities([1])) }))
    const shared = new ArrayBuffer(8)
    const feeds = Object.fromEntries(ALL_TYPES.map((type) => [type, tensorOf(type, [1], Uint8Array.of(1))]))
    const float16: RawTensor = { type: 'float16', dims: [1], data: new Uint16Array(shared, 2, 1) }
    const uint16: RawTensor = { type: 'uint16', dims: [1], data: new Uint16Array(shared, 2, 1) }
    expect((await echo.run({ ...feeds, float16, uint16 })).output).toMatchObject({ uint16_out: uint16 })
    expect(shared.byteLength).toBe(8)
    // A `slice` of Node's own is a view.
    const own = Buffer.alloc(8192, 1)
    const wide = await startEngine().session(await openFiles({ 'echo.onnx': graphOf(identities([8192])) }))
    const all = Object.fromEntries(
      ALL_TYPES.map((type) => [type, tensorOf(type, [8192], new Uint8Array(8192).fill(1))]),
    )
    const echoed = wide.run({ ...all, uint8: { type: 'uint8', dims: [8192], data: own } })
    own.fill(2)
    expect((await echoed).output).toMatchObject({ uint8_out: { data: new Uint8Array(8192).fill(1) } })
    expect(own.length).toBe(8192)
  })

  it('says on what its results rest, and they are found to be so when they are run again', async () => {
    const model = await openFiles({
      'onnx/model.onnx': graphOf(product),
      'config.json': JSON_FILE,
      'README.md': Uint8Array.of(35),
    })
    const session = await startEngine().session(model)
    const result = await session.run({ x: row(1, 2, 3) })
    const { receipt, blocks, output } = result
    expect(receipt).toMatchObject({
      task: 'raw-tensors',
      model: model.cid,
      files: [{ path: 'onnx/model.onnx' }],
      runtime: { name: 'onnxruntime-node' },
      library: { name: '@x/infer-node' },
      executionProvider: 'cpu',
      tools: [],
    })
    expect(result.params).toEqual({ graph: 'onnx/model.onnx', outputs: ['y', 'most'] })
    expect(decodeOutput(blocks[2]?.bytes ?? new Uint8Array())).toEqual(output)
    const runner = startRunner()
    const loads = vi.spyOn(libraryRuntime().InferenceSession, 'create')
    onTestFinished(() => loads.mockRestore())
    expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same', conditions: [] })
    const other = await session.run({ x: row(1, 2, 4) })
    const wrong = { ...receipt, output: other.receipt.output }
    const all = [...blocks, ...other.blocks]
    expect(await verifyReceipt(runner, wrong, model, { blocks: all })).toMatchObject({
      verdict: 'other',
      difference: { differing: 3 },
    })
    await expect(verifyReceipt(runner, receipt, model)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(loads).toHaveBeenCalledTimes(1)
  })

  it('keeps results as tasks do, and gives them without the graph being loaded', async () => {
    const graph = graphOf(product)
    const model = await openFiles({
      'config.json': JSON_FILE,
      'onnx/model.onnx': graph,
      'onnx/other.onnx': graphOf(identities([1])),
    })
    const cache = createCache()
    const session = await startEngine({ cache }).session(model)
    const first = await session.run({ x: row(1, 2, 3) })
    const kept = await session.run({ x: row(1, 2, 3) })
    expect([first.from, kept.from, kept.output]).toEqual(['computed', 'memory', first.output])
    expect(kept.receiptCid).toEqual(first.receiptCid)
    expect((await session.run({ x: row(1, 2, 3) }, { outputs: ['y'] })).from).toBe('computed')
    expect((await session.run({ x: row(1, 2, 3) }, { cache: 'refresh' })).from).toBe('computed')
    // A NaN of another kind is another input.
    expect([(await session.run({ x: nanOf(1) })).from, (await session.run({ x: nanOf(2) })).from]).toEqual([
      'computed',
      'computed',
    ])
  })

  it('goes on where the cache fails', async () => {
    const warnings: string[] = []
    const broken = createCache()
    broken.getOrCompute = async (_key, compute) => {
      await compute(new AbortController().signal)
      throw new Error('the disk is gone')
    }
    const engine = startEngine({ cache: broken, onWarning: (message) => warnings.push(message) })
    const session = await engine.session(await openFiles({ 'model.onnx': graphOf(product) }))
    // The first time its memory was handed to the thread.
    expect((await session.run({ x: row(1, 2, 3) })).output).toMatchObject({ most: { data: Float32Array.of(28) } })
    expect(warnings).toEqual([expect.stringContaining('the disk is gone')])
  })
})

describe('a session', () => {
  it('finds the weights beside its graph, and says that it read them; also where nothing has a path', async () => {
    const model = await openExternal()
    const results = []
    for (const one of [model, { ...model, path: () => undefined, verifiedPath: undefined }]) {
      // @ts-expect-error one without a method is one all the same
      const session = await startEngine().session(one)
      results.push(await session.run({ x: row(1, 2, 3) }))
    }
    const [mapped, read] = results
    expect(mapped?.receipt.files.map(({ path }) => path)).toEqual(['graphs/weights.bin', 'graphs/wide.onnx'])
    expect(read?.receiptCid).toEqual(mapped?.receiptCid)
  })

  it('is of the graph that is named, and of no other', async () => {
    const files = { 'a.onnx': graphOf(product), 'b.onnx': graphOf(identities(['a'])) }
    const [model, engine] = [await openFiles(files), startEngine()]
    await expect(engine.session(model)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('a.onnx, b.onnx'),
    })
    expect((await engine.session(model, { file: 'a.onnx' })).inputs).toEqual([
      { name: 'x', type: 'float32', shape: ['rows', 3] },
    ])
    await expect(engine.session(model, { file: '../a.onnx' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const none = await openFiles({ 'config.json': JSON_FILE })
    await expect(engine.session(none)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const unknown = { ...product, nodes: [['NoSuchOperator', ['x'], ['y', 'most']]] } as const
    const broken = await openFiles({ 'a.onnx': graphOf(unknown) })
    await expect(engine.session(broken)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const brain = await openFiles({
      'a.onnx': graphOf({
        nodes: [['Identity', ['x'], ['y']]],
        inputs: { x: ['bfloat16', [1]] },
        outputs: { y: ['bfloat16', [1]] },
      }),
    })
    await expect(engine.session(brain)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    const { open } = await hold('tiny-bert')
    expect((await engine.session(await open())).file).toBe('onnx/model.onnx')
  })

  it('loads its graph again after it was unloaded, from the CID that it had', async () => {
    const model = await openFiles({ 'model.onnx': graphOf(product) })
    const opened: string[] = []
    const engine = startEngine({
      openModel: async (reference) => {
        opened.push(reference)
        return { ...model, close: () => Promise.resolve() }
      },
    })
    const session = await engine.session('a name')
    expect(await engine.unload(model.cid.toString())).toBe(1)
    expect((await session.run({ x: row(1, 2, 3) })).output).toMatchObject({ most: { data: Float32Array.of(28) } })
    expect(opened).toEqual(['a name', `ipfs://${model.cid}`])
    expect(engine.stats()).toMatchObject({ loads: 2, unloads: 1, models: [{ task: 'raw-tensors' }] })
  })

  it('shares the memory budget, the queues and the quarantine of all models', async () => {
    const model = await openFiles({ 'model.onnx': graphOf(product) })
    await expect(startEngine({ memoryBytes: 10 }).session(model)).rejects.toMatchObject({ code: 'NO_SPACE' })
    const engine = startEngine({ maxQueued: 1 })
    const [loading, stop] = [Promise.withResolvers<void>(), new AbortController()]
    let isHeld = false
    const verifiedPath: typeof model.verifiedPath = async (...given) => {
      if (isHeld) await loading.promise
      return model.verifiedPath?.(...given)
    }
    const session = await engine.session({ ...model, verifiedPath })
    await engine.unload(model.cid.toString())
    isHeld = true
    // The thread has two in hand, and one waits.
    const asked = Array.from({ length: 4 }, () => session.run({ x: row(1, 2, 3) }, { signal: stop.signal }))
    const told = Promise.allSettled(asked)
    await expect(Promise.race(asked)).rejects.toMatchObject({ code: 'BUSY' })
    stop.abort(new Error('enough'))
    expect(await told).toContainEqual(expect.objectContaining({ reason: new Error('enough') }))
    expect(engine.stats().queued).toBe(0)
    loading.resolve()
    await engine.close({ drain: false })
    await expect(session.run({ x: row(1, 2, 3) })).rejects.toMatchObject({ message: 'the engine is closed' })
  })
})
