import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'
import path from 'node:path'

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
}

export interface FolderServer {
  origin: string
  close(): Promise<void>
}

/** Serves folders of this machine by how the path begins. */
export async function serveFolders(folders: Readonly<Record<string, string>>): Promise<FolderServer> {
  const server = createServer((request, response) => {
    // The longest of the names that the path begins with.
    const name = Object.keys(folders)
      .filter((prefix) => request.url?.startsWith(`/${prefix}/`))
      .reduce((longest, prefix) => (prefix.length > longest.length ? prefix : longest), '')
    const folder = folders[name]
    const rest = request.url?.slice(name.length + 2).replace(/\?.*$/s, '') ?? ''
    const file = folder && path.join(folder, path.normalize(`/${decodeURIComponent(rest)}`))
    const found = file ? statSync(file, { throwIfNoEntry: false }) : undefined
    if (!file || !found?.isFile()) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, {
      'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'content-length': found.size,
      'cache-control': 'no-store',
    })
    createReadStream(file).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('it listens nowhere')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
