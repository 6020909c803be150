import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { modelDirectory } from '@x/embedded-model'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import type { BindingStatus } from '../src/index.ts'
import { CHROMIUM, foreign, hasChromium, launchBrowser, openPage, type Browser } from './chromium.ts'
import { serveFolders } from './serve-folders.ts'

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2'
const TREE = {
  'config.json': true,
  'tokenizer.json': true,
  'tokenizer_config.json': true,
  onnx: { 'model_quantized.onnx': true },
}

export interface Inferred {
  dims: number[]
  data: number[]
  progress: number
}

describe.skipIf(!hasChromium())(`a page built with Vite, in ${CHROMIUM}`, () => {
  let built = ''
  beforeAll(async () => {
    built = await mkdtemp(path.join(tmpdir(), 'web-app-'))
    const child = fileURLToPath(new URL('./children/build-app.ts', import.meta.url))
    await promisify(execFile)(process.execPath, ['--conditions=@x/source', child, built, 'with-plugin'])
    return () => rm(built, { recursive: true, force: true })
  }, 120_000)

  async function start(): Promise<Browser & { origin: string }> {
    const server = await serveFolders({ app: built, model: fileURLToPath(modelDirectory) })
    onTestFinished(() => server.close())
    return { ...(await launchBrowser()), origin: server.origin }
  }

  it('has each build of the runtime once, under its own name', async () => {
    const files = await readdir(path.join(built, 'assets'))
    const wasm = files.filter((name) => name.endsWith('.wasm')).map((name) => name.replace(/-[\w-]{8}\.wasm$/, '.wasm'))
    expect(wasm.toSorted()).toEqual(['ort-wasm-simd-threaded.asyncify.wasm', 'ort-wasm-simd-threaded.jspi.wasm'])
  })

  it('loads its model from the storage, on wasm and on WebGPU, and asks nobody', { timeout: 240_000 }, async () => {
    const { context, requests, origin } = await start()
    const store = await openPage({ context }, `${origin}/app/store.html`)
    const added = await store.evaluate(
      ([name, base, tree]) => Reflect.get(window, 'addModel')(name, base, tree),
      [MODEL, `${origin}/model/`, TREE],
    )
    expect(added).toMatchObject({ files: 4 })
    await store.close()
    requests.length = 0
    const page = await openPage({ context }, `${origin}/app/index.html`)
    const infer = (device: string, options: object): Promise<Inferred> =>
      page.evaluate((args) => Reflect.get(window, 'infer')(...args), [MODEL, device, options])
    const onWasm = await infer('wasm', {})
    const onWebgpu = await infer('webgpu', { dtype: 'q8' })
    for (const { dims, progress } of [onWasm, onWebgpu])
      expect({ dims, progress }).toEqual({ dims: [1, 384], progress: 100 })
    const cosine = onWasm.data.reduce((sum, value, index) => sum + value * (onWebgpu.data[index] ?? 0), 0)
    expect(cosine).toBeGreaterThan(0.999)
    expect(foreign(requests, origin)).toEqual([])
    expect(requests.filter((url) => url.includes('/model/'))).toEqual([])
    const status: BindingStatus = await page.evaluate(() =>
      Reflect.get(window, Symbol.for('@x/web/page')).binding.status(),
    )
    expect(status).toMatchObject({
      enabled: true,
      patched: [{ version: '4.3.1' }],
      runtime: { build: 'jspi' },
      failures: [],
    })
    // The weights went from the storage to the runtime.
    expect(status.bytes).toBeLessThan(2_000_000)
    expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(0)
  })
})
