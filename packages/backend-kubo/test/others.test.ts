import { cidOf, parseCid, RAW, type Block, type CID } from '@x/cid'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { startFaultyProxy, type Fault } from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, concat, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { holdOf } from '../src/hold.ts'
import type { KuboStore } from '../src/index.ts'
import { createKuboPool } from './kubo-pool.ts'
import { ownerOf, type Owner } from './owner.ts'
import { openStore, texts } from './support.ts'

// A daemon is shared: with its owner, with other programs, and with other stores.

const hello = new TextEncoder().encode('hello world')

const pool = createKuboPool()

async function open(context: TestContext): Promise<{ node: KuboNode; owner: Owner; store: KuboStore }> {
  kuboOrSkip(context)
  const node = await pool.take()
  return { node, owner: ownerOf(node), store: await openStore(node) }
}

describe('what the owner has', () => {
  it('is kept by gc when it is pinned or in MFS, and taken when it is neither', async (context) => {
    const { owner, store } = await open(context)
    const pinned = await owner.add(sampleBytes(1, 700_000))
    const direct = await owner.add(sampleBytes(2, 50), { pin: false })
    await owner.pin(direct, { recursive: false })
    const inMfs = await owner.add(sampleBytes(3, 700_000), { pin: false })
    await owner.show(inMfs, '/their/models/one')
    // What these left of the directories of MFS.
    await owner.gc()
    const neither = await owner.add(sampleBytes(4, 700_000), { pin: false })
    const { cid } = await store.add(sampleBytes(5, 100), { pin: false })

    const planned = await store.gc({ dryRun: true })
    expect(planned.roots.map(String)).toEqual([cid.toString()])
    // Three leaves and a root of theirs, what `ipfs add` leaves besides, and ours.
    expect(planned.blocks).toBeGreaterThanOrEqual(5)
    expect(planned.freedBytes).toBeGreaterThan(700_100)
    expect(await store.gc()).toEqual(planned)
    for (const kept of [pinned, direct, inMfs]) expect(await store.has(parseCid(kept))).toBe(true)
    expect(await store.has(parseCid(neither))).toBe(false)
    expect(await owner.list('/their/models')).toEqual(['one'])
  })

  it('is kept by remove, pinned, in MFS or neither', async (context) => {
    const { owner, store } = await open(context)
    const shared = sampleBytes(6, 700_000)
    const { cid } = await store.add(directoryOf({ shared, own: sampleBytes(7, 300_000) }), { profile: 'kubo-v1' })
    const pinned = await owner.add(shared)
    const loose = await owner.add(sampleBytes(8, 300_000), { pin: false })
    await store.remove(cid)
    expect(await store.has(parseCid(pinned))).toBe(true)
    expect(await store.has(parseCid(loose))).toBe(true)
    expect(await store.has(cid)).toBe(false)

    const again = await store.add(directoryOf({ shared, own: sampleBytes(7, 300_000) }), { profile: 'kubo-v1' })
    await owner.show(pinned, '/theirs')
    await owner.unpin(pinned)
    await store.remove(again.cid)
    expect(await store.has(parseCid(pinned))).toBe(true)
  })

  it('is kept by remove under another CID of the same block', async (context) => {
    const { owner, store } = await open(context)
    // The owner has pinned as CIDv0 what is linked here as CIDv1.
    const outer = await store.add(directoryOf({ inner: { file: hello } }), { profile: 'kubo-v1' })
    const { cid } = await store.stat(outer.cid, { path: 'inner' })
    const twin = cid.toV0()
    await owner.pin(twin)
    await store.remove(outer.cid)
    expect(await store.has(twin)).toBe(true)
    await store.blocks.delete(cid)
    expect(await store.blocks.has(twin)).toBe(true)
  })

  it('shows in the list of pins, direct and named ones where they are asked for', async (context) => {
    const { owner, store } = await open(context)
    const theirs = await owner.add(sampleBytes(9, 10), { pin: false })
    await owner.pin(theirs, { name: 'a model' })
    const direct = await owner.add(sampleBytes(10, 600_000), { pin: false })
    await owner.pin(direct, { recursive: false })
    const pins = await collect(store.pins())
    expect(texts(pins)).toContain(theirs)
    expect(texts(pins)).not.toContain(direct)
    // When they were made, the daemon does not know.
    expect(pins.find(({ cid }) => cid.toString() === theirs)?.pinnedAt).toBeUndefined()
    expect(await collect(store.daemonPins({ name: 'model' }))).toMatchObject([{ type: 'recursive', name: 'a model' }])
    expect(texts(await collect(store.daemonPins({ type: 'direct' })))).toEqual([direct])

    const { cid } = await store.add(sampleBytes(11, 600_000), { pin: false, profile: 'kubo-v1' })
    await store.pinAs(cid, { name: 'mine' })
    expect(await owner.pins()).toMatchObject({ [cid.toString()]: 'mine' })
    const absent = parseCid('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
    await expect(store.pinAs(absent)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: absent })
    await expect(store.pinAs(absent, { type: 'direct' })).rejects.toMatchObject({ code: 'NOT_FOUND', cid: absent })
  })

  it('is not pinned twice, nor is its pin lost when an add of the same is stopped', async (context) => {
    const { owner, store } = await open(context)
    const bytes = sampleBytes(12, 2_500_000)
    const { cid } = await store.add(bytes)
    await store.pinAs(cid, { name: 'theirs' })
    await store.add(bytes)
    const caller = new AbortController()
    const stopped = store.add(bytes, { signal: caller.signal, onProgress: () => caller.abort(new Error('enough')) })
    await expect(stopped).rejects.toThrow('enough')
    expect(Object.values(await owner.pins())).toContain('theirs')
  })
})

it('a named root, and one that is recorded alone, stay over the collection of the owner', async (context) => {
  const { owner, store } = await open(context)
  const named = await store.add(sampleBytes(13, 700_000), { pin: false, name: 'kept', profile: 'kubo-v1' })
  const loose = await store.add(sampleBytes(14, 700_000), { pin: false, profile: 'unixfs-v0-2015' })
  await owner.gc()
  for (const { cid } of [named, loose]) expect(await store.has(cid)).toBe(true)
  // No pins are in the way of the owner.
  const pins = Object.keys(await owner.pins())
  for (const { cid } of [named, loose]) expect(pins).not.toContain(cid.toString())
  await store.gc()
  expect(await store.has(loose.cid)).toBe(false)
  expect(await store.has(named.cid)).toBe(true)
})

it('bookkeeping is neither listed nor counted, also in another process', async (context) => {
  const { node, store } = await open(context)
  await store.gc()
  const before = (await collect(store.blocks.list())).length
  const { cid } = await store.add(hello, { name: 'a' })
  const listed = (await collect(store.blocks.list())).map(String)
  expect(listed).toContain(cid.toString())
  expect(listed).toHaveLength(before + 1)
  expect(await store.gc()).toMatchObject({ roots: [], blocks: 0, freedBytes: 0 })
  const other = await openStore(node)
  expect((await collect(other.blocks.list())).map(String).toSorted()).toEqual(listed.toSorted())
})

it('what people should see is in MFS', async (context) => {
  const { node, owner, store } = await open(context)
  const one = await store.add(directoryOf({ 'config.json': hello }))
  const two = await store.add(sampleBytes(15, 10))
  expect(await store.mfsStat('/models/org/one')).toBeUndefined()
  await store.copyToMfs(one.cid, '/models/org/one')
  expect(await store.mfsStat('/models/org/one')).toEqual(one.cid)
  const file = await store.mfsStat('/models/org/one/config.json')
  expect(file && (await concat(store.cat(file)))).toEqual(hello)
  // A file is no directory.
  expect(await store.mfsStat('/models/org/one/config.json/x')).toBeUndefined()
  expect((await node.ipfs(['files', 'read', '/models/org/one/config.json'])).stdout).toEqual(Buffer.from(hello))
  const refused = store.copyToMfs(two.cid, '/models/org/one')
  await expect(refused).rejects.toMatchObject({ code: 'CONFLICT' })
  await store.copyToMfs(two.cid, '/models/org/one', { replace: true })
  expect(await owner.at('/models/org/one')).toBe(two.cid.toString())
  const absent = parseCid('bafkreia7v5oghvq6ajbmg4aoxmcsdvvwyokwdxyqp37icobwhbhiwm4hxy')
  await expect(store.copyToMfs(absent, '/models/absent')).rejects.toMatchObject({ code: 'NOT_FOUND', cid: absent })
  for (const path of ['models', '/', '/a//b', '/a/../b', '/a\nb', '/ipfs-accelerate', '/ipfs-accelerate/records/1']) {
    await expect(store.copyToMfs(one.cid, path)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(store.mfsStat(path)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
  // It is kept without a pin.
  await store.remove(two.cid)
  await store.gc()
  expect(await concat(store.cat(two.cid))).toEqual(sampleBytes(15, 10))
})

async function openReplacing(context: TestContext) {
  const { node, owner, store } = await open(context)
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const [theirs, ours] = [await store.add(directoryOf({ theirs: hello }), { pin: false }), await store.add(hello)]
  await store.copyToMfs(theirs.cid, '/own/x')
  await store.remove(theirs.cid)
  /** Whose it is, and nothing else is there. */
  const expectThere = async ({ cid }: { cid: CID }): Promise<void> => {
    expect(await owner.at('/own/x')).toBe(cid.toString())
    expect(await owner.list('/own')).toEqual(['x'])
  }
  /** From the `first` request of a command on. */
  const fault = (command: string, what: Fault, first = 0): void => {
    let seen = 0
    proxy.fault = ({ url }) => (url.startsWith(`/api/v0/${command}?`) && seen++ === first ? what : { type: 'none' })
  }
  return {
    node,
    theirs,
    ours,
    fault,
    expectThere,
    proxy,
    slow: await openStore({ api: proxy.url }),
  }
}

describe('what is to be replaced in MFS', () => {
  it('stays where the new one cannot be had', async (context) => {
    const { proxy, theirs, expectThere } = await openReplacing(context)
    const online = await openStore({ api: proxy.url }, { offline: false, stallTimeoutMs: 20_000 })
    const absent = parseCid('bafkreia7v5oghvq6ajbmg4aoxmcsdvvwyokwdxyqp37icobwhbhiwm4hxy')
    const copying = (): Promise<void> => online.copyToMfs(absent, '/own/x', { replace: true })
    await passTime([proxy], () => expect(copying()).rejects.toMatchObject({ code: 'BACKEND' }), {
      isHeldUp: ({ url }) => url.includes(absent.toString()),
    })
    await expectThere(theirs)
  })

  it('is put back where the new one fails to take its place', async (context) => {
    const { slow, theirs, ours, fault, expectThere } = await openReplacing(context)
    for (const [command, first] of [
      ['files/cp', 1],
      ['files/mv', 0],
      ['files/cp', 2],
    ] as const) {
      fault(command, { type: 'drop' }, first)
      await expect(slow.copyToMfs(ours.cid, '/own/x', { replace: true })).rejects.toMatchObject({ code: 'BACKEND' })
      await expectThere(theirs)
    }
  })

  it('is replaced also where an answer is lost', async (context) => {
    const { slow, theirs, ours, fault, expectThere } = await openReplacing(context)
    fault('files/cp', { type: 'truncate', framing: 'cut', atByte: 0 }, 2)
    await slow.copyToMfs(ours.cid, '/own/x', { replace: true })
    await expectThere(ours)
    fault('files/mv', { type: 'truncate', framing: 'cut', atByte: 0 })
    await expect(slow.copyToMfs(theirs.cid, '/own/x', { replace: true })).rejects.toMatchObject({ code: 'BACKEND' })
    await expectThere(ours)
  })
})

it('blocks that are part of something to come stay over the collections of others', async (context) => {
  const { owner, store } = await open(context)
  const blocks: Block[] = []
  for (let seed = 1; seed <= 20; seed++) {
    const bytes = sampleBytes(seed, 1024 * 1024)
    blocks.push({ cid: await cidOf(RAW, bytes), bytes })
  }
  const collecting = async function* (): AsyncGenerator<Block> {
    yield* blocks.slice(0, 18)
    await owner.gc()
    yield* blocks.slice(18)
  }
  const missing: string[] = []
  const onStored = async (): Promise<void> => {
    await owner.gc()
    for (const { cid } of blocks) if (!(await store.blocks.has(cid))) missing.push(cid.toString())
    // Nor does anybody take for content what holds them.
    expect(await collect(store.pins())).toEqual([])
    expect((await collect(store.daemonPins())).every(({ name }) => name.startsWith('ipfs-accelerate/'))).toBe(true)
  }
  expect(await store.blocks.putMany?.(collecting(), { onStored })).toBe(20)
  expect(missing).toEqual([])
  expect(await collect(store.daemonPins())).toEqual([])
})

it('what a dead process held goes with gc after a day, and of one that lives all stays', async (context) => {
  const { owner, store } = await open(context)
  const DAY_MS = 24 * 60 * 60 * 1000
  const hold = async (seed: number, ageMs: number, callId: string): Promise<CID> => {
    const cid = parseCid(await owner.add(sampleBytes(seed, 700_000), { pin: false }))
    const held = await holdOf(cid, { since: Date.now() - ageMs, call: callId })
    await owner.pin(held)
    return cid
  }
  const [dead, living] = ['0123456789ab', 'ba9876543210']
  const gone = [await hold(20, 3 * DAY_MS, dead), await hold(21, DAY_MS + 60_000, dead)]
  const kept = [await hold(22, 3 * DAY_MS, living), await hold(23, DAY_MS - 60_000, living)]
  await store.gc()
  expect(await Promise.all(gone.map((cid) => store.has(cid)))).toEqual([false, false])
  expect(await Promise.all(kept.map((cid) => store.has(cid)))).toEqual([true, true])
})

describe('two stores on one daemon', () => {
  it('set a name, and one of them does', async (context) => {
    const { node, store } = await open(context)
    const other = await openStore(node)
    const roots = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => store.add(sampleBytes(seed, 10), { pin: false })))
    const results = await Promise.allSettled(
      roots.map(({ cid }, index) => (index % 2 === 0 ? store : other).names.set('best', cid, { expected: null })),
    )
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(won).toHaveLength(1)
    expect(await other.names.get('best')).toEqual(won[0])
    const lost = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(lost).toMatchObject(Array.from({ length: 5 }, () => ({ code: 'CONFLICT', current: won[0]?.cid })))
  })

  it('lose none of what they record at the same time', async (context) => {
    const { node } = await open(context)
    const stores = await Promise.all([1, 2, 3].map(() => openStore(node)))
    const names = await Promise.all(
      stores.map(async (store, which) => {
        const set: string[] = []
        for (let step = 0; step < 6; step++) {
          const name = `${which}/${step}`
          await store.add(sampleBytes(which * 100 + step, 20), { name, pin: false })
          set.push(name)
        }
        return set
      }),
    )
    for (const store of stores) {
      expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(names.flat().toSorted())
      expect(await collect(store.roots())).toHaveLength(18)
    }
  })

  it('remove, collect and add the same, and what is kept stays whole', async (context) => {
    const { node } = await open(context)
    const [adding, removing] = [await openStore(node), await openStore(node)]
    const shared = sampleBytes(16, 600_000)
    const kept: Awaited<ReturnType<KuboStore['add']>>[] = []
    const over = new AbortController()
    const removed = (async () => {
      for (let step = 0; !over.signal.aborted; step++) {
        const { cid } = await removing.add(directoryOf({ shared, loose: sampleBytes(step, 30) }), {
          profile: 'kubo-v1',
        })
        await removing.remove(cid)
        await removing.gc()
      }
    })()
    onTestFinished(() => over.abort())
    for (let step = 0; step < 12; step++) {
      const options = { profile: 'kubo-v1', pin: step % 2 === 0, name: `kept/${step}` } as const
      kept.push(await adding.add(directoryOf({ shared, own: sampleBytes(1000 + step, 30) }), options))
    }
    over.abort()
    await removed
    for (const { cid } of kept) expect(await removing.verify(cid)).toBeGreaterThan(600_000)
  })
})
