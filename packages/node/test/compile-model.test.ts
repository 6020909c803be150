import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it, vi, onTestFinished } from 'vitest'

import { compileModel } from '../src/sessions/compile-model.ts'
import { loadRuntime } from '../src/sessions/load-runtime.ts'
import { temporaryDirectory } from './support.ts'

/** A module in the place of ONNX Runtime. */
async function compileWith(runtime: string): Promise<string | undefined> {
  const file = path.join(await temporaryDirectory(), 'runtime.cjs')
  await writeFile(file, runtime)
  return compileModel({ runtime: file, source: 'source', target: 'target', data: '', level: 'all' })
}

/** @param body - Of `create`; its `path` is `source` first, then `target`. */
const runtimeOf = (body: string): string => `
  const empty = { inputMetadata: [], run: async () => ({}), release: async () => {} }
  module.exports = { InferenceSession: { create: async (path) => { ${body}; return empty } } }
`

it('the process that parses a model has no tokens', async () => {
  for (const name of ['HF_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'MY_PASSWORD', 'NODE_OPTIONS']) {
    vi.stubEnv(name, name === 'NODE_OPTIONS' ? '--no-warnings' : 'hidden-word')
  }
  onTestFinished(() => void vi.unstubAllEnvs())
  const said = await compileWith(runtimeOf('throw new Error(JSON.stringify(process.env))'))
  expect(said).toContain('"PATH"')
  expect(said).not.toMatch(/hidden-word|NODE_OPTIONS/)
})

it.each([
  [undefined, '1'],
  ['0', '0'],
])('ONNX Runtime is told not to report to its maker, unless the program says otherwise: %s', async (set, told) => {
  vi.stubEnv('ORT_DISABLE_TELEMETRY', set)
  onTestFinished(() => void vi.unstubAllEnvs())
  const said = await compileWith(runtimeOf('throw new Error(process.env.ORT_DISABLE_TELEMETRY)'))
  expect(said).toMatch(new RegExp(`${told}$`))
  expect(process.env['ORT_DISABLE_TELEMETRY']).toBe(set)
  loadRuntime()
  expect(process.env['ORT_DISABLE_TELEMETRY']).toBe(told)
})

it.each([
  ['says so', `throw new Error('no such operator')`, 'no such operator'],
  ['names a node by what it remembers', `throw new Error("no such operator at 'memory_attn/alloc'")`, 'memory_attn'],
  ['names its allocator', `throw new Error('allocation_planner.cc:5 Plan(const IAllocator&) no type')`, 'IAllocator'],
  ['wants more of an input', `throw new Error('not enough space: expected 3, got 2')`, 'not enough space'],
  ['crashes on what it made', `if (path === 'target') process.kill(process.pid, 'SIGSEGV')`, 'SIGSEGV'],
])('it can never be prepacked where ONNX Runtime %s', async (_, body, why) => {
  expect(await compileWith(runtimeOf(body))).toContain(why)
})

it('what a path is called says nothing', async () => {
  const directory = path.join(await temporaryDirectory(), 'std::bad_alloc, out of memory')
  await mkdir(directory)
  const runtime = path.join(directory, 'runtime.cjs')
  await writeFile(runtime, runtimeOf('throw new Error("Load model from " + path + " failed: no such operator")'))
  const at = (name: string): string => path.join(directory, name)
  const said = await compileModel({ runtime, source: at('source'), target: at('target'), data: '', level: 'all' })
  expect(said).toContain('no such operator')
})

it.each([
  ['the process is killed', runtimeOf(`process.kill(process.pid, 'SIGKILL')`), 'SIGKILL'],
  ['it is killed at the trial', runtimeOf(`if (path === 'target') process.kill(process.pid, 'SIGKILL')`), 'SIGKILL'],
  ['it crashes before there is a trial', runtimeOf(`process.kill(process.pid, 'SIGSEGV')`), 'SIGSEGV'],
  ['the disk is full', runtimeOf(`throw new Error('Protobuf serialization failed.')`), 'serialization failed'],
  ['there is no memory', runtimeOf(`throw new Error('std::bad_alloc')`), 'bad_alloc'],
  ['ONNX Runtime does not load', `throw new Error('its library is gone')`, 'its library is gone'],
])('nobody knows yet where %s', async (_, runtime, why) => {
  await expect(compileWith(runtime)).rejects.toThrowError(why)
})

it.each([
  'bfc_arena.cc:359 AllocateRawInternal(size_t) Failed to allocate memory for requested buffer of size 640000',
  'BFC Arena ran out of memory trying to allocate 640000.',
  'Failed to write external initializers to file: model.onnx_data',
  'open file "model.onnx" failed: Too many open files',
  'mmap file "model.onnx" failed: Cannot allocate memory',
  'Array buffer allocation failed',
])('nor where ONNX Runtime says: %s', async (said) => {
  await expect(compileWith(runtimeOf(`throw new Error(${JSON.stringify(said)})`))).rejects.toThrowError(said)
})
