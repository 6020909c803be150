import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { parseTokens, startServer } from '@x/server'
import { afterEach, expect, it } from 'vitest'

import { only, openModels, start } from './support.ts'

const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function folderWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'page-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), content)
  }
  return folder
}

/** With the path as it stands there: `fetch` would tidy it up. */
const statusOf = (url: string, target: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const asked = request(url, { path: target }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
    })
    asked.on('error', reject).end()
  })

it('serves a page with its files, and the models beside it', async () => {
  const wasm = new Uint8Array(300_000).map((_, at) => at * 7)
  const page = await folderWith({
    'index.html': '<!doctype html><title>page</title>',
    'assets/app-Bx3k9_aQ.js': 'export {}',
    'assets/run time@1.wasm': wasm,
    'v1/readme.txt': 'not of the API',
  })
  const { url } = await start([{ model: only(await openModels('tiny-bert')) }], { page })

  const index = await fetch(url)
  expect(await index.text()).toBe('<!doctype html><title>page</title>')
  expect(Object.fromEntries(index.headers)).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'content-security-policy': expect.stringContaining("script-src 'self' 'wasm-unsafe-eval';"),
    'x-content-type-options': 'nosniff',
  })
  const script = await fetch(`${url}/assets/app-Bx3k9_aQ.js`)
  expect([await script.text(), script.headers.get('content-type')]).toEqual([
    'export {}',
    'text/javascript; charset=utf-8',
  ])
  expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')

  const runtime = await fetch(`${url}/assets/run%20time@1.wasm`)
  expect(new Uint8Array(await runtime.arrayBuffer())).toEqual(wasm)
  const etag = `"${createHash('sha256').update(wasm).digest('hex')}"`
  expect([runtime.headers.get('etag'), runtime.headers.get('content-type')]).toEqual([etag, 'application/wasm'])
  const again = await fetch(runtime.url, { headers: { 'if-none-match': etag } })
  expect([again.status, await again.text()]).toEqual([304, ''])
  const head = await fetch(runtime.url, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '300000', ''])
  expect((await fetch(url, { method: 'POST' })).status).toBe(405)

  expect((await fetch(`${url}/v1/models`)).status).toBe(200)
  expect(await (await fetch(`${url}/v1/readme.txt`)).text()).toBe('not of the API')
})

it('serves nothing beside the folder', async () => {
  const outside = await folderWith({ 'secret.txt': 'secret' })
  const page = await folderWith({ 'index.html': 'page', 'a.txt': 'a' })
  await symlink(path.join(outside, 'secret.txt'), path.join(page, 'link.txt'))
  await symlink(outside, path.join(page, 'linked'))
  const { url } = await start([{ model: only(await openModels('tiny-bert')) }], { page })
  await writeFile(path.join(page, 'later.txt'), 'later')

  expect(await statusOf(url, '/a.txt')).toBe(200)
  const up = `/../${path.basename(outside)}/secret.txt`
  const tricks = [
    '/link.txt',
    '/linked/secret.txt',
    '/later.txt',
    up,
    `/..%2f${up.slice(4).replace('/', '%2f')}`,
    '/%2e%2e/x',
    '/%',
    '/a.txt/',
  ]
  for (const target of tricks) expect([target, await statusOf(url, target)]).toEqual([target, 404])
})

it('gives everybody the page, and nobody without a token anything else', async () => {
  const page = await folderWith({ 'index.html': 'page' })
  const tokens = parseTokens('0b7dXaJ2Pq6cYvTe')
  const { url } = await start([{ model: only(await openModels('tiny-bert')) }], { page, tokens })
  expect((await fetch(url)).status).toBe(200)
  expect((await fetch(`${url}/v1/models`)).status).toBe(401)
})

it('refuses a folder without a page', async () => {
  const model = only(await openModels('tiny-bert'))
  const empty = await folderWith({ 'other.html': '' })
  const refused = startServer([{ model }], { environment: {}, page: empty })
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(empty) })
  const nowhere = startServer([{ model }], { environment: {}, page: path.join(empty, 'no') })
  await expect(nowhere).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})
