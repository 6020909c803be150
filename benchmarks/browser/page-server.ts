import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'

import { listen } from '../../tooling/listen.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
}

export interface PageServer {
  origin: string
  close(): Promise<void>
}

/**
 * Serves folders by how a path begins, as a good server of a page does: what has a hash in its name is fresh for ever, all
 * else is asked for again, and is not sent when it is what it was. `/-/sent` says what was sent since it was last asked.
 */
export async function servePages(folders: Readonly<Record<string, string>>): Promise<PageServer> {
  let sent = { requests: 0, bytes: 0 }
  const server = await listen((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://local')
    if (pathname === '/-/sent') {
      response.end(JSON.stringify(sent))
      sent = { requests: 0, bytes: 0 }
      return
    }
    sent.requests += 1
    const [, name = '', ...rest] = decodeURIComponent(path.posix.normalize(pathname)).split('/')
    const folder = folders[name]
    const file = folder === undefined ? undefined : path.join(folder, ...rest)
    const found = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })
    if (file === undefined || !found?.isFile()) {
      response.writeHead(404).end()
      return
    }
    const etag = `"${found.size}-${found.mtimeMs}"`
    const headers = {
      // WebAssembly has threads in isolated pages alone.
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      etag,
      'cache-control': pathname.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    }
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, headers).end()
      return
    }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const range =
      first === undefined ? undefined : { start: Number(first), end: Math.min(Number(last), found.size - 1) }
    const size = range === undefined ? found.size : range.end - range.start + 1
    sent.bytes += size
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'content-length': size,
      ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${found.size}` }),
    })
    createReadStream(file, range).pipe(response)
  })
  return { origin: server.url, close: server.close }
}
