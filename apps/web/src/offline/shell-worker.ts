// The service worker that keeps the page's own files, so that it opens without a network. What it keeps is written before this
// script when the page is built: paths, and the SHA-256 that each file has to have.

interface Shell {
  /** Of all files together: another page, another cache. */
  version: string
  files: Readonly<Record<string, string>>
}

interface WaitingEvent {
  waitUntil(promise: Promise<unknown>): void
}
interface ShellScope {
  pageShell: Shell
  registration: { scope: string }
  skipWaiting(): Promise<void>
  clients: { claim(): Promise<void> }
  addEventListener(type: 'install' | 'activate', listener: (event: WaitingEvent) => void): void
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void
  addEventListener(
    type: 'fetch',
    listener: (event: WaitingEvent & { request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void
}
declare const self: ShellScope

const { version, files } = self.pageShell
const PREFIX = 'ipfs-accelerate-page-'
const CACHE = PREFIX + version
const INDEX = 'index.html'

/** Of the two builds of the runtime a browser loads one: where WebAssembly can wait for the disk, and elsewhere. */
const OTHER_BUILD = 'Suspending' in WebAssembly ? /\.asyncify-[\w-]+\.\w+$/ : /\.jspi-[\w-]+\.\w+$/

const urlOf = (path: string): string => new URL(path, self.registration.scope).href
const hexOf = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')

async function keep(cache: Cache, path: string, sha256: string): Promise<void> {
  const url = urlOf(path)
  // Named by its bytes: what an older version kept is the same file.
  const known = path.startsWith('assets/') ? await caches.match(url) : undefined
  const response = known ?? (await fetch(url, { cache: 'no-cache' }))
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  const bytes = await response.arrayBuffer()
  const actual = hexOf(await crypto.subtle.digest('SHA-256', bytes))
  if (actual !== sha256) throw new Error(`${url}: its SHA-256 is ${actual}, not ${sha256}`)
  await cache.put(url, new Response(bytes, { headers: response.headers }))
}

async function install(): Promise<void> {
  const cache = await caches.open(CACHE)
  for (const [path, sha256] of Object.entries(files)) {
    if (!OTHER_BUILD.test(path)) await keep(cache, path, sha256)
  }
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE)
  await Promise.all(old.map((name) => caches.delete(name)))
  await self.clients.claim()
}

self.addEventListener('install', (event) => event.waitUntil(install()))
self.addEventListener('activate', (event) => event.waitUntil(activate()))
self.addEventListener('message', ({ data }) => {
  if (data === 'activate') void self.skipWaiting()
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  const { scope } = self.registration
  const url = request.url.replace(/[?#].*$/s, '')
  if (request.method !== 'GET' || !url.startsWith(scope)) return
  const path = url === scope ? INDEX : url.slice(scope.length)
  if (Object.hasOwn(files, path)) event.respondWith(answer(request, path))
})

async function answer(request: Request, path: string): Promise<Response> {
  const cache = await caches.open(CACHE)
  const found = (await cache.match(urlOf(path))) ?? (await fetch(request))
  return isolated(found)
}

/** A plain host may lack the headers without which a page gets no threads in WebAssembly. */
function isolated(response: Response): Response {
  const headers = new Headers(response.headers)
  headers.set('cross-origin-opener-policy', 'same-origin')
  headers.set('cross-origin-embedder-policy', 'require-corp')
  headers.set('cross-origin-resource-policy', 'same-origin')
  return new Response(response.body, { status: response.status, headers })
}
