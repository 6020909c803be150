import { setTimeout as wait } from 'node:timers/promises'

import { buildFile, type Block, type CID } from '@x/cid'
import { openMemoryStore, pull, type ContentStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest'

import {
  startFaultyProxy,
  type Fault,
  type FaultyProxy,
  type SeenRequest,
} from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, concat, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { KuboStore } from '../src/index.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openNode, openStore, texts } from './support.ts'

// What goes wrong between a store and its daemon: the typed error, in bounded time, and nothing visible of what failed.

/** A busy daemon answers before. The tests wait for it on a clock of their own. */
const STALL_MS = 20_000
const MIB = 1024 * 1024
const bytes = sampleBytes(1, 2 * MIB + 5)

interface Drill {
  node: KuboNode
  proxy: FaultyProxy
  /** By the proxy. */
  store: KuboStore
  /** By no proxy. */
  honest: KuboStore
}

const pool = createKuboPool()

async function openDrill(context: TestContext): Promise<Drill> {
  kuboOrSkip(context)
  const node = await pool.take()
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const store = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
  return { node, proxy, store, honest: await openStore(node) }
}

const isFor =
  (command: string) =>
  ({ url }: SeenRequest): boolean =>
    url.startsWith(`/api/v0/${command}?`)

/** The fault for the requests of one command, from the `first` one on; nothing for any other. */
function on(command: string, fault: Fault, first = 0): (request: SeenRequest) => Fault {
  let seen = 0
  return (request) => (isFor(command)(request) && seen++ >= first ? fault : { type: 'none' })
}

const leavesOf = async (profile: 'unixfs-v1-2025' = 'unixfs-v1-2025'): Promise<Block[]> => {
  const blocks: Block[] = []
  await buildFile([bytes], { profile, onBlock: (block) => void blocks.push({ ...block, bytes: block.bytes.slice() }) })
  return blocks
}

const retryable = { code: 'BACKEND', retryable: true }
const FRACTION = 100_000

/** What a read of nine leaves meets at the fourth, and what it rejects with. */
const reading: [name: string, fault: Fault, error: object][] = [
  ['no answer', { type: 'hang' }, retryable],
  ['a dropped connection', { type: 'drop' }, retryable],
  ['a reset in the middle', { type: 'reset', atByte: FRACTION }, retryable],
  ['silence in the middle', { type: 'stall', atByte: FRACTION }, retryable],
  ['a flipped byte', { type: 'flip', atByte: FRACTION }, { code: 'INTEGRITY' }],
  ['a connection that ends early', { type: 'truncate', framing: 'cut', atByte: FRACTION }, retryable],
  ['an answer that is too short', { type: 'truncate', framing: 'valid', atByte: FRACTION }, { code: 'INTEGRITY' }],
  ['an internal error', { type: 'status', status: 500, body: '<html>sorry</html>' }, { code: 'BACKEND' }],
  ['a busy server', { type: 'status', status: 503 }, retryable],
  ['other credentials', { type: 'status', status: 403, body: 'no' }, { code: 'BACKEND', retryable: false }],
]

describe('a read that meets', () => {
  it.for(reading)('%s stops there, and gives no bad byte', async ([_name, fault, error], context) => {
    const { proxy, store, honest } = await openDrill(context)
    const { cid } = await honest.add(bytes, { profile: 'kubo-v1' })
    proxy.fault = on('block/get', fault, 4)
    const read: Uint8Array[] = []
    const whole = async (): Promise<void> => {
      for await (const piece of store.cat(cid)) read.push(piece.slice())
    }
    await expect(passTime([proxy], whole)).rejects.toMatchObject(error)
    const got = Buffer.concat(read)
    expect(got.length).toBeLessThan(bytes.length)
    expect(Buffer.compare(got, bytes.subarray(0, got.length))).toBe(0)
    proxy.fault = { type: 'none' }
    expect(Buffer.compare(await concat(store.cat(cid)), bytes)).toBe(0)
  })

  it.for(reading)('%s leaves nothing visible where it is pulled to', async ([_name, fault, error], context) => {
    const { proxy, store, honest } = await openDrill(context)
    const { cid } = await honest.add(bytes, { profile: 'kubo-v1' })
    const into = await openMemoryStore()
    proxy.fault = on('block/get', fault, 4)
    const pulling = passTime([proxy], () => pull(into, store, cid, { name: 'pulled' }))
    await expect(pulling).rejects.toMatchObject(error)
    await expectNothing(into)
    proxy.fault = { type: 'none' }
    await pull(into, store, cid, { name: 'pulled' })
    expect(await into.verify(cid)).toBeGreaterThan(bytes.length)
  })

  it('few bytes at a time goes on, for bytes move', async (context) => {
    const { proxy, store, honest } = await openDrill(context)
    const small = sampleBytes(2, 60)
    const { cid } = await honest.add(small)
    proxy.fault = on('block/get', { type: 'slow', bytesPerSecond: 90 })
    // The clock goes on with each byte: in all for many times as long as the longest silence.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const state = { isRead: false }
    const bytesRead = concat(store.cat(cid)).finally(() => (state.isRead = true))
    for (let sent = proxy.bytesSent; !state.isRead; await wait(1)) {
      if (proxy.bytesSent > sent) vi.advanceTimersByTime(0.4 * STALL_MS)
      sent = proxy.bytesSent
    }
    expect(await bytesRead).toEqual(small)
    expect(proxy.hits).toBe(1)
  })
})

/** What an upload meets, and what it rejects with. */
const uploads: [name: string, fault: Fault, error: object][] = [
  ['no answer', { type: 'hang' }, retryable],
  ['a dropped connection', { type: 'drop' }, retryable],
  ['a reset at a half', { type: 'reset-upload', atByte: MIB }, retryable],
  ['an answer that never ends', { type: 'stall', atByte: 10 }, retryable],
  ['an answer that is cut off', { type: 'truncate', framing: 'cut', atByte: 10 }, retryable],
  ['an answer that is too short', { type: 'truncate', framing: 'valid', atByte: 10 }, { code: 'BACKEND' }],
  ['no answer to what it asked', { type: 'truncate', framing: 'valid', atByte: 0 }, { code: 'BACKEND' }],
  ['an internal error', { type: 'status', status: 500, body: 'sorry' }, { code: 'BACKEND' }],
  [
    'a full disk',
    { type: 'status', status: 500, body: fromKubo('write /blocks/x: no space left on device') },
    { code: 'NO_SPACE' },
  ],
  ['a root that was not pinned', { type: 'status', status: 200, body: pinError() }, { code: 'BACKEND' }],
]

function fromKubo(message: string): string {
  return JSON.stringify({ Message: message, Code: 0, Type: 'error' })
}

function pinError(): string {
  const cid = { '/': 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e' }
  return `${JSON.stringify({ Root: { Cid: cid, PinErrorMsg: 'it is not complete' } })}\n`
}

describe('an add that meets', () => {
  it.for(uploads)('%s leaves nothing visible', async ([_name, fault, error], context) => {
    const { proxy, store, honest } = await openDrill(context)
    proxy.fault = on('dag/import', fault)
    const adding = passTime([proxy], () => store.add(bytes, { name: 'added' }))
    await expect(adding).rejects.toMatchObject(error)
    proxy.fault = { type: 'none' }
    await expectNothing(honest)
    // Nor does it stand in the way of the next one.
    const { cid } = await store.add(bytes, { name: 'added' })
    expect(Buffer.compare(await concat(honest.cat(cid)), bytes)).toBe(0)
  })

  it('a daemon that reads no more leaves nothing visible', async (context) => {
    const { proxy, store, honest } = await openDrill(context)
    proxy.fault = on('dag/import', { type: 'stall-upload', atByte: 3 * MIB })
    // More than the operating system takes in its buffers.
    const large = sampleBytes(10, 64 * MIB)
    const adding = passTime([proxy], () => store.add(large, { name: 'added' }))
    await expect(adding).rejects.toMatchObject(retryable)
    await expectNothing(honest)
  })

  it('a failure when its records are written leaves neither root nor pin', async (context) => {
    const { proxy, store, honest } = await openDrill(context)
    for (const command of ['files/cp', 'files/mkdir']) {
      proxy.fault = on(command, { type: 'drop' })
      await expect(store.add(bytes, { name: 'added' })).rejects.toMatchObject({ code: 'BACKEND' })
      proxy.fault = { type: 'none' }
      await expectNothing(honest)
    }
  })

  it('a lost answer to its commit finds that it was made', async (context) => {
    const { proxy, store, honest } = await openDrill(context)
    const first = await store.add(sampleBytes(3, 10))
    // The daemon has done it; the answer is lost.
    proxy.fault = on('files/cp', { type: 'truncate', framing: 'cut', atByte: 0 })
    const { cid } = await store.add(sampleBytes(4, 10), { name: 'second' })
    proxy.fault = { type: 'none' }
    expect(texts(await collect(honest.roots()))).toEqual(texts([first, { cid }]))
    expect((await collect(honest.names.list())).map(({ name }) => name)).toEqual(['second'])
  })
})

it('a daemon that stores something else is found out', async (context) => {
  const { proxy, store } = await openDrill(context)
  const [leaf] = await leavesOf()
  if (!leaf) throw new Error('no leaf')
  const other = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
  proxy.fault = on('block/put', { type: 'status', status: 200, body: JSON.stringify({ Key: other, Size: 11 }) })
  await expect(store.blocks.put(leaf.cid, leaf.bytes)).rejects.toMatchObject({ code: 'BACKEND' })
})

it('records that a daemon changes are not believed', async (context) => {
  const { proxy, store } = await openDrill(context)
  await store.add(sampleBytes(5, 100), { name: 'a' })
  const fresh = await openStore({ api: proxy.url }, { stallTimeoutMs: STALL_MS })
  proxy.fault = on('block/get', { type: 'flip', atByte: 3 })
  await expect(fresh.names.get('a')).rejects.toMatchObject({ code: 'INTEGRITY' })
  proxy.fault = { type: 'none' }
  expect(await fresh.names.get('a')).toMatchObject({ name: 'a' })
})

describe('a daemon that is killed', () => {
  it('in the middle of an add leaves nothing visible when it is back', async (context) => {
    const node = await openNode(context)
    const store = await openStore(node)
    const before = await store.add(sampleBytes(6, 1000), { name: 'before' })
    const dying = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, MIB)
      await node.kill()
      yield bytes.subarray(MIB)
    }
    await expect(store.add(dying(), { name: 'dying' })).rejects.toMatchObject(retryable)
    await expect(store.blocks.get(before.cid)).rejects.toMatchObject(retryable)
    expect(await store.status()).toMatchObject({ available: false })
    await node.restart()
    expect(await store.status()).toMatchObject({ available: true })
    expect(texts(await collect(store.roots()))).toEqual(texts([before]))
    expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['before'])
    expect(await store.verify(before.cid)).toBe(1000)
    const { cid } = await store.add(bytes, { name: 'dying' })
    expect(Buffer.compare(await concat(store.cat(cid)), bytes)).toBe(0)
  })

  it('in the middle of a read is not a block that is absent', async (context) => {
    const node = await openNode(context)
    const store = await openStore(node)
    const { cid } = await store.add(sampleBytes(7, 20 * MIB))
    const pieces = store.cat(cid)[Symbol.asyncIterator]()
    await pieces.next()
    await node.kill()
    const rest = (async () => {
      for (;;) if ((await pieces.next()).done) return
    })()
    await expect(rest).rejects.toMatchObject(retryable)
    await node.restart()
    expect(await store.verify(cid)).toBeGreaterThan(20 * MIB)
  })
})

/** The empty directory that every repository of Kubo pins. */
const EMPTY_DIRECTORY = 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'

async function expectNothing(store: ContentStore): Promise<void> {
  expect(await collect(store.roots())).toEqual([])
  const pins: { cid: CID }[] = await collect(store.pins())
  expect(texts(pins).filter((cid) => cid !== EMPTY_DIRECTORY)).toEqual([])
  expect(await collect(store.names.list())).toEqual([])
}
