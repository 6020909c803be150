import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { openMemoryStore } from '@x/storage-core'
import { chromium } from 'playwright'
import { expect, it, onTestFinished } from 'vitest'

import { chromiumOrSkip } from '../../../tooling/chromium-or-skip.ts'
import { CHROMIUM, CHROMIUM_ARGUMENTS } from '../../../tooling/chromium.ts'
import { serveHandler } from '../../../tooling/serve-handler.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import { embeddedModel } from './embedded-model.ts'
import { storedRepositories } from './support.ts'

const require = createRequire(import.meta.url)
const ort = new URL('.', `file://${require.resolve('onnxruntime-web')}`)

/** What the page itself comes from. */
const FILES: Readonly<Record<string, { url: URL; type: string }>> = {
  '/page.js': { url: new URL('clients/page.js', import.meta.url), type: 'text/javascript' },
  '/transformers.js': {
    url: new URL('transformers.min.js', `file://${require.resolve('@huggingface/transformers')}`),
    type: 'text/javascript',
  },
  '/ort.mjs': { url: new URL('ort-wasm-simd-threaded.asyncify.mjs', ort), type: 'text/javascript' },
  '/ort.wasm': { url: new URL('ort-wasm-simd-threaded.asyncify.wasm', ort), type: 'application/wasm' },
}

const servePage =
  (hubs: readonly string[]) =>
  async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url)
    const headers = {
      // An isolated page, which is shown nothing of another origin that does not allow it.
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'content-security-policy': `default-src 'self' blob: data: ${hubs.join(' ')}; script-src 'self' blob: 'unsafe-eval' 'wasm-unsafe-eval'`,
    }
    if (pathname === '/') {
      return new Response('<!doctype html><title>a page</title><script type="module" src="/page.js"></script>', {
        headers: { ...headers, 'content-type': 'text/html' },
      })
    }
    const file = FILES[pathname]
    if (!file) return new Response(null, { status: 404 })
    return new Response(new Uint8Array(await readFile(file.url)), {
      headers: { ...headers, 'content-type': file.type },
    })
  }

it('transformers.js runs a model from it in a page of another origin', async (context) => {
  chromiumOrSkip(context)
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const repositories = await storedRepositories(store, { 'org/embed': { files: await embeddedModel() } })
  const hub = await serveHandler(createHubHandler(repositories, { cors: { origins: '*' } }))
  const closed = await serveHandler(createHubHandler(repositories))
  const allowed: string[] = []
  const tokens = [{ name: 'page', token: 'hf_page' }]
  const locked = await serveHandler(createHubHandler(repositories, { cors: { origins: allowed }, tokens }))
  const page = await serveHandler(servePage([hub.url, locked.url, closed.url]))
  allowed.push(page.url)

  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    timeout: 600_000,
    args: [...CHROMIUM_ARGUMENTS],
  })
  onTestFinished(() => browser.close())
  const tab = await browser.newPage()
  // By default 30 s.
  tab.setDefaultTimeout(600_000)
  const elsewhere: string[] = []
  tab.on('request', (request) => {
    const { origin } = new URL(request.url())
    if (![hub.url, locked.url, closed.url, page.url, 'null'].includes(origin)) elsewhere.push(request.url())
  })
  await tab.goto(page.url)
  const found = await tab.evaluate(`run(${JSON.stringify({ hub: hub.url, locked: locked.url, closed: closed.url })})`)
  expect(found).toEqual({
    dims: [1, 384],
    isolated: true,
    part: [206, true, true, true],
    refused: [401, 'Invalid username or password.'],
    listed: 1,
    withoutCors: [0, 'opaque'],
    closed: ['TypeError', 'TypeError'],
  })
  expect(elsewhere).toEqual([])
  expect(hub.requests).toContain('GET /org/embed/resolve/main/onnx/model_quantized.onnx')
})
