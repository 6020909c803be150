import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it, vi, onTestFinished } from 'vitest'

import { compileModel } from '../src/sessions/compile-model.ts'
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
  ['says so', `throw new Error('no such operator')`, 'no such operator'],
  ['crashes on what it made', `if (path === 'target') process.kill(process.pid, 'SIGSEGV')`, 'SIGSEGV'],
])('it can never be prepacked where ONNX Runtime %s', async (_, body, why) => {
  expect(await compileWith(runtimeOf(body))).toContain(why)
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
