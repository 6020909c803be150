import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'

import { onTestFinished } from 'vitest'

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
}

/** Files below a path, as a host that knows nothing of the page gives them: no headers but the type. Ends with the test. */
export async function servePlain(
  folder: string,
  prefix: string,
  { change = (_name, bytes) => bytes }: { change?: (name: string, bytes: Buffer) => Buffer } = {},
): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://host')
    const name = path.normalize(pathname.slice(prefix.length).replace(/(^|\/)$/, '$1index.html'))
    if (!pathname.startsWith(prefix) || name.startsWith('..')) {
      response.writeHead(404).end()
      return
    }
    readFile(path.join(folder, name)).then(
      (bytes) =>
        response.writeHead(200, { 'content-type': TYPES[path.extname(name)] ?? 'text/plain' }).end(change(name, bytes)),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('it listens nowhere')
  return `http://127.0.0.1:${address.port}${prefix}`
}
