// The service worker that keeps the page's own files, so that it opens without a network. What it keeps is written before this
// script when the page is built: paths, and the SHA-256 that each file has to have.

// Types alone: it is a script without imports.
import type { Answer, Question } from './shell-messages.ts'

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
  addEventListener(
    type: 'message',
    listener: (event: WaitingEvent & { data: Question; ports: readonly MessagePort[] }) => void,
  ): void
  addEventListener(
    type: 'fetch',
    listener: (event: WaitingEvent & { request: Request; respondWith(response: Promise<Response>): void }) => void,
  ): void
}
declare const self: ShellScope

const { version, files } = self.pageShell
/** With the scope: several pages may lie below one origin, as on a gateway of IPFS. There is no space in a URL. */
const PREFIX = `ipfs-accelerate-page ${self.registration.scope} `
const CACHE = PREFIX + version
const INDEX = 'index.html'
/** Its files are named by their bytes. */
const ASSETS = 'assets/'

/** Of the two builds of the runtime a browser loads one: where WebAssembly can wait for the disk, and elsewhere. */
const OTHER_BUILD = 'Suspending' in WebAssembly ? /\.asyncify-[\w-]+\.\w+$/ : /\.jspi-[\w-]+\.\w+$/

const urlOf = (path: string): string => new URL(path, self.registration.scope).href
const hexOf = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')

async function keep(cache: Cache, path: string, sha256: string): Promise<void> {
  const url = urlOf(path)
  // What an older version kept is the same file.
  const known = path.startsWith(ASSETS) ? await caches.match(url) : undefined
  const response = known ?? (await fetchNow(url))
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  const bytes = await response.arrayBuffer()
  const actual = hexOf(await crypto.subtle.digest('SHA-256', bytes))
  if (actual !== sha256) throw new Error(`${url}: its SHA-256 is ${actual}, not ${sha256}`)
  await cache.put(url, new Response(bytes, { headers: response.headers }))
}

async function fetchNow(url: string): Promise<Response> {
  try {
    return await fetch(url, { cache: 'no-cache' })
  } catch (cause) {
    throw new Error(`${url} is not kept, and cannot be fetched now`, { cause })
  }
}

/** Keeps what is not kept yet: everything at first, and later what a browser wants that has changed since, as the other build. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE)
  const kept = new Set((await cache.keys()).map(({ url }) => url))
  for (const [path, sha256] of Object.entries(files)) {
    if (!OTHER_BUILD.test(path) && !kept.has(urlOf(path))) await keep(cache, path, sha256)
  }
}

/** Lets older versions go, but for those that a tab still shows: the server may no longer have what they load later. */
async function dropOld(): Promise<void> {
  const { held = [] } = await navigator.locks.query()
  // A tab holds one that is named as its entry script, whose own name depends on all that it loads.
  const shown = held.map(({ name = '' }) => name).filter((name) => name.startsWith(self.registration.scope))
  for (const name of await caches.keys()) {
    if (!name.startsWith(PREFIX) || name === CACHE) continue
    const cache = await caches.open(name)
    const found = await Promise.all(shown.map((entry) => cache.match(entry)))
    if (!found.some(Boolean)) await caches.delete(name)
  }
}

async function activate(): Promise<void> {
  await dropOld()
  await self.clients.claim()
}

async function complete(): Promise<Answer> {
  try {
    await dropOld()
    await keepAll()
    return { kept: true }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { kept: false, reason: `not all of its files: ${reason}` }
  }
}

self.addEventListener('install', (event) => event.waitUntil(keepAll()))
self.addEventListener('activate', (event) => event.waitUntil(activate()))
self.addEventListener('message', (event) => {
  const [port] = event.ports
  if (event.data === 'activate') event.waitUntil(self.skipWaiting())
  if (event.data === 'complete') event.waitUntil(complete().then((said) => port?.postMessage(said)))
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  const { scope } = self.registration
  const url = request.url.replace(/[?#].*$/s, '')
  if (request.method !== 'GET' || !url.startsWith(scope)) return
  const path = url === scope ? INDEX : url.slice(scope.length)
  if (Object.hasOwn(files, path)) event.respondWith(answer(request, path))
  // Of an older version, whose tab is still there.
  else if (path.startsWith(ASSETS)) event.respondWith(answerOld(request, url))
})

async function answer(request: Request, path: string): Promise<Response> {
  const cache = await caches.open(CACHE)
  const found = (await cache.match(urlOf(path))) ?? (await fetch(request))
  return isolated(found)
}

async function answerOld(request: Request, url: string): Promise<Response> {
  return isolated((await caches.match(url)) ?? (await fetch(request)))
}

/** A plain host may lack the headers without which a page gets no threads in WebAssembly. */
function isolated(response: Response): Response {
  const headers = new Headers(response.headers)
  headers.set('cross-origin-opener-policy', 'same-origin')
  headers.set('cross-origin-embedder-policy', 'require-corp')
  headers.set('cross-origin-resource-policy', 'same-origin')
  return new Response(response.body, { status: response.status, headers })
}
