// How does a page keep its models, and run offline? Builds a page with Vite, fills its storage, takes everything away but the
// page itself, and lets an unmodified transformers.js program run.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { modelDirectory } from '@x/embedded-model'
import { models } from '@x/web/vite'
import { chromium, type Page } from 'playwright'
import { build } from 'vite'

const folder = await mkdtemp(path.join(tmpdir(), 'in-a-page-'))
await build({
  root: fileURLToPath(new URL('in-a-page/', import.meta.url)),
  configFile: false,
  logLevel: 'error',
  plugins: [models({ enabled: true, offline: 'strict' })],
  resolve: { conditions: ['@x/source', 'module', 'browser', 'development|production'] },
  build: { outDir: path.join(folder, 'page'), chunkSizeWarningLimit: 99_999 },
})

let hasModel = true
const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript' }
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const isModel = pathname.startsWith('/model/')
  const file = isModel
    ? path.join(fileURLToPath(modelDirectory), path.normalize(pathname.slice('/model'.length)))
    : path.join(folder, 'page', path.normalize(pathname === '/' ? '/index.html' : pathname))
  const reading = isModel && !hasModel ? Promise.reject(new Error('taken away')) : readFile(file)
  const type = types[path.extname(file)] ?? (file.endsWith('.wasm') ? 'application/wasm' : 'application/octet-stream')
  reading.then(
    (bytes) => response.writeHead(200, { 'content-type': type }).end(bytes),
    () => response.writeHead(404).end(),
  )
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`

const context = await chromium.launchPersistentContext(path.join(folder, 'profile'), {
  executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
  args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
})
const elsewhere: string[] = []
context.on('request', (request) => {
  if (/^https?:/.test(request.url()) && !request.url().startsWith(origin)) elsewhere.push(request.url())
})
async function open(): Promise<Page> {
  const page = await context.newPage()
  await page.goto(origin)
  // The runtime is chosen with a top-level await.
  await page.waitForFunction('window.bindingStatus')
  return page
}
try {
  const first = await open()
  console.log(await first.evaluate('firstVisit()'))
  await first.close()

  hasModel = false
  const page = await open()
  console.log(await page.evaluate('embed("A CID is a promise about bytes.")'))
  console.log(await page.evaluate('bindingStatus().runtime.build'), 'requests to other hosts:', elsewhere.length)
} finally {
  await context.close()
  server.close()
  await rm(folder, { recursive: true, force: true })
}
