import { createGatewayHandler } from '@x/gateway-server'
import { addModel } from '@x/model-loader'
import { openMemoryStore, type ContentStore, type DirectorySource } from '@x/storage-core'
import type { DownloadEvent } from '@x/transfer'
import { expect, it, onTestFinished, vi } from 'vitest'

import { collect } from '../../storage-core/src/conformance/sample.ts'
import { gatewaySource, hubSource, openModel, openStorage, pullModel, type WebSource } from '../src/index.ts'

const LEAF = 1024 * 1024
const WEIGHTS = new Uint8Array(9 * LEAF + 12_345)
for (let at = 0; at < WEIGHTS.length; at += 65_536) crypto.getRandomValues(WEIGHTS.subarray(at, at + 65_536))
const CONFIG = new TextEncoder().encode('{"model_type":"bert","architectures":["BertModel"]}')

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const source: DirectorySource = {
  type: 'directory',
  entries: () => [
    ['config.json', { type: 'file', open: () => once(CONFIG) }],
    ['weights.bin', { type: 'file', open: () => once(WEIGHTS) }],
  ],
}

async function served() {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, source)
  return { store, cid }
}

/** A gateway in this page, whose bytes are counted, and perhaps changed or cut. */
function gateway(host: string, store: ContentStore, { change }: { change?: (bytes: Uint8Array) => void } = {}) {
  const handle = createGatewayHandler(store)
  let given = 0
  const fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init)
    const response = await handle(request)
    const counted = response.body?.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          given += piece.length
          const bytes = piece.slice()
          change?.(bytes)
          controller.enqueue(bytes)
        },
      }),
    )
    const { status, headers } = response
    return new Response(counted ?? null, { status, headers })
  }
  const from = gatewaySource(`http://${host}`, { fetch, tries: 1, backoffMs: 1 })
  return { from, given: () => given }
}

async function opened() {
  const directory = `pull-${crypto.randomUUID()}`
  const storage = await openStorage({ directory })
  onTestFinished(() => storage.close())
  return { storage, directory }
}

it('brings a model into the storage, and asks nobody for one that is there', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const { from, given } = gateway('a.example', store)
  const seen: number[] = []
  const pulled = await pullModel(storage, `ipfs://${cid}`, {
    directory,
    sources: [from],
    name: 'org/model',
    onProgress: ({ total }) => void seen.push(total.loaded),
  })
  expect(pulled).toMatchObject({ kind: 'cid', files: 2, size: WEIGHTS.length + CONFIG.length })
  expect(seen.at(-1)).toBe(pulled.size)
  const model = await openModel(storage, 'org/model', { verify: 'each-open' })
  expect(model.cid.equals(cid)).toBe(true)
  const file = await model.file('weights.bin')
  expect(new Uint8Array(await file.arrayBuffer())).toEqual(WEIGHTS)

  const before = given()
  await pullModel(storage, `ipfs://${cid}`, { directory, sources: [from] })
  await pullModel(storage, 'org/model', { directory, offline: true })
  expect(given()).toBe(before)
})

it('goes on where it was broken off, and fetches nothing twice', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const broken = gateway('a.example', store)
  const stop = new AbortController()
  const first = pullModel(storage, `ipfs://${cid}`, {
    directory,
    sources: [broken.from],
    signal: stop.signal,
    onProgress: ({ total }) => void (total.loaded > 4.5 * LEAF && stop.abort('stopped')),
  })
  await expect(first).rejects.toBe('stopped')
  expect(await storage.has(cid)).toBe(false)

  const whole = gateway('b.example', store)
  await pullModel(storage, `ipfs://${cid}`, { directory, sources: [whole.from] })
  expect(await storage.has(cid)).toBe(true)
  // All but the leaf that was on its way when it broke off, and what says what there is.
  expect(whole.given()).toBeLessThan(WEIGHTS.length - 3 * LEAF + 100_000)
  // Nothing is left beside the storage.
  const beside = await (await navigator.storage.getDirectory()).getDirectoryHandle(`${directory}.partials`)
  const left: string[] = []
  for await (const { name } of beside.values()) if (name !== 'done') left.push(name)
  expect(left).toEqual([])
})

it('leaves nothing of a model that is removed, and what was there before stays', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const before = await storage.add(CONFIG)
  const { from } = gateway('a.example', store)
  await pullModel(storage, `ipfs://${cid}`, { directory, sources: [from], name: 'org/model' })
  expect((await collect(storage.roots())).length).toBeLessThan(4)
  await storage.remove(cid)
  expect((await collect(storage.roots())).map((root) => String(root.cid))).toContain(String(before.cid))
  const { details } = await storage.status()
  expect(details.bytes).toBeLessThan(LEAF)
})

it('brings two models at once that share a file, each whole', async () => {
  const { store, cid } = await served()
  const other: DirectorySource = {
    type: 'directory',
    entries: async function* () {
      yield* source.entries({})
      yield ['README.md', { type: 'file', open: () => once(new TextEncoder().encode('another')) }] as const
    },
  }
  const { cid: otherCid } = await addModel(store, other)
  const { storage, directory } = await opened()
  // Two of one host, as a gateway beside the page's own server.
  const [one, two] = [gateway('a.example', store), gateway('a.example', store)]
  const sources = [one.from, two.from]
  await Promise.all([cid, otherCid].map((root) => pullModel(storage, `ipfs://${root}`, { directory, sources })))
  for (const root of [cid, otherCid]) await storage.verify(root)
  expect(one.given() + two.given()).toBeLessThan(WEIGHTS.length + 2 * LEAF)
})

it('goes on without a source that cannot be opened, and names it', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const broken: WebSource = {
    kind: 'content',
    label: 'broken',
    open: () => Promise.reject(new Error('no such network')),
  }
  const failed: string[] = []
  const onFailover = (label: string): void => void failed.push(label)
  const sources = [broken, gateway('a.example', store).from]
  await pullModel(storage, `ipfs://${cid}`, { directory, sources, onFailover })
  expect(failed).toEqual(['broken'])
  const { storage: empty, directory: elsewhere } = await opened()
  const alone = pullModel(empty, `ipfs://${cid}`, { directory: elsewhere, sources: [broken] })
  await expect(alone).rejects.toThrow('no such network')
  // A hub beside it is not asked for a CID.
  const besideHub = { directory: elsewhere, sources: [broken, hubSource('http://hub.example')] }
  await expect(pullModel(empty, `ipfs://${cid}`, besideHub)).rejects.toThrow('no such network')
})

it('brings a model where the page may write no files, and leaves nothing of one that is given up or removed', async () => {
  const { store, cid } = await served()
  const directory = `pull-${crypto.randomUUID()}`
  const storage = await openStorage({ directory, medium: 'indexeddb' })
  onTestFinished(() => storage.close())
  const closed = vi
    .spyOn(navigator.storage, 'getDirectory')
    .mockRejectedValue(new DOMException('not in this window', 'SecurityError'))
  onTestFinished(() => closed.mockRestore())
  const rootsLeft = async (): Promise<number> => (await collect(storage.roots())).length

  const stop = new AbortController()
  const givenUp = pullModel(storage, `ipfs://${cid}`, {
    directory,
    sources: [gateway('a.example', store).from],
    signal: stop.signal,
    onProgress: ({ total }) => void (total.loaded > 4.5 * LEAF && stop.abort('stopped')),
  })
  await expect(givenUp).rejects.toBe('stopped')
  expect(await rootsLeft()).toBe(0)

  await pullModel(storage, `ipfs://${cid}`, { directory, sources: [gateway('a.example', store).from] })
  await storage.verify(cid)
  await storage.remove(cid)
  expect(await storage.has(cid)).toBe(false)
  const { details } = await storage.status()
  expect(details.bytes).toBeLessThan(LEAF)
})

function flipOneBit(bytes: Uint8Array): void {
  if (bytes.length > 10_000) bytes[5000] = (bytes[5000] ?? 0) ^ 1
}

it('names a gateway that lies, and takes the model from another', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const liar = gateway('liar.example', store, { change: flipOneBit })
  const events: DownloadEvent[] = []
  const alone = pullModel(storage, `ipfs://${cid}`, { directory, sources: [liar.from] })
  await expect(alone).rejects.toThrow(/liar\.example/)

  const honest = gateway('honest.example', store)
  const pulled = await pullModel(storage, `ipfs://${cid}`, {
    directory,
    sources: [liar.from, honest.from],
    onEvent: (event) => void events.push(event),
  })
  expect(pulled.kind).toBe('cid')
  expect(await storage.verify(cid)).toBeGreaterThan(WEIGHTS.length)
  expect(events.some((event) => 'source' in event && event.source.includes('liar.example'))).toBe(true)
})

it('asks nobody where it may not, and says what is missing', async () => {
  const { store, cid } = await served()
  const { storage, directory } = await opened()
  const { from, given } = gateway('a.example', store)
  const options = { directory, sources: [from] }
  await expect(pullModel(storage, `ipfs://${cid}`, { ...options, offline: true })).rejects.toMatchObject({
    code: 'GATED',
    feature: 'network',
  })
  await expect(pullModel(storage, `ipfs://${cid}`, { directory })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(pullModel(storage, 'org/other', options)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const absent = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
  await expect(pullModel(storage, `ipfs://${absent}`, options)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(pullModel(storage, `ipfs://${cid}`, { ...options, signal: AbortSignal.abort('stop') })).rejects.toBe(
    'stop',
  )
  expect(given()).toBeLessThan(10_000)
})
