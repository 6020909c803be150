import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import type { Page } from 'playwright'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { CHROMIUM, whyNoChromium } from '../../../tooling/chromium.ts'
import { buildApp, infer, MODEL, startApp, storeModel } from './built-app.ts'
import { foreign, openPage } from './chromium.ts'

const CLAIMS = `addEventListener('install', (event) => event.waitUntil(skipWaiting()))
addEventListener('activate', (event) => event.waitUntil(clients.claim()))`
/** Workers of other makes. */
const WORKERS = {
  'claims.js': CLAIMS,
  'deep/claims.js': CLAIMS,
  'fails.js': `addEventListener('install', (event) => event.waitUntil(Promise.reject(new Error('it fails'))))`,
  // Its installation ends when the page says so.
  'slow.js': `${CLAIMS}
addEventListener('install', (event) => {
  const channel = new BroadcastChannel('slow')
  event.waitUntil(new Promise((resolve) => channel.addEventListener('message', resolve)))
  channel.postMessage('is installing')
})`,
}

/** Registers one, and says who controls the page then; or why not. */
const register = (page: Page, url: string, options: object = {}): Promise<unknown> =>
  page.evaluate(
    async ([of, given]) => {
      const channel = new BroadcastChannel('slow')
      // It has no origin to name.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      channel.addEventListener('message', () => channel.postMessage('go on'), { once: true })
      try {
        await Reflect.get(window, 'register')(of, given)
        return navigator.serviceWorker.controller?.scriptURL.replace(location.origin, '')
      } catch (error) {
        return Reflect.get(Object(error), 'code')
      } finally {
        channel.close()
      }
    },
    [url, options] as const,
  )

describe(`a page behind the service worker, in ${CHROMIUM}`, () => {
  let folder = ''
  beforeEach(chromiumOrSkip)
  beforeAll(async () => {
    if (whyNoChromium() !== undefined) return undefined
    const built = await buildApp('without-plugin')
    folder = built.folder
    await mkdir(join(folder, 'deep'))
    for (const [name, script] of Object.entries(WORKERS)) await writeFile(join(folder, name), script)
    return () => built.remove()
  })

  it('loads its model from the storage, with the library as it comes', async () => {
    const app = await startApp(folder)
    await storeModel(app)
    const registering = await openPage(app, `${app.origin}/app/store.html`)
    // Of the first visit: it is controlled without a reload.
    expect(await registering.evaluate(() => Reflect.get(window, 'register')('/app/sw.js', { type: 'module' }))).toBe(
      true,
    )
    app.requests.length = 0
    const page = await openPage(app, `${app.origin}/app/pages/plain.html`)
    const { dims, progress } = await infer(page, 'wasm')
    expect([dims, progress]).toEqual([[1, 384], 100])
    // What the page asked of the hub was answered here: the browser reaches nobody else.
    const hub = foreign(app.requests, app.origin)
    expect(hub.length).toBeGreaterThan(0)
    expect(hub.every((url) => url.startsWith('https://huggingface.co/'))).toBe(true)
    const copies = await page.evaluate(async () => {
      const keys = await (await caches.open('transformers-cache')).keys()
      return keys.map(({ url }) => url).filter((url) => url.includes('/resolve/'))
    })
    expect(copies).toEqual([])
    await expect(infer(page, 'wasm', {}, 'org/other')).rejects.toThrow('Failed to fetch')
  })
  it('comes as one script as well, and lets nothing out if told to', async () => {
    const app = await startApp(folder)
    const host = 'https://hub.example.org'
    await storeModel(app)
    const page = await openPage(app, `${app.origin}/app/store.html`)
    const url = `/app/standalone.js?host=${host}&offline=strict`
    expect(await page.evaluate((script) => Reflect.get(window, 'register')(script, {}), url)).toBe(true)
    const ask = (path: string): Promise<unknown> =>
      page.evaluate(async (of) => {
        const { status, headers } = await fetch(of)
        return [status, headers.get('content-length')]
      }, `${host}/${path}`)
    expect(await ask(`${MODEL}/resolve/main/config.json`)).toEqual([200, '665'])
    expect(await ask(`${MODEL}/resolve/main/none.json`)).toEqual([404, null])
    expect(await ask('org/other/resolve/main/config.json')).toEqual([503, null])
  })

  it('is, as one script, as long as the README says', async () => {
    const [, said] =
      /one script \((\d+) KB gzipped/.exec(await readFile(new URL('../README.md', import.meta.url), 'utf8')) ?? []
    const { length } = gzipSync(await readFile(join(folder, 'standalone.js')), { level: 9 })
    // The bundler of the package is another one.
    expect(Math.abs(length / 1000 - Number(said)) / Number(said)).toBeLessThan(0.1)
  })
  it('waits for the worker that was registered, and for no other', async () => {
    const app = await startApp(folder)
    const page = await openPage(app, `${app.origin}/app/store.html`)
    expect(await register(page, '/app/fails.js')).toBe('BACKEND')
    expect(await register(page, '/app/none.js')).toBe('BACKEND')
    expect(await register(page, '/app/deep/claims.js')).toBe('INVALID_INPUT')
    expect(await register(page, '/app/claims.js')).toBe('/app/claims.js')
    expect(await register(page, 'slow.js#x')).toBe('/app/slow.js')
    expect(await register(page, '/app/slow.js')).toBe('/app/slow.js')
    // The page stays with the one that was there.
    expect(await register(page, '/app/fails.js')).toBe('BACKEND')
    expect(await register(page, '/app/claims.js', { scope: '/app/store.html' })).toBe('/app/claims.js')
    expect(await register(page, '/app/slow.js', { scope: '/app/' })).toBe('INVALID_INPUT')
  })
})
