import { readdir } from 'node:fs/promises'
import path from 'node:path'

import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { CHROMIUM, whyNoChromium } from '../../../tooling/chromium.ts'
import { buildApp, infer, MODEL, startApp, statusOf, storeModel } from './built-app.ts'
import { foreign, openPage } from './chromium.ts'

const cosine = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)

describe(`a page made by Vite, in ${CHROMIUM}`, () => {
  let folder = ''
  beforeEach(chromiumOrSkip)
  beforeAll(async () => {
    if (whyNoChromium() !== undefined) return undefined
    const built = await buildApp('with-plugin')
    folder = built.folder
    return () => built.remove()
  })

  it('has each build of the runtime once', async () => {
    const files = await readdir(path.join(folder, 'assets'))
    const wasm = files.filter((name) => name.endsWith('.wasm')).map((name) => name.replace(/-[\w-]{8}\.wasm$/, '.wasm'))
    expect(wasm.toSorted()).toEqual(['ort-wasm-simd-threaded.asyncify.wasm', 'ort-wasm-simd-threaded.jspi.wasm'])
  })

  it('loads its model from the storage, on wasm and on WebGPU, and asks nobody', async () => {
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

  it('would ask the hub without the plugin', async () => {
    const plain = await buildApp('without-plugin')
    onTestFinished(() => plain.remove())
    const app = await startApp(plain.folder)
    await storeModel(app)
    const page = await openPage(app, `${app.origin}/app/index.html`)
    await expect(infer(page, 'wasm')).rejects.toThrow('Failed to fetch')
    expect(foreign(app.requests, app.origin)).toContain(`https://huggingface.co/${MODEL}/resolve/main/config.json`)
  })
})
