import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createCache } from '@x/cache'
import { readReference, type FixtureName } from '@x/fixtures'
import type { TaskName } from '@x/infer-core'
import { expect, it, onTestFinished } from 'vitest'

import {
  createEngine,
  createProviderProber,
  createRunner,
  runTask,
  type Engine,
  type EngineOptions,
  type Providers,
} from '../src/index.ts'
import { installedRuntime } from '../src/providers/installed-runtime.ts'
import { differences } from './differences.ts'
import { holdGguf, llamaOrSkip } from './gguf-support.ts'
import { openExternal } from './raw-support.ts'
import { inputsOf, optionsOf } from './recorded.ts'
import { hold, type Held } from './support.ts'

function startEngine(options: EngineOptions = {}): Engine {
  const engine = createEngine({ providers: ['wasm'], ...options })
  onTestFinished(() => engine.close({ drain: false }))
  return engine
}

const { name, version } = installedRuntime('onnxruntime-web')

it.for<[FixtureName, TaskName]>([
  ['tiny-bert', 'feature-extraction'],
  ['tiny-bert-external', 'feature-extraction'],
  ['tiny-gpt', 'text-generation'],
  ['tiny-vit', 'image-classification'],
  ['tiny-ctc', 'automatic-speech-recognition'],
])('gives with the WASM build what the native one gives, and says which it was: %s', async ([fixture, task]) => {
  const [wanted] = readReference(fixture).pipelines
  if (wanted === undefined) throw new Error('every model has a case')
  const model = await (await hold(fixture)).open()
  const [inputs, options] = [inputsOf(task, wanted), optionsOf(wanted)]
  const engine = startEngine()
  const expected = await runTask<TaskName>(task, model, inputs, { options })
  const given = await Promise.all(inputs.map((input) => engine.run<TaskName>(task, model, input, { options })))
  for (const [index, { output, receipt }] of given.entries()) {
    expect(receipt).toMatchObject({ executionProvider: 'wasm', runtime: { name, version } })
    expect(differences(output, expected[index]?.output)).toEqual([])
  }
})

it('keeps its results apart from those of the native runtime', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-bert')).open()
  const prober = createProviderProber({ cache })
  const native = startEngine({ cache, providers: ['cpu'] })
  await native.run('feature-extraction', model, 'hello')
  const first = await startEngine({ cache, prober }).run('feature-extraction', model, 'hello')
  expect(first).toMatchObject({ from: 'computed', receipt: { executionProvider: 'wasm' } })
  const idle = startEngine({ cache, prober })
  const again = await idle.run('feature-extraction', model, 'hello')
  expect(again).toMatchObject({ from: 'memory', receipt: first.receipt })
  expect(idle.stats()).toMatchObject({ loads: 0, providers: { verdicts: [{ provider: 'wasm', works: true }] } })
})

it('runs in threads alone', async () => {
  const runner = createRunner({ providers: ['wasm'] })
  onTestFinished(() => runner.close())
  const model = await (await hold('tiny-bert')).open()
  await expect(runner.run('feature-extraction', model, ['a']).next()).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

/** In a process in which onnxruntime-node cannot be loaded, and nothing can be fetched. */
function runWithoutNative({ directory, added }: Held, providers: Providers): Promise<{ stdout: string }> {
  const { href: preload } = new URL('./children/no-native-runtime.mjs', import.meta.url)
  const child = fileURLToPath(new URL('./children/run-anywhere.ts', import.meta.url))
  return promisify(execFile)(
    process.execPath,
    [
      '--conditions=@x/source',
      '--disable-warning=ExperimentalWarning',
      child,
      directory,
      `ipfs://${added.cid}`,
      JSON.stringify(providers),
    ],
    { env: { ...process.env, NODE_OPTIONS: `--import=${preload}` } },
  )
}

it('is what runs where the native one cannot be loaded, without a network', async (context) => {
  if (process.platform !== 'linux') context.skip('only on Linux it is told how the native runtime fails to load')

  const held = await hold('tiny-bert')
  const expected = await runTask('feature-extraction', await held.open(), ['hello world', 'a', 'this is a test'])
  await held.store.close()
  const { stdout } = await runWithoutNative(held, 'auto')
  const told: { values: number[][] } = JSON.parse(stdout)
  expect(told).toMatchObject({
    receipts: [1, 2, 3].map(() => ({ runtime: { name, version }, executionProvider: 'wasm' })),
    isNative: false,
    warnings: [expect.stringMatching(/onnxruntime-node 1\..* cannot be loaded: Error loading shared library/)],
  })
  expect(
    differences(
      told.values,
      expected.map(({ output }) => [...output.data]),
    ),
  ).toEqual([])
})

it('is not used where it was not asked for', async () => {
  const held = await hold('tiny-bert')
  await held.store.close()
  const stderr = expect.stringMatching(/GatedError: .*cannot be loaded: Error loading shared library/)
  await expect(runWithoutNative(held, ['cpu'])).rejects.toMatchObject({ stderr })
})

it('runs raw tensors with the WASM build, weights beside the graph too', async () => {
  const { open } = await hold('tiny-bert-external')
  const [model, names] = [await open(), [] as string[]]
  const ids = BigInt64Array.of(2n, 5n, 7n)
  const outputs = []
  for (const engine of [startEngine(), startEngine({ providers: ['cpu'] })]) {
    const session = await engine.session(model)
    const feeds = Object.fromEntries(
      session.inputs.map(({ name: input }) => [
        input,
        { type: 'int64', dims: [1, 3], data: input === 'input_ids' ? ids : ids.map(() => 1n) } as const,
      ]),
    )
    const { output, receipt } = await session.run(feeds)
    names.push(receipt.runtime.name)
    outputs.push(output)
  }
  expect(names).toEqual([name, 'onnxruntime-node'])
  expect(differences(outputs[0], outputs[1])).toEqual([])
})

it('finds the weights of a graph under whatever name they have', async () => {
  const model = await openExternal()
  const feeds = { x: { type: 'float32', dims: [1, 3], data: Float32Array.of(1, 2, 3) } } as const
  const outputs = []
  for (const engine of [startEngine(), startEngine({ providers: ['cpu'] })]) {
    const session = await engine.session(model)
    outputs.push((await session.run(feeds)).output)
  }
  // Of small whole numbers, exactly.
  expect(outputs[0]).toEqual(outputs[1])
})

it('is what graphs run on where a GGUF was asked for first', async (context) => {
  llamaOrSkip(context)
  const [gguf, bert] = [await (await holdGguf('tiny-gguf-llama')).open(), await (await hold('tiny-bert')).open()]
  const engine = startEngine({ providers: ['wasm', 'cpu'] })
  await engine.run('text-generation', gguf, 'goats walks', { options: { max_new_tokens: 2 } })
  const { receipt } = await engine.run('feature-extraction', bert, 'hello')
  expect(receipt).toMatchObject({ executionProvider: 'wasm', runtime: { name, version } })
})
