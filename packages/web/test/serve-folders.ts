import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'

import { listen } from '../../../tooling/listen.ts'

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

export interface ServeFoldersOptions {
  /** Whether pages are cross-origin isolated, so that WebAssembly may have threads. Default false. */
  isolated?: boolean | undefined
}

const ISOLATING = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** Serves folders of this machine by how the path begins. */
export async function serveFolders(
  folders: Readonly<Record<string, string>>,
  { isolated = false }: ServeFoldersOptions = {},
): Promise<FolderServer> {
  const server = await listen((request, response) => {
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
      ...(isolated && ISOLATING),
    })
    createReadStream(file).pipe(response)
  })
  return { origin: server.url, close: server.close }
}
