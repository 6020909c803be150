import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** Serves a folder as any web server would, below `/some/path/`, and on the same origin a gateway. Returns the page's URL. */
export async function serveExample(folder: string, gateway: string, isolated: boolean): Promise<string> {
  const origin = await serveOnLoopback((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
    const headers = isolated ? ISOLATED : {}
    const pass = async (): Promise<void> => {
      const { accept } = request.headers
      const answer = await fetch(`${gateway}${pathname}${search}`, { headers: accept === undefined ? {} : { accept } })
      response.writeHead(answer.status, { ...headers, 'content-type': answer.headers.get('content-type') ?? '' })
      if (answer.body) await pipeline(Readable.fromWeb(answer.body), response)
      else response.end()
    }
    if (pathname.startsWith('/ipfs/')) {
      pass().catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
      return
    }
    const file = path.join(folder, path.normalize(pathname.replace(/^\/some\/path/, '').replace(/\/$/, '/index.html')))
    const found = pathname.startsWith('/some/path/') ? statSync(file, { throwIfNoEntry: false }) : undefined
    if (!found?.isFile()) {
      response.writeHead(404).end()
      return
    }
    const type = TYPES[path.extname(file)] ?? 'application/octet-stream'
    response.writeHead(200, { ...headers, 'content-type': type, 'content-length': found.size })
    createReadStream(file).pipe(response)
  })
  return `${origin}/some/path/`
}
