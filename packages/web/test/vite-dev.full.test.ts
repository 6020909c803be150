import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { infer, MODEL } from './built-app.ts'
import { foreign, launchBrowser, openPage } from './chromium.ts'

beforeEach(chromiumOrSkip)

it('what `vite dev` serves gets its models from the storage as well', async () => {
  const cache = await mkdtemp(path.join(tmpdir(), 'web-dev-'))
  const child = fileURLToPath(new URL('./children/dev-app.ts', import.meta.url))
  const server = spawn(process.execPath, ['--conditions=@x/source', child, cache], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  onTestFinished(async () => {
    server.stdin.end()
    await ended
    await rm(cache, { recursive: true, force: true })
  })
  const origin = await new Promise<string>((resolve, reject) => {
    server.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
    server.once('exit', (status) => reject(new Error(`the server ended with ${status}`)))
  })
  const { context, requests } = await launchBrowser()
  const page = await openPage({ context }, `${origin}/app/index.html`)
  // Nothing is stored on this origin: the library's own behaviour, which asks the hub.
  await expect(infer(page, 'wasm')).rejects.toThrow('Failed to fetch')
  expect(foreign(requests, origin)).not.toEqual([])
  expect(foreign(requests, origin).every((url) => url.startsWith('https://huggingface.co/'))).toBe(true)
  // What it asked for beside what failed first may be asked for only now.
  await page.close()
  requests.length = 0
  const store = await openPage({ context }, `${origin}/app/store.html`)
  await store.evaluate(
    (name) =>
      Reflect.get(window, 'addModel')(name, '/model/', {
        'config.json': true,
        'tokenizer.json': true,
        'tokenizer_config.json': true,
        onnx: { 'model_quantized.onnx': true },
      }),
    MODEL,
  )
  const again = await openPage({ context }, `${origin}/app/index.html`)
  expect((await infer(again, 'wasm')).dims).toEqual([1, 384])
  expect(foreign(requests, origin)).toEqual([])
})
