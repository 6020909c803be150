import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import { CID, cidOf, RAW, writeCar, type GetBlock } from '@x/cid'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { codeOf, sleep } from '@x/storage-core/backend'
import { onTestFinished } from 'vitest'

import { collect } from '../../storage-core/src/conformance/sample.ts'

export interface OddGatewayOptions {
  /** Parameters of the CAR's content type. Default `version=1; order=dfs; dups=n`. */
  carParameters?: string
  /** Whether a block is sent at each place where it is linked. Default false. */
  duplicates?: boolean
  /** After the header of each CAR, before the rest. */
  strangers?: () => AsyncIterable<Uint8Array>
  /** Before each answer; `true` when it has answered itself. */
  intercept?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>
}

export interface OddGateway {
  url: string
  store: ContentStore
  requests: { method: string; url: string; headers: IncomingHttpHeaders }[]
  /** Bytes of bodies handed to the system. */
  bytesSent: number
  /** Most requests that were being answered at once. */
  mostAtOnce: number
  /** How many answers were broken off by the other side. */
  brokenOff: number
}

/** A gateway that knows no `dag-scope` and no `entity-bytes`, and can be told to be odder than that. */
export async function startOddGateway(options: OddGatewayOptions = {}): Promise<OddGateway> {
  const { carParameters = 'version=1; order=dfs; dups=n', duplicates = false, strangers, intercept } = options
  const store = await openMemoryStore()
  const get: GetBlock = (cid, given) => store.blocks.get(cid, given)
  const gateway: OddGateway = { url: '', store, requests: [], bytesSent: 0, mostAtOnce: 0, brokenOff: 0 }
  let atOnce = 0

  async function* counted(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let isFirst = true
    for await (const piece of pieces) {
      gateway.bytesSent += piece.length
      yield piece
      if (isFirst && strangers) yield* strangers()
      isFirst = false
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await intercept?.(request, response)) return
    const url = new URL(request.url ?? '/', gateway.url)
    const cid = CID.parse(url.pathname.replace('/ipfs/', ''))
    const isCar = url.searchParams.get('format') === 'car'
    try {
      if (isCar) {
        await store.blocks.get(cid)
        response.setHeader('content-type', `application/vnd.ipld.car; ${carParameters}`)
        await pipeline(counted(writeCar(get, cid, { duplicates })), response)
      } else {
        const bytes = await store.blocks.get(cid)
        response.setHeader('content-type', 'application/vnd.ipld.raw')
        gateway.bytesSent += request.method === 'HEAD' ? 0 : bytes.length
        response.end(request.method === 'HEAD' ? undefined : bytes)
      }
    } catch (error) {
      if (!response.headersSent) response.writeHead(codeOf(error) === 'NOT_FOUND' ? 404 : 500).end()
    }
  }

  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    gateway.requests.push({ method, url, headers })
    atOnce += 1
    gateway.mostAtOnce = Math.max(gateway.mostAtOnce, atOnce)
    response.on('close', () => {
      atOnce -= 1
      if (!response.writableFinished) gateway.brokenOff += 1
    })
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  gateway.url = `http://127.0.0.1:${address.port}`
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    await store.close()
  })
  return gateway
}

/** Blocks of a CAR that are sound, and of nothing that anybody asked for. */
export async function* endlessStrangers(): AsyncGenerator<Uint8Array> {
  for (;;) {
    const bytes = new Uint8Array(256 * 1024)
    crypto.getRandomValues(bytes.subarray(0, 32))
    const cid = await cidOf(RAW, bytes)
    const [, section] = await collect(writeCar(async () => bytes, cid))
    if (section) yield section
  }
}

const framedNothing = async (): Promise<Uint8Array> => {
  const { bytes } = await cidOf(RAW, new Uint8Array())
  return Buffer.concat([Uint8Array.of(bytes.length), bytes])
}

/** The empty raw block, again and again. */
export async function* endlessNothing(): AsyncGenerator<Uint8Array> {
  const frame = await framedNothing()
  const many = Buffer.concat(Array.from({ length: 1000 }, () => frame))
  for (;;) yield many
}

/** The same, now and then, by the test's own time where it has one. */
export const nothingEvery = (waitMs: number) =>
  async function* (): AsyncGenerator<Uint8Array> {
    const frame = await framedNothing()
    for (;;) {
      yield frame
      await sleep(waitMs)
    }
  }
