import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { createCache } from '@x/cache'
import { expect, it, onTestFinished, vi } from 'vitest'

import { encodeModel, float32 } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { createEngine, createProviderProber, type ProviderProber, type Providers } from '../src/index.ts'
import { installedRuntime } from '../src/providers/installed-runtime.ts'
import { createLadder } from '../src/providers/ladder.ts'
import { PROBE_GRAPH, PROBE_INPUT, PROBE_OUTPUT } from '../src/providers/probe-graph.ts'
import { runProbe } from '../src/providers/probe-process.ts'
import { mockProber } from './mock-prober.ts'
import { tempDirectory } from './support.ts'

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'
/** What listed providers need that this machine may lack. */
const cudaLibrary = join(
  dirname(installedRuntime('onnxruntime-node').entry),
  '../bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so',
)
const hasVulkan = existsSync('/usr/share/vulkan/icd.d') || existsSync('/etc/vulkan/icd.d')

it('tries a graph whose answer is known', () => {
  const w = [
    [1, 0, 2, -1],
    [0, 1, -2, 3],
    [2, -1, 0, 1],
    [1, 1, 1, 0],
  ]
  const b = [1, 2, 3, 4]
  const graph = encodeModel({
    nodes: [
      ['MatMul', ['x', 'w'], ['xw']],
      ['Add', ['xw', 'b'], ['y']],
    ],
    initializers: { w: float32([4, 4], w.flat()), b: float32([4], b) },
    inputs: { x: ['float32', [2, 4]] },
    outputs: { y: ['float32', [2, 4]] },
  })
  expect(Buffer.from(graph).toString('base64')).toBe(PROBE_GRAPH)
  const { data } = PROBE_INPUT
  const rows = [data.slice(0, 4), data.slice(4)]
  const times = (row: readonly number[], column: number): number =>
    row.reduce((sum, value, index) => sum + value * (w[index]?.[column] ?? 0), 0)
  expect(rows.flatMap((row) => b.map((bias, column) => times(row, column) + bias))).toEqual(PROBE_OUTPUT)
})

it('finds the processor working, and keeps what it found out', async () => {
  const cache = createCache()
  const prober = createProviderProber({ cache })
  const verdict = await prober.probe('cpu')
  expect(verdict).toMatchObject({ provider: 'cpu', works: true, from: 'probed', runtime: { name: 'onnxruntime-node' } })
  expect(verdict.milliseconds).toBeGreaterThan(0)
  expect(await prober.probe('cpu')).toBe(verdict)
  expect(prober.verdicts()).toEqual([verdict])
  // Another program with the same cache.
  const later = await createProviderProber({ cache }).probe('cpu')
  expect(later).toMatchObject({ works: true, why: verdict.why, from: 'kept' })
})

it('says why CUDA, which the runtime has, does not work here', async (context) => {
  if (!(isLinuxX64 && !existsSync(cudaLibrary)))
    context.skip('it is about Linux on x64 where the libraries for CUDA were not installed')

  const prober = createProviderProber()
  const { providers, why } = await prober.listed()
  expect(why).toBeUndefined()
  expect(providers).toEqual(expect.arrayContaining(['cpu', 'cuda', 'tensorrt', 'webgpu']))
  expect(await prober.probe('cuda')).toMatchObject({
    works: false,
    why: expect.stringMatching(/_Cuda: Failed to load .*cannot open shared object file/s),
  })
})

it('says why WebGPU, which the runtime has, does not work here', async (context) => {
  if (!(isLinuxX64 && !hasVulkan)) context.skip('it is about Linux on x64 without a driver for Vulkan')

  expect(await createProviderProber().probe('webgpu')).toMatchObject({
    works: false,
    why: expect.stringMatching(/adapter.*libvulkan/s),
  })
})

it('says of a name that the runtime does not know which it has', async () => {
  const verdict = await createProviderProber().probe('cudaa')
  expect(verdict).toMatchObject({
    provider: 'cudaa',
    works: false,
    why: expect.stringMatching(/has no cudaa .*but .*cpu/),
  })
})

it('knows why a provider that breaks, hangs or gives a wrong answer does not work', async () => {
  const directory = await tempDirectory()
  const mockRuntime = async (name: string, run: string): Promise<string> => {
    const file = join(directory, `mock-${name}.cjs`)
    const session = `{ run: async () => { ${run} } }`
    const code = `exports.listSupportedBackends = () => [{ name: 'cpu' }]
      exports.Tensor = class {}
      exports.InferenceSession = { create: async (graph, options) => (${session}) }`
    await writeFile(file, code)
    return file
  }
  const breaks = await runProbe(await mockRuntime('breaks', 'process.abort()'), 'cpu', 30_000)
  expect(breaks).toMatchObject({ providers: ['cpu'], failure: expect.stringContaining('ended by SIGABRT') })
  const ends = await runProbe(await mockRuntime('ends', 'process.exit(3)'), 'cpu', 30_000)
  expect(ends.failure).toContain('ended with code 3')
  const hangs = await runProbe(await mockRuntime('hangs', 'for (;;);'), 'cpu', 500)
  expect(hangs.failure).toBe('it did not end within 500 ms')
  const wrong = await runProbe(await mockRuntime('wrong', 'return { y: { data: new Float32Array(8) } }'), 'cpu', 30_000)
  expect(wrong.failure).toBe('it gave 0,0,0,0,0,0,0,0, not 12,5,5,12,28,9,9,24')
  const falls = 'return { y: { data: new Float32Array(options.extra ? 8 : [12, 5, 5, 12, 28, 9, 9, 24]) } }'
  const onProcessor = await mockRuntime('that leaves it to the processor, if it may', falls)
  expect((await runProbe(onProcessor, 'cuda', 30_000)).failure).toContain('it gave 0,')
  expect((await runProbe(onProcessor, 'cpu', 30_000)).failure).toBeUndefined()
  const absent = await runProbe(join(directory, 'absent.cjs'), 'cpu', 30_000)
  expect(absent).toMatchObject({ providers: undefined, failure: expect.stringContaining('Cannot find module') })
})

it('leaves no operator of the tried graph to the processor, by an option that the runtime knows', async () => {
  const { entry } = installedRuntime('onnxruntime-node')
  const runtime: { InferenceSession: { create: (graph: Uint8Array, options: object) => Promise<unknown> } } =
    createRequire(import.meta.url)(entry)
  const options = {
    executionProviders: ['cpu'],
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    logSeverityLevel: 4,
  }
  await expect(runtime.InferenceSession.create(Buffer.from(PROBE_GRAPH, 'base64'), options)).rejects.toThrow(
    /fallback/i,
  )
})

const warned: string[] = []
const ladderOf = (providers: Providers, prober: ProviderProber): ReturnType<typeof createLadder> =>
  createLadder({ providers, prober, onWarning: (message) => warned.push(message) })

it('climbs to the first that a mock says works, and asks for no more than it has to', async () => {
  const prober = mockProber({ cuda: false, webgpu: true, cpu: true })
  const ladder = ladderOf('auto', prober)
  expect(await ladder.climb()).toEqual(['webgpu', 'cpu', 'wasm'])
  expect(await ladder.climb()).toEqual(['webgpu', 'cpu', 'wasm'])
  expect(prober.asked).toEqual(['cuda', 'webgpu', 'cuda', 'webgpu'])
  expect(warned.splice(0)).toEqual(['execution provider cuda does not work here: a mock says so'])
  const refusal = { provider: 'webgpu', model: 'bafy', why: 'it lacks an operator' }
  expect(await ladder.next(refusal)).toBe('cpu')
  expect(await ladder.next({ ...refusal, provider: 'cpu' })).toBeUndefined()
  expect(ladder.refusals()).toEqual([refusal, { ...refusal, provider: 'cpu' }])
  expect(warned.splice(0)[0]).toBe('execution provider webgpu cannot run bafy: it lacks an operator')
})

it('refuses to fall back from what is required', async () => {
  const prober = mockProber({ cuda: false, cpu: true })
  await expect(ladderOf({ require: 'cuda' }, prober).climb()).rejects.toMatchObject({
    code: 'GATED',
    feature: 'execution-provider',
    message: 'no execution provider that may be used works here: cuda: a mock says so',
  })
  expect(prober.asked).not.toContain('cpu')
  const working = ladderOf({ require: 'cuda' }, mockProber({ cuda: true, cpu: true }))
  expect(await working.climb()).toEqual(['cuda'])
  expect(await working.next({ provider: 'cuda', model: 'bafy', why: 'it is too large' })).toBeUndefined()
})

/** Milliseconds for which it is believed that something does not work. */
const HOUR_MS = 3_600_000

/** @returns Moves the clock on. */
function holdClock(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  return (ms) => void vi.setSystemTime(Date.now() + ms)
}

it('tries again after an hour what did not work, and never what did', async () => {
  const pass = holdClock()
  const prober = createProviderProber()
  const [working, failing] = [await prober.probe('cpu'), await prober.probe('cudaa')]
  pass(HOUR_MS - 1)
  expect(await prober.probe('cudaa')).toBe(failing)
  pass(1)
  const again = await prober.probe('cudaa')
  expect(again).not.toBe(failing)
  expect(again).toMatchObject({ works: false, from: 'probed' })
  expect(prober.verdicts()).toEqual([working, again])
  expect(await prober.probe('cpu')).toBe(working)
})

it('tries again what did not work an hour after it was tried, also where another program did that', async () => {
  const pass = holdClock()
  const cache = createCache()
  // Nothing has an answer by then.
  expect(await createProviderProber({ cache, timeoutMs: 1 }).probe('cpu')).toMatchObject({ works: false })
  pass(HOUR_MS - 1)
  const prober = createProviderProber({ cache })
  expect(await prober.probe('cpu')).toMatchObject({ works: false, from: 'kept' })
  pass(1)
  expect(await prober.probe('cpu')).toMatchObject({ works: true, from: 'probed' })
})

it('climbs again when the first of the list works, on the same runtime', async () => {
  const works = { cuda: false, cpu: true, wasm: true }
  const lists = [['cuda', 'cpu'], ['cuda', 'wasm'], 'auto'] as const
  const ladders = lists.map((providers) => ladderOf(providers, mockProber(works)))
  const climb = () => Promise.all(ladders.map((ladder) => ladder.climb()))
  const before = [['cpu'], ['wasm'], ['cpu', 'wasm']]
  expect(await climb()).toEqual(before)
  works.cuda = true
  expect(await climb()).toEqual([['cuda', 'cpu'], ['wasm'], ['cuda', 'cpu', 'wasm']])
})

it('does not stay at the foot of a ladder that could not be climbed', async () => {
  const works = { cuda: false }
  const ladder = ladderOf({ require: 'cuda' }, mockProber(works))
  await expect(ladder.climb()).rejects.toMatchObject({ code: 'GATED' })
  works.cuda = true
  expect(await ladder.climb()).toEqual(['cuda'])
})

it('wants a name at least', () => {
  expect(() => createEngine({ providers: [] })).toThrow("providers is 'auto', a list of names, or { require: name }")
})
