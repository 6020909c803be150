import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { createCache } from '@x/cache'
import type { OpenedModel } from '@x/model-loader'
import { expect, it, onTestFinished } from 'vitest'

import {
  createEngine,
  createProviderProber,
  createRunner,
  runTask,
  type Engine,
  type EngineOptions,
  type PrepareGraph,
  type Providers,
  type Runner,
  type TaskResult,
} from '../src/index.ts'
import { installedRuntime } from '../src/providers/installed-runtime.ts'
import { deviceOf } from '../src/providers/provider-names.ts'
import { bindingOf, importTransformers } from '../src/transformers.ts'
import { differences } from './differences.ts'
import { mockProber } from './mock-prober.ts'
import { hold, type Held } from './support.ts'

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'
const hasVulkan = existsSync('/usr/share/vulkan/icd.d') || existsSync('/etc/vulkan/icd.d')

function startEngine(options: EngineOptions): { engine: Engine; warnings: string[] } {
  const warnings: string[] = []
  const engine = createEngine({ onWarning: (message) => warnings.push(message), ...options })
  onTestFinished(() => engine.close({ drain: false }))
  return { engine, warnings }
}

it('has the names that transformers.js has on this platform', async () => {
  const transformers = await importTransformers()
  const { open } = await hold('tiny-bert')
  const runner = createRunner({ providers: ['no-such'], prober: mockProber({ 'no-such': true }), transformers })
  onTestFinished(() => runner.close())
  // The library is asked for `cpu`, the runtime for what was named.
  await expect(runner.run('feature-extraction', await open(), ['a']).next()).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/on no-such: no available backend found.*\[no-such\] backend not found/),
  })
  const binding = bindingOf(transformers)
  const { id, unregister } = binding.register(await open())
  binding.install(transformers.env)
  onTestFinished(() => {
    binding.restore(transformers.env)
    unregister()
  })
  // @ts-expect-error no such device
  const refused = transformers.AutoModel.from_pretrained(id, { device: 'mine', dtype: 'fp32' })
  const { message } = await refused.then(
    () => new Error('it was loaded'),
    (error: Error) => error,
  )
  const [, names = ''] = /Should be one of: (.*)\.$/.exec(message) ?? []
  const known = ['cuda', 'dml', 'coreml', 'webgpu', 'cpu'].filter((name) => deviceOf(name, process) === name)
  expect(names.split(', ')).toEqual(known)
})

it('runs on the first of a list that works, and says why the others are not used', async (context) => {
  if (!(!hasVulkan && isLinuxX64)) context.skip('it is about Linux on x64 without a driver for Vulkan')

  const model = await (await hold('tiny-bert')).open()
  const { engine, warnings } = startEngine({ providers: ['webgpu', 'cpu'] })
  const { receipt } = await engine.run('feature-extraction', model, 'hello')
  expect(receipt).toMatchObject({ executionProvider: 'cpu', runtime: { name: 'onnxruntime-node' } })
  expect(warnings).toEqual([expect.stringMatching(/^execution provider webgpu does not work here: ./)])
  expect(engine.stats()).toMatchObject({
    providers: {
      verdicts: [
        { provider: 'webgpu', works: false, why: expect.any(String) },
        { provider: 'cpu', works: true },
      ],
    },
    models: [{ executionProvider: 'cpu' }],
  })
  const required = startEngine({ providers: { require: 'webgpu' }, prober: createProviderProber() })
  await expect(required.engine.run('feature-extraction', model, 'hello')).rejects.toMatchObject({
    code: 'GATED',
    feature: 'execution-provider',
    message: expect.stringMatching(/webgpu: ./),
  })
})

it('asks nobody where nothing but the processor may run a model', async () => {
  const prober = mockProber({})
  const model = await (await hold('tiny-bert')).open()
  const { engine } = startEngine({ prober })
  expect((await engine.run('feature-extraction', model, 'hello')).receipt.executionProvider).toBe('cpu')
  expect(prober.asked).toEqual([])
})

it('goes on to the next where a model cannot be loaded on one that a mock says works', async () => {
  const model = await (await hold('tiny-bert')).open()
  const providers = ['no-such', 'cuda', 'cpu']
  const prober = mockProber({ 'no-such': true, cuda: false, cpu: true })
  const prepared: string[] = []
  const prepare: PrepareGraph = async (of, file) => {
    prepared.push(file)
    return { path: of.path(file) ?? '', options: {}, weights: 'unpacked', isMapped: false }
  }
  const { engine, warnings } = startEngine({ providers, prober, prepare })
  const { receipt } = await engine.run('feature-extraction', model, 'hello')
  expect(receipt).toMatchObject({ executionProvider: 'cpu', numericClass: expect.stringMatching(/-prepacked$/) })
  expect(prepared).toEqual([])
  const refusal = {
    provider: 'no-such',
    model: model.cid.toString(),
    why: expect.stringContaining('backend not found'),
  }
  expect(engine.stats().providers.refusals).toEqual([refusal])
  expect(warnings).toEqual([
    expect.stringMatching(/^execution provider no-such cannot run baf/),
    'execution provider cuda does not work here: a mock says so',
  ])
  const runner = createRunner({ providers, prober })
  onTestFinished(() => runner.close())
  const result = await runner.run('feature-extraction', model, ['hello']).next()
  expect(result.value?.receiptCid.toString()).toBe(
    (await engine.run('feature-extraction', model, 'hello')).receiptCid.toString(),
  )
  const { engine: strict } = startEngine({ providers: { require: 'no-such' }, prober })
  await expect(strict.run('feature-extraction', model, 'hello')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('gives no result that was kept from a provider that may not run it', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-bert')).open()
  const { engine } = startEngine({ cache })
  await engine.run('feature-extraction', model, 'hello')
  expect((await engine.run('feature-extraction', model, 'hello')).from).toBe('memory')
  const { engine: other } = startEngine({
    cache,
    providers: { require: 'no-such' },
    prober: mockProber({ 'no-such': true }),
  })
  await expect(other.run('feature-extraction', model, 'hello')).rejects.toMatchObject({
    message: expect.stringContaining('no-such'),
  })
})

it('keeps results of a runner under the provider that ran, which another runner need not load a model to know', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-bert')).open()
  const startRunner = (providers: Providers): Runner => {
    const runner = createRunner({ cache, providers, prober: mockProber({ 'no-such': true, cpu: true }) })
    onTestFinished(() => runner.close())
    return runner
  }
  const run = async (providers: Providers): Promise<TaskResult | undefined> => {
    const { value } = await startRunner(providers).run('feature-extraction', model, ['hello']).next()
    return value ?? undefined
  }
  const ladder = ['no-such', 'cpu']
  const first = await run(ladder)
  expect(first).toMatchObject({ from: 'computed', receipt: { executionProvider: 'cpu' } })
  const opened: string[] = []
  const watched: OpenedModel = {
    ...model,
    verifiedPath: (file) => {
      opened.push(file)
      return Promise.resolve(undefined)
    },
  }
  const { value: second } = await startRunner(ladder).run('feature-extraction', watched, ['hello']).next()
  expect(second).toMatchObject({ from: 'memory', receiptCid: first?.receiptCid })
  expect(opened).toEqual([])
  // What is known of one list says nothing of another.
  await expect(run({ require: 'no-such' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(await run(['cpu'])).toMatchObject({ from: 'computed' })
})

/** A processor that answers as a GPU does, which Chromium brings along. */
const chromium = dirname(process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium').replace(/bin$/, 'lib/chromium')
const driver = join(chromium, 'vk_swiftshader_icd.json')

/** In a process that has the driver. */
async function runOnGpu({ directory, added }: Held, ...task: string[]): Promise<{ values: unknown[] }> {
  const child = fileURLToPath(new URL('./children/run-anywhere.ts', import.meta.url))
  const named = JSON.stringify(['qnn', 'webgpu', 'cpu'])
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--conditions=@x/source',
      '--disable-warning=ExperimentalWarning',
      child,
      directory,
      `ipfs://${added.cid}`,
      named,
      ...task,
    ],
    { env: { ...process.env, LD_LIBRARY_PATH: chromium, VK_ICD_FILENAMES: driver } },
  )
  return JSON.parse(stdout)
}

it('runs on a GPU, and says so', async (context) => {
  if (!existsSync(driver)) context.skip('Chromium has no SwiftShader driver here')

  const held = await hold('tiny-bert')
  const texts = ['hello world', 'a', 'this is a test']
  const results = await runTask('feature-extraction', await held.open(), texts)
  const ofProcessor = results.map(({ output }) => [...output.data])
  await held.store.close()
  const told = await runOnGpu(held)
  const runtime = { name: 'onnxruntime-node', version: installedRuntime('onnxruntime-node').version }
  const numericClass = expect.stringMatching(/^x64-[0-9a-f]{12}-[0-9a-f]{12}-prepacked$/)
  expect(told).toMatchObject({
    receipts: texts.map(() => ({ runtime, executionProvider: 'webgpu', numericClass })),
    warnings: [expect.stringMatching(/^execution provider qnn does not work here: onnxruntime-node .* has no qnn/)],
    stats: { models: [{ executionProvider: 'webgpu' }] },
  })
  expect(differences(told.values, ofProcessor)).toEqual([])
  // It is not the processor's answer under another name.
  expect(told.values).not.toEqual(ofProcessor)
})

it('lets no inputs share a run on a GPU, of a model whose inputs share one on the processor', async (context) => {
  if (!existsSync(driver)) context.skip('Chromium has no SwiftShader driver here')

  const held = await hold('tiny-sentiment')
  const { engine } = startEngine({})
  const texts = ['hello world', 'a', 'this is a test']
  const model = await held.open()
  await Promise.all(texts.map((text) => engine.run('text-classification', model, text)))
  // Texts of like length share one.
  expect(engine.stats().runs).toBeLessThan(3)
  await held.store.close()
  expect(await runOnGpu(held, 'text-classification')).toMatchObject({ stats: { runs: 3, rows: 3 } })
})
