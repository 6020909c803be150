import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { expect, it, vi, onTestFinished } from 'vitest'

import { compileModel } from '../src/sessions/compile-model.ts'
import { temporaryDirectory } from './support.ts'

it('the process that parses a model has no tokens', async () => {
  const directory = await temporaryDirectory()
  // In the place of ONNX Runtime: says what the process can see.
  const runtime = path.join(directory, 'runtime.cjs')
  await writeFile(runtime, 'throw new Error(JSON.stringify(process.env))')
  for (const name of ['HF_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'MY_PASSWORD', 'NODE_OPTIONS']) {
    vi.stubEnv(name, name === 'NODE_OPTIONS' ? '--no-warnings' : 'hidden-word')
  }
  onTestFinished(() => void vi.unstubAllEnvs())
  const said = await compileModel({ runtime, source: '', target: '', data: '', level: 'all' })
  expect(said).toContain('"PATH"')
  expect(said).not.toMatch(/hidden-word|NODE_OPTIONS/)
})
