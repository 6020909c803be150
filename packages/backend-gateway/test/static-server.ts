import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

import type { CID } from '@x/cid'
import { exportStatic, openMemoryStore, type ContentStore, type StaticTarget } from '@x/storage-core'
import { STATIC_VERSION_PATH, staticBlockPath, staticVersionText } from '@x/storage-core/backend'

/** The objects of a static folder, in memory. */
export type Folder = Map<string, Uint8Array>

export const folderTarget = (folder: Folder): StaticTarget => ({
  has: async (path) => folder.has(path),
  read: async (path) => folder.get(path) ?? new Uint8Array(),
  async put(path, bytes) {
    const pieces: Uint8Array[] = []
    for await (const piece of bytes) pieces.push(piece.slice())
    folder.set(path, Buffer.concat(pieces))
  },
})

/** A store that publishes what is put into it. */
export async function openPublishingStore(
  folder: Folder,
  onPublished: (root: CID) => Promise<unknown>,
): Promise<ContentStore> {
  const store = await openMemoryStore()
  const target = folderTarget(folder)
  await target.put(STATIC_VERSION_PATH, piecesOf(new TextEncoder().encode(staticVersionText())), {})
  return {
    ...store,
    async add(source, options) {
      const added = await store.add(source, options)
      await exportStatic(store, added.cid, target)
      await onPublished(added.cid)
      return added
    },
    blocks: {
      ...store.blocks,
      async put(cid, bytes, options) {
        await store.blocks.put(cid, bytes, options)
        await target.put(staticBlockPath(cid), piecesOf(bytes), {})
      },
    },
  }
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

export interface StaticServer {
  url: string
  requests: { method: string; path: string; range: string | undefined }[]
  close(): Promise<void>
}

/** A plain web server over a folder, as there are many. */
export async function startStaticServer(
  folder: Folder,
  { ranges = true, absent = 404 }: { ranges?: boolean; absent?: number } = {},
): Promise<StaticServer> {
  const requests: StaticServer['requests'] = []
  const server: Server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request
    const path = url.replace(/^\/files\//, '')
    requests.push({ method, path, range: headers.range })
    response.setHeader('access-control-allow-origin', '*')
    const bytes = url.startsWith('/files/') ? folder.get(path) : undefined
    if (!bytes) return response.writeHead(absent, { 'content-type': 'text/html' }).end('<h1>not here</h1>')
    const [, from, to] = (ranges && /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')) || []
    if (from === undefined || to === undefined)
      return response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
    if (Number(from) >= bytes.length) return response.writeHead(416).end()
    const part = bytes.subarray(Number(from), Number(to) + 1)
    response.writeHead(206, {
      'content-length': part.length,
      'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`,
    })
    return response.end(part)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}/files`,
    requests,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
