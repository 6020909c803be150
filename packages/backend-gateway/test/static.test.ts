import { CID, cidOf, DAG_PB, encodeDagCbor, RAW, readFile, type ProfileName } from '@x/cid'
import { exportStatic, openMemoryStore, openSession, pull, type ContentSource } from '@x/storage-core'
import { STATIC_VERSION_PATH, staticDataPath, staticOutboardPath } from '@x/storage-core/backend'
import { describe, expect, it, onTestFinished } from 'vitest'

import { startFaultyProxy, type Fault, type FaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { concat, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { GatewayEvent } from '../src/events.ts'
import { openStaticSource, type StaticSourceOptions } from '../src/open-static-source.ts'
import { folderTarget, startStaticServer, type Folder, type StaticServer } from './static-server.ts'
import { MIB, PATIENT, pullIntoNew, typesOf, useOwnTime, waitsForIt } from './support.ts'

const weights = sampleBytes(51, 8 * MIB + 5)

interface Published {
  folder: Folder
  root: CID
  file: CID
  size: number
}

const published = new Map<ProfileName | undefined, Promise<Published>>()

/** A folder of its own with one model. */
async function publish({ profile }: { profile?: ProfileName } = {}): Promise<Published> {
  const made = published.get(profile) ?? publishNew(profile)
  published.set(profile, made)
  const { folder, ...rest } = await made
  return { folder: new Map(folder), ...rest }
}

async function publishNew(profile: ProfileName | undefined): Promise<Published> {
  const folder: Folder = new Map()
  const store = await openMemoryStore()
  const model = directoryOf({ 'config.json': sampleBytes(52, 700), 'weights.onnx': weights })
  const { cid, size } = await store.add(model, { profile })
  await exportStatic(store, cid, folderTarget(folder))
  const { cid: file } = await store.stat(cid, { path: 'weights.onnx' })
  await store.close()
  return { folder, root: cid, file, size }
}

async function serve(folder: Folder, options?: { ranges?: boolean; absent?: number }): Promise<StaticServer> {
  const server = await startStaticServer(folder, options)
  onTestFinished(() => server.close())
  return server
}

async function openSource(
  url: string,
  options: Partial<StaticSourceOptions> = {},
): Promise<{ source: ContentSource; events: GatewayEvent[] }> {
  const events: GatewayEvent[] = []
  const onEvent = (event: GatewayEvent): void => void events.push(event)
  const source = await openStaticSource({
    url,
    backoffMs: 5,
    tries: 3,
    stallTimeoutMs: PATIENT.stallTimeoutMs,
    onEvent,
    ...options,
  })
  onTestFinished(() => source.close())
  return { source, events }
}

describe.each<ProfileName>(['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'])('a model under %s', (profile) => {
  it('comes whole, each file by one request', async () => {
    const { folder, root, file, size } = await publish({ profile })
    const server = await serve(folder)
    const { source } = await openSource(server.url)
    const { into } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    const ofData = server.requests.filter(({ path }) => path === staticDataPath(file))
    expect(ofData).toMatchObject([{ method: 'GET', range: undefined }])
  })

  it('gives the leaves of a range, and no more', async () => {
    const { folder, root, file } = await publish({ profile })
    const server = await serve(folder)
    const { source } = await openSource(server.url)
    const range = { path: 'weights.onnx', offset: 3 * MIB + 5, length: 2 * MIB }
    expect(Buffer.compare(await concat(source.cat(root, range)), weights.subarray(3 * MIB + 5, 5 * MIB + 5))).toBe(0)
    const ranges = server.requests.filter(({ path }) => path === staticDataPath(file)).map((request) => request.range)
    const end = profile === 'unixfs-v1-2025' ? 6 * MIB : 5.25 * MIB
    expect(ranges).toEqual([`bytes=${3 * MIB}-${end - 1}`])
  })
})

it('reads from a server without ranges', async () => {
  const { folder, root } = await publish()
  const server = await serve(folder, { ranges: false })
  const { source } = await openSource(server.url)
  for (const offset of [0, MIB, 5 * MIB + 1, weights.length - 1]) {
    const read = await concat(source.cat(root, { path: 'weights.onnx', offset, length: MIB }))
    expect(Buffer.compare(read, weights.subarray(offset, offset + MIB))).toBe(0)
  }
  expect(Buffer.compare(await source.blocks.get(await cidOfLeaf(3)), weights.subarray(3 * MIB, 4 * MIB))).toBe(0)
})

it('does not read a long file from its start for a single leaf', async () => {
  const long = sampleBytes(53, 18 * MIB)
  const folder: Folder = new Map()
  const store = await openMemoryStore()
  const { cid } = await store.add(long)
  await exportStatic(store, cid, folderTarget(folder))
  const server = await serve(folder, { ranges: false })
  const { source } = await openSource(server.url)
  // In order it costs its length once.
  const end = await concat(source.cat(cid, { offset: 17 * MIB }))
  expect(Buffer.compare(end, long.subarray(17 * MIB))).toBe(0)
  const last = await cidOf(RAW, end)
  const error = { code: 'BACKEND', retryable: false, message: expect.stringContaining('no ranges') }
  const { source: another } = await openSource(server.url)
  await another.stat(cid)
  await expect(another.blocks.get(last)).rejects.toMatchObject(error)
  // Who has the rest, or was broken off there, asks for nothing else.
  const root = await store.blocks.get(cid)
  const held = async (wanted: CID): Promise<Uint8Array | undefined> => (wanted.equals(cid) ? root : undefined)
  const session = openSession(another.blocks, cid, { offset: 17 * MIB, held })
  await session.get(cid, {})
  expect(Buffer.compare(await session.get(last, {}), end)).toBe(0)
  await session.close()
})

const cidOfLeaf = (index: number): Promise<CID> => cidOf(RAW, weights.subarray(index * MIB, (index + 1) * MIB))

it('finds a block in the middle of a file once its file was read', async () => {
  const { folder, file } = await publish()
  const { source } = await openSource((await serve(folder)).url)
  const leaf = await cidOfLeaf(2)
  expect(await source.blocks.has(leaf)).toBe(false)
  await source.stat(file)
  expect(await source.blocks.has(leaf)).toBe(true)
  expect(Buffer.compare(await source.blocks.get(leaf), weights.subarray(2 * MIB, 3 * MIB))).toBe(0)
})

it('counts a node that was read before the leaves once', async () => {
  const { folder, file } = await publish()
  const { source } = await openSource((await serve(folder)).url)
  const node = await source.blocks.get(file)
  let counted = 0
  const session = openSession(source.blocks, file, {
    held: async (cid) => (cid.equals(file) ? node.slice() : undefined),
    onFetched: (byteLength) => (counted += byteLength),
  })
  expect(Buffer.compare(await concat(readFile(session.get, file)), weights)).toBe(0)
  await session.close()
  expect(counted).toBe(weights.length)
})

it('reads from a bucket that says 403 of what is absent', async () => {
  const { folder, root, size } = await publish()
  const { source } = await openSource((await serve(folder, { absent: 403 })).url)
  const { into } = await pullIntoNew(source, root)
  expect(await into.verify(root)).toBeGreaterThan(size)
  expect(await source.blocks.has(root)).toBe(true)
  const absent = await cidOf(RAW, sampleBytes(99, 10))
  // It cannot be told from what is hidden.
  await expect(source.blocks.has(absent)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  await expect(source.blocks.get(absent)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
})

async function proxyTo(
  server: StaticServer,
  fault: FaultyProxy['fault'],
): Promise<{ proxy: FaultyProxy; url: string }> {
  const proxy = await startFaultyProxy({ target: new URL(server.url).origin, fault })
  onTestFinished(() => proxy.close())
  return { proxy, url: `${proxy.url}/files` }
}

const half = 4 * MIB

describe('a server that fails in the middle of a file', () => {
  const once: [name: string, fault: Fault][] = [
    ['resets', { type: 'reset', atByte: half }],
    ['stops', { type: 'stall', atByte: half }],
    ['cuts its answer', { type: 'truncate', framing: 'cut', atByte: half }],
    ['shortens its answer', { type: 'truncate', framing: 'valid', atByte: half }],
  ]

  it.each(once)('%s once: the rest comes, from the last leaf on', async (_name, fault) => {
    const { folder, root, file, size } = await publish()
    const server = await serve(folder)
    let hits = 0
    const { proxy, url } = await proxyTo(server, (seen) =>
      seen.url.endsWith(staticDataPath(file)) && hits++ === 0 ? fault : { type: 'none' },
    )
    if (waitsForIt(fault)) useOwnTime()
    const { source } = await openSource(url, waitsForIt(fault) ? { stallTimeoutMs: 300 } : {})
    const { into } = await pullIntoNew(source, root)
    expect(await into.verify(root)).toBeGreaterThan(size)
    // A reset loses what was on its way.
    expect(proxy.bytesSent).toBeLessThan(size + half + MIB)
    if (fault.type === 'reset') return
    const ranges = server.requests.filter(({ path }) => path === staticDataPath(file)).map(({ range }) => range)
    expect(ranges).toEqual([undefined, expect.stringMatching(`^bytes=[1-4]\\d{6}-${weights.length - 1}$`)])
  })

  const always: [name: string, fault: Fault, error: object][] = [
    ['hangs', { type: 'hang' }, { code: 'BACKEND', retryable: true }],
    ['resets', { type: 'reset', atByte: 1000 }, { code: 'BACKEND', retryable: true }],
    ['cuts its answers', { type: 'truncate', framing: 'cut', atByte: 1000 }, { code: 'BACKEND', retryable: true }],
    [
      'shortens its answers',
      { type: 'truncate', framing: 'valid', atByte: 1000 },
      { code: 'BACKEND', retryable: true },
    ],
    ['is slow', { type: 'slow', bytesPerSecond: 200 }, { code: 'BACKEND', retryable: true }],
    ['flips a byte', { type: 'flip', atByte: half }, { code: 'INTEGRITY' }],
    ['answers 503', { type: 'status', status: 503 }, { code: 'BACKEND', retryable: true }],
    ['answers 403', { type: 'status', status: 403 }, { code: 'BACKEND', retryable: false }],
    ['shows a page', { type: 'status', status: 200, headers: { 'content-type': 'text/html' } }, { code: 'BACKEND' }],
  ]

  it.each(always)('%s: nothing of it is visible', async (_name, fault, error) => {
    const { folder, root, file } = await publish()
    const { url } = await proxyTo(await serve(folder), (seen) =>
      seen.url.endsWith(staticDataPath(file)) ? fault : { type: 'none' },
    )
    const { source } = await openSource(url, waitsForIt(fault) ? { stallTimeoutMs: 100 } : {})
    await expect(pullIntoNew(source, root)).rejects.toMatchObject(error)
  })
})

it('a server that never answers is asked once more, and each time is told of', async () => {
  const { folder, root } = await publish()
  const { proxy, url } = await proxyTo(await serve(folder), { type: 'hang' })
  useOwnTime()
  const { source, events } = await openSource(url, { stallTimeoutMs: 300, tries: 5 })
  const error = { code: 'BACKEND', retryable: true, message: `${url}: no answer for 300 ms` }
  await expect(pullIntoNew(source, root)).rejects.toMatchObject(error)
  expect(proxy.requests.length).toBe(2)
  expect(typesOf(events)).toEqual(['gateway-failed', 'retry-waited', 'gateway-failed'])
})

const flip = (bytes: Uint8Array | undefined, at: number): Uint8Array => {
  const changed = Uint8Array.from(bytes ?? [])
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}

describe('a folder that lies', () => {
  it('in a leaf: says where', async () => {
    const { folder, root, file } = await publish()
    folder.set(staticDataPath(file), flip(folder.get(staticDataPath(file)), 5 * MIB + 3))
    const { source, events } = await openSource((await serve(folder)).url)
    const error = { code: 'INTEGRITY', file: 'weights.onnx', offset: 5 * MIB, cid: await cidOfLeaf(5) }
    await expect(concat(source.cat(root, { path: 'weights.onnx' }))).rejects.toMatchObject(error)
    expect(typesOf(events)).toContain('gateway-lied')
    // What comes before is good.
    expect((await concat(source.cat(root, { path: 'weights.onnx', length: 5 * MIB }))).length).toBe(5 * MIB)
  })

  it.each([0, 4, 16, 30])('in an outboard, at byte %i', async (at) => {
    const { folder, root, file } = await publish()
    folder.set(staticOutboardPath(file), flip(folder.get(staticOutboardPath(file)), at))
    const { source } = await openSource((await serve(folder)).url)
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('about the length of a file', async () => {
    const { folder, root, file } = await publish()
    folder.set(staticDataPath(file), weights.subarray(0, 3 * MIB))
    const { source } = await openSource((await serve(folder)).url)
    const past = concat(source.cat(root, { path: 'weights.onnx', offset: 4 * MIB }))
    await expect(past).rejects.toMatchObject({ code: 'INTEGRITY' })
    await expect(pullIntoNew(source, root)).rejects.toMatchObject({
      code: expect.stringMatching(/^(INTEGRITY|BACKEND)$/),
    })
  })

  it('with an outboard of endless length', async () => {
    const { folder, file } = await publish()
    folder.set(staticOutboardPath(file), new Uint8Array(3 * MIB))
    const { source } = await openSource((await serve(folder)).url, { maxOutboardBytes: MIB })
    await expect(source.stat(file)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  })
})

describe('what is no folder', () => {
  const path = 'ipfs-accelerate-static\\.json'
  it.each([
    ['nothing', undefined, 'BACKEND', `it is no static folder: HTTP status 404 for ${path}$`],
    [
      'something else',
      '{"format":"another","version":1}',
      'BACKEND',
      `it is no static folder: ${path} is of something`,
    ],
    ['no JSON', '<html>', 'BACKEND', `it is no static folder: ${path} is not JSON$`],
    ['null', 'null', 'BACKEND', `it is no static folder: ${path} is of something else$`],
    ['a long page', ' '.repeat(5000), 'BACKEND', `it is no static folder: over 4096 bytes for ${path}$`],
    [
      'a later version',
      '{"format":"ipfs-accelerate-static","version":2}',
      'UNSUPPORTED',
      `^http\\S+: ${path} is of version 2; 1 is known here$`,
    ],
  ])('%s: nothing is called absent', async (_name, text, code, message) => {
    const { folder, root } = await publish()
    if (text === undefined) folder.delete(STATIC_VERSION_PATH)
    else folder.set(STATIC_VERSION_PATH, new TextEncoder().encode(text))
    const { source } = await openSource((await serve(folder)).url)
    const failure = { code, message: expect.stringMatching(message) }
    await expect(source.stat(root)).rejects.toMatchObject(failure)
    await expect(source.blocks.has(root)).rejects.toMatchObject(failure)
    expect(await source.status()).toMatchObject({ available: false, reason: failure.message })
  })

  it.each([
    [501, false],
    [408, true],
  ])('says %i: that may pass: %s', async (status, retryable) => {
    const { folder, root } = await publish()
    const { url } = await proxyTo(await serve(folder), { type: 'status', status })
    const { source } = await openSource(url, { tries: 1 })
    const message = expect.stringMatching(`^http\\S+: HTTP status ${status} for ${path}$`)
    await expect(source.blocks.has(root)).rejects.toMatchObject({ code: 'BACKEND', retryable, message })
  })
})

it('holds what is no file: a block of dag-cbor, a symlink', async () => {
  const folder: Folder = new Map()
  const store = await openMemoryStore()
  const { cid, bytes } = await encodeDagCbor({ manifest: true })
  await store.blocks.put(cid, bytes)
  await exportStatic(store, cid, folderTarget(folder))
  const link = await store.add({ type: 'symlink', target: '../elsewhere' })
  await exportStatic(store, link.cid, folderTarget(folder))
  const { source } = await openSource((await serve(folder)).url)
  expect(await source.blocks.get(cid)).toEqual(bytes)
  expect(await source.stat(link.cid)).toMatchObject({ type: 'symlink', target: '../elsewhere' })
  const into = await openMemoryStore()
  await pull(into, source, cid)
  expect(await into.has(cid)).toBe(true)
  expect(await source.blocks.has(await cidOf(DAG_PB, bytes))).toBe(false)
})
