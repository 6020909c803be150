import { parseCid } from '@x/cid'
import { openMemoryStore, pull } from '@x/storage-core'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { startFaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, concat, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { KuboStore } from '../src/index.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openNode, openStore } from './support.ts'

// Names that a daemon signs, announcements, and what it fetches from others.

const hello = new TextEncoder().encode('hello world')
const absent = parseCid('bafkreia7v5oghvq6ajbmg4aoxmcsdvvwyokwdxyqp37icobwhbhiwm4hxy')

const pool = createKuboPool()

/** A daemon without a swarm. */
async function open(context: TestContext): Promise<KuboNode> {
  kuboOrSkip(context)
  return pool.take()
}

describe('IPNS', () => {
  it('publishes and resolves without peers', async (context) => {
    const node = await openNode(context, { online: true })
    const store = await openStore(node)
    const { cid } = await store.add(hello)
    const name = await store.publish(cid, { lifetimeSeconds: 3600 })
    for (const asked of [name, `/ipns/${name}`, `ipns://${name}`]) {
      expect(await store.resolve(asked)).toEqual({ cid, path: '' })
    }
    const { cid: next } = await store.add(sampleBytes(1, 10))
    await store.publish(next)
    expect((await store.resolve(name)).cid).toEqual(next)
  })

  it('has keys', async (context) => {
    const store = await openStore(await open(context))
    const key = await store.generateKey('model-a')
    expect((await collect(store.keys())).map(({ name }) => name).toSorted()).toEqual(['model-a', 'self'])
    await expect(store.generateKey('model-a')).rejects.toMatchObject({ code: 'CONFLICT' })
    for (const name of ['', 'self', 'a/b']) {
      await expect(store.generateKey(name)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
    const { cid } = await store.add(hello)
    expect(await store.publish(cid, { key: 'model-a' })).toBe(key.id)
    expect((await store.resolve(key.id)).cid).toEqual(cid)
    await expect(store.publish(cid, { key: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(store.publish(cid, { lifetimeSeconds: 0.5 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('says that there is no record', async (context) => {
    const store = await openStore(await open(context))
    const name = 'k51qzi5uqu5dlh6uxb45oy3i5oaw9m6pblrb1d65fvo80moo9ka7b4tyfvqbbo'
    await expect(store.resolve(name)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(store.resolve('../x')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

it('cannot announce without peers, and says so', async (context) => {
  const store = await openStore(await openNode(context, { online: true, config: { Provide: { Enabled: true } } }))
  const { cid } = await store.add(hello)
  await expect(store.provide(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  const offline = await openStore(await open(context))
  await expect(offline.provide(cid)).rejects.toMatchObject({ code: 'BACKEND' })
})

it('tells its version, peers, size and pins', async (context) => {
  const node = await openNode(context)
  const store = await openStore(node, { name: 'my node' })
  const before = await store.repoStat()
  await store.add(sampleBytes(2, 500_000))
  expect(await store.status()).toMatchObject({
    name: 'my node',
    available: true,
    details: { version: node.version, peers: 0, pins: 2 },
  })
  const after = await store.repoStat()
  expect(after.blocks).toBeGreaterThan(before.blocks)
  expect(after.repoBytes).toBeGreaterThan(before.repoBytes)
  expect(after.maxBytes).toBeGreaterThan(0)
  await node.kill()
  expect(await store.status()).toMatchObject({ available: false, reason: expect.stringContaining('ECONN') })
})

/** Two daemons that know each other; the second one has something. */
async function openPair(context: TestContext): Promise<{ near: KuboNode; far: KuboStore }> {
  const [near, other] = await Promise.all([openNode(context, { online: true }), openNode(context, { online: true })])
  await near.ipfs(['swarm', 'connect', other.addresses[0] ?? ''])
  return { near, far: await openStore(other) }
}

describe('a daemon with a peer', () => {
  it('is asked for what it does not hold where that was allowed, and not else', async (context) => {
    const { near, far } = await openPair(context)
    const bytes = sampleBytes(3, 3_000_000)
    const { cid } = await far.add(bytes)
    const local = await openStore(near)
    await expect(concat(local.cat(cid))).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    await expect(local.pin(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    expect(await local.has(cid)).toBe(false)

    const online = await openStore(near, { offline: false })
    expect(Buffer.compare(await concat(online.cat(cid)), bytes)).toBe(0)
    const tree = await far.add(sampleBytes(4, 2_000_000))
    await online.pin(tree.cid)
    expect(await local.has(tree.cid)).toBe(true)
    const into = await openMemoryStore()
    await pull(into, online, (await far.add(sampleBytes(5, 1_500_000))).cid)
  })

  it('cannot tell that nobody has a block', async (context) => {
    const { near } = await openPair(context)
    const proxy = await startFaultyProxy({ target: near.api })
    onTestFinished(() => proxy.close())
    const online = await openStore({ api: proxy.url }, { offline: false, stallTimeoutMs: 20_000 })
    const expectUnknown = (ask: () => Promise<unknown>): Promise<void> =>
      passTime([proxy], () => expect(ask()).rejects.toMatchObject({ code: 'BACKEND', retryable: true }), {
        isHeldUp: ({ url }) => url.includes(absent.toString()),
      })
    await expectUnknown(() => online.blocks.get(absent))
    await expectUnknown(() => concat(online.cat(absent)))
    await expectUnknown(() => online.pin(absent))
    expect(await collect(online.pins())).toHaveLength(1)
    // What it holds is known.
    expect(await online.blocks.has(absent)).toBe(false)
    expect(await online.has(absent)).toBe(false)
  })
})
