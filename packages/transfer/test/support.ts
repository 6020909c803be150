import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { openFsStore, type FsStore, type FsStoreOptions } from '@x/backend-fs'
import { buildOutboard, encodeOutboard, type CID, type Outboard, type ProfileName } from '@x/cid'
import { BackendError, type ContentStore, type PartialStore } from '@x/storage-core'
import { onTestFinished } from 'vitest'

import { startChild, type Child } from '../../../tooling/start-child.ts'
import {
  httpSource,
  type ByteSource,
  type DownloadOptions,
  type HttpSourceOptions,
  type WantedFile,
} from '../src/index.ts'

/** For sources that fail soon, and on purpose. */
export const quick: DownloadOptions = { backoffMs: 1, createHasher: (name) => createHash(name) }

export const MIB: number = 1024 * 1024

/** A directory that goes with the test. */
export async function tempDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'transfer-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

export async function openTemp(
  options: Partial<FsStoreOptions> = {},
): Promise<{ store: FsStore; partials: PartialStore; directory: string }> {
  const directory = options.directory ?? join(await tempDirectory(), 'store')
  const store = await openFsStore({ ...options, directory })
  const partials = await store.openPartials()
  onTestFinished(async () => {
    await partials.close()
    await store.close()
  })
  return { store, partials, directory }
}

/** Runs `children/download.ts` in a process of its own. */
export const startDownload = (task: object): Child =>
  startChild(new URL('children/download.ts', import.meta.url), JSON.stringify(task))

/** The same bytes for the same seed, different in every leaf. */
export function someBytes(length: number, seed = 'bytes'): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(new Uint8Array(length)))
}

export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

export const gitOid = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

export const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

export async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return new Uint8Array(Buffer.concat(all))
}

/** Whether a store gives these bytes, and no others. */
export const holds = async (store: Pick<ContentStore, 'cat'>, root: CID, bytes: Uint8Array): Promise<boolean> =>
  isSame(await bytesOf(store.cat(root)), bytes)

export async function outboardOf(bytes: Uint8Array, profile: ProfileName = 'unixfs-v1-2025'): Promise<Outboard> {
  return (await buildOutboard([bytes], { profile })).outboard
}

/** A file with its root, and a source that has its outboard alone. */
export async function rooted(
  path: string,
  bytes: Uint8Array,
  profile?: ProfileName,
): Promise<{ file: WantedFile; blocks: ByteSource }> {
  const outboard = await outboardOf(bytes, profile)
  return { file: { path, size: bytes.length, root: outboard.root }, blocks: outboardsOnly([[path, outboard]]) }
}

export function outboardsOnly(outboards: Iterable<readonly [string, Outboard]>): ByteSource {
  const known = new Map(outboards)
  return {
    name: 'outboards',
    // eslint-disable-next-line require-yield
    async *read() {
      throw new BackendError('outboards: no bytes', { retryable: false })
    },
    outboard: async ({ path }) => {
      const outboard = known.get(path)
      return outboard && encodeOutboard(outboard)
    },
  }
}

/** Bytes in memory. `pieceBytes`: how many come at once. */
export function memorySource(
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
  { pieceBytes = 64 * 1024 }: { pieceBytes?: number } = {},
): ByteSource & { served: number; requests: number } {
  return {
    name,
    served: 0,
    requests: 0,
    async *read({ path }, { offset, length }) {
      this.requests += 1
      const bytes = files[path] ?? new Uint8Array()
      for (let at = offset; at < offset + length; at += pieceBytes) {
        const piece = bytes.slice(at, Math.min(at + pieceBytes, offset + length))
        this.served += piece.length
        yield piece
        // As from a network: others get their turn.
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

export interface FileServer {
  readonly url: string
  /** Bytes of bodies that were handed to the system. */
  readonly served: number
  readonly requests: readonly IncomingMessage[]
  close(): Promise<void>
}

export interface FileServerOptions {
  /** Of all answers together. Default: no limit. */
  bytesPerSecond?: number | undefined
  /** Answers before the file is looked for; `true`: it has answered. */
  answer?: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  etag?: ((path: string) => string | undefined) | undefined
  /** Asked before each chunk: when it may go, by how many bytes went before it. */
  gate?: ((served: number) => Promise<void> | undefined) | undefined
}

const CHUNK_BYTES = 32 * 1024

/** Files over HTTP, with ranges, on a free loopback port. */
export async function startFileServer(
  files: Readonly<Record<string, Uint8Array>>,
  { bytesPerSecond, answer, etag, gate }: FileServerOptions = {},
): Promise<FileServer> {
  let served = 0
  let freeAt = performance.now()
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    if (answer?.(request, response)) return
    const path = decodeURIComponent((request.url ?? '/').slice(1))
    const bytes = files[path]
    if (!bytes) {
      response.writeHead(404).end('there is no such file')
      return
    }
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
    const from = Number(first ?? 0)
    const to = last ? Math.min(Number(last) + 1, bytes.length) : bytes.length
    const tag = etag?.(path)
    response.writeHead(first === undefined ? 200 : 206, {
      'content-length': to - from,
      'content-type': 'application/octet-stream',
      ...(tag !== undefined && { etag: tag }),
      ...(first !== undefined && { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` }),
    })
    void send(response, bytes.subarray(from, to))
  })
  const send = async (response: ServerResponse, bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length && !response.destroyed; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES)
      if (bytesPerSecond !== undefined) {
        const now = performance.now()
        freeAt = Math.max(freeAt, now) + (chunk.length * 1000) / bytesPerSecond
        if (freeAt > now + 4) await wait(freeAt - now)
        if (response.destroyed) break
      }
      await gate?.(served)
      if (response.destroyed) break
      const isTaken = response.write(chunk)
      served += chunk.length
      if (!isTaken) await drained(response)
    }
    response.end()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    get served() {
      return served
    },
    requests,
    close,
  }
}

/** Until more may be written, or nobody reads any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      response.off('drain', end)
      response.off('close', end)
      resolve()
    }
    response.once('drain', end)
    response.once('close', end)
  })
}

/** A server that goes with the test. */
export async function fileServer(
  files: Readonly<Record<string, Uint8Array>>,
  options?: FileServerOptions,
): Promise<FileServer> {
  const server = await startFileServer(files, options)
  onTestFinished(() => server.close())
  return server
}

export const httpAt = (name: string, base: string, options: Partial<HttpSourceOptions> = {}): ByteSource =>
  httpSource({ name, url: ({ path }) => `${base}/${encodeURIComponent(path)}`, ...options })

/** The same choices for the same seed. */
export function createDraw(seed: string): () => number {
  let drawn = 0
  return () => createHash('sha256').update(`${seed} ${drawn++}`).digest().readUInt32LE() / 2 ** 32
}
