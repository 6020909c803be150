import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { buildApp, infer, MODEL, startApp, statusOf, storeModel } from './built-app.ts'
import { CHROMIUM, chromiumOrSkip, foreign, hasChromium, launchBrowser, openPage } from './chromium.ts'

const cosine = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

describe(`a page made by Vite, in ${CHROMIUM}`, () => {
  let folder = ''
  beforeEach(chromiumOrSkip)
  beforeAll(async () => {
    if (!hasChromium()) return undefined
    const built = await buildApp('with-plugin')
    folder = built.folder
    return () => built.remove()
  }, 120_000)

  it('has each build of the runtime once', async () => {
    const files = await readdir(path.join(folder, 'assets'))
    const wasm = files.filter((name) => name.endsWith('.wasm')).map((name) => name.replace(/-[\w-]{8}\.wasm$/, '.wasm'))
    expect(wasm.toSorted()).toEqual(['ort-wasm-simd-threaded.asyncify.wasm', 'ort-wasm-simd-threaded.jspi.wasm'])
  })

  it('loads its model from the storage, on wasm and on WebGPU, and asks nobody', { timeout: 240_000 }, async () => {
    const app = await startApp(folder)
    expect(await storeModel(app)).toMatchObject({ files: 4 })
    app.requests.length = 0
    const page = await openPage(app, `${app.origin}/app/index.html`)
    const onWasm = await infer(page, 'wasm')
    const onWebgpu = await infer(page, 'webgpu', { dtype: 'q8' })
    for (const { dims, progress } of [onWasm, onWebgpu]) expect([dims, progress]).toEqual([[1, 384], 100])
    expect(cosine(onWasm.data, onWebgpu.data)).toBeGreaterThan(0.999)
    expect(foreign(app.requests, app.origin)).toEqual([])
    expect(app.requests.filter((url) => url.includes('/model/'))).toEqual([])
    const status = await statusOf(page)
    expect(status).toMatchObject({ patched: [{ version: '4.3.1' }], runtime: { build: 'jspi' }, failures: [] })
    // The weights went from the storage to the runtime: 15 MB of them, twice.
    expect(status.bytes).toBeLessThan(2_000_000)
    expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(0)

    // The same page in a browser that lacks JSPI.
    const old = await app.context.newPage()
    await old.addInitScript(() => {
      Reflect.deleteProperty(WebAssembly, 'Suspending')
    })
    await old.goto(`${app.origin}/app/index.html`)
    await old.waitForFunction('window.ready === true')
    expect(cosine((await infer(old, 'wasm')).data, onWasm.data)).toBeGreaterThan(0.999)
    expect(await statusOf(old)).toMatchObject({ runtime: { build: 'asyncify' }, failures: [] })
    expect(foreign(app.requests, app.origin)).toEqual([])
  })

  it('is what `vite dev` serves as well', { timeout: 240_000 }, async () => {
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

  it('would ask the hub without the plugin', { timeout: 120_000 }, async () => {
    const plain = await buildApp('without-plugin')
    onTestFinished(() => plain.remove())
    const app = await startApp(plain.folder)
    await storeModel(app)
    const page = await openPage(app, `${app.origin}/app/index.html`)
    await expect(infer(page, 'wasm')).rejects.toThrow('Failed to fetch')
    expect(foreign(app.requests, app.origin)).toContain(`https://huggingface.co/${MODEL}/resolve/main/config.json`)
  })
})
