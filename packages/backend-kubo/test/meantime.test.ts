import { describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest'

import { startFaultyProxy, type FaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { collect, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { KuboStore } from '../src/index.ts'
import { createKuboPool } from './kubo-pool.ts'
import { ownerOf } from './owner.ts'
import { openStore, texts } from './support.ts'

// What one store, or the owner, has done is there after what another store did meanwhile, whose request is held up there.

const pool = createKuboPool()

interface Two {
  node: KuboNode
  /** Its requests can be held up. */
  slow: KuboStore
  quick: KuboStore
  hold: (command: string, first?: number) => Held
}

interface Held {
  /** Resolves when the request has come. */
  reached: Promise<void>
  release: () => void
}

async function openTwo(context: TestContext): Promise<Two> {
  kuboOrSkip(context)
  const node = await pool.take()
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const [slow, quick] = [await openStore({ api: proxy.url }), await openStore(node)]
  return { node, slow, quick, hold: (command, first) => holdUp(proxy, command, first) }
}

/** Holds one request up, the `first` of its command. */
function holdUp(proxy: FaultyProxy, command: string, first = 0): Held {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let seen = 0
  proxy.fault = ({ url }) => {
    if (!url.startsWith(`/api/v0/${command}?`) || seen++ !== first) return { type: 'none' }
    reached.resolve()
    return { type: 'hold', until: released.promise }
  }
  onTestFinished(() => released.resolve())
  return { reached: reached.promise, release: () => released.resolve() }
}

const isPinned = async (store: KuboStore, cid: { toString(): string }): Promise<boolean> =>
  texts(await collect(store.pins())).includes(cid.toString())

describe('a pin that was acknowledged stays', () => {
  it.for(['add', 'pin'] as const)(
    'when another one of the same, which came first, is given up: %s',
    async (how, context) => {
      const { slow, quick, hold } = await openTwo(context)
      const bytes = sampleBytes(1, 1000)
      const { cid } = await quick.add(bytes, { pin: false })
      const { reached } = hold('dag/import')
      const caller = new AbortController()
      const pinning = slow.pin(cid, { signal: caller.signal })
      await reached
      if (how === 'add') await quick.add(bytes)
      else await quick.pin(cid)
      caller.abort(new Error('enough'))
      await expect(pinning).rejects.toThrow('enough')
      expect(await isPinned(quick, cid)).toBe(true)
      await quick.gc()
      expect(await quick.has(cid)).toBe(true)
    },
  )

  it('when a collection had its root on its list', async (context) => {
    const { slow, quick, hold } = await openTwo(context)
    const bytes = sampleBytes(2, 1000)
    const { cid } = await quick.add(bytes, { pin: false })
    const { reached, release } = hold('dag/import')
    const collecting = slow.gc()
    await reached
    await quick.add(bytes, { metadata: { license: 'x' } })
    release()
    expect((await collecting).roots).toEqual([])
    expect(await collect(quick.roots())).toMatchObject([{ cid, pinned: true, metadata: { license: 'x' } }])
  })

  it('with the record of its root, also when the owner made it while that was being forgotten', async (context) => {
    const { node, slow, quick, hold } = await openTwo(context)
    const { cid } = await quick.add(sampleBytes(3, 1000), { pin: false, metadata: { license: 'x' } })
    const { reached, release } = hold('dag/import')
    const collecting = slow.gc()
    await reached
    await ownerOf(node).pin(cid)
    release()
    expect((await collecting).roots).toEqual([])
    expect(await collect(quick.roots())).toMatchObject([{ cid, pinned: true, metadata: { license: 'x' } }])
  })

  it('when the one that it found has gone when it was recorded', async (context) => {
    const { node, slow, quick, hold } = await openTwo(context)
    const bytes = sampleBytes(10, 1000)
    const { cid } = await quick.add(bytes)
    const { reached, release } = hold('dag/import', 1)
    const adding = slow.add(bytes)
    await reached
    await ownerOf(node).unpin(cid)
    release()
    await adding
    expect(await isPinned(quick, cid)).toBe(true)
  })

  it('when it is taken away at the same time by one who has seen the last one', async (context) => {
    const { slow, quick, hold } = await openTwo(context)
    const { cid } = await quick.add(sampleBytes(4, 1000))
    const { reached, release } = hold('pin/rm')
    const unpinning = slow.unpin(cid)
    await reached
    await quick.pin(cid)
    release()
    await unpinning
    expect(await isPinned(quick, cid)).toBe(true)
  })
})

it('a remove goes on where the records it has read were replaced and collected', async (context) => {
  const { node, slow, quick, hold } = await openTwo(context)
  const { cid } = await quick.add(sampleBytes(11, 1000), { pin: false })
  // It has seen which version is the newest, and reads its blocks.
  const { reached, release } = hold('block/get', 1)
  const removing = slow.remove(cid)
  await reached
  await quick.add(sampleBytes(12, 1000))
  await ownerOf(node).gc()
  release()
  await removing
  expect(await collect(quick.roots())).toHaveLength(1)
})

it.for(['pin', 'link in MFS'] as const)(
  'a remove leaves alone what the owner makes: a %s of its twin',
  async (what, context) => {
    const { node, slow, quick, hold } = await openTwo(context)
    const owner = ownerOf(node)
    const { cid } = await quick.add(sampleBytes(13, 600_000), { profile: 'unixfs-v0-2015', pin: false })
    const leaf = (await collect(quick.blocks.list())).find((block) => !block.equals(cid))
    if (!leaf) throw new Error('no leaf')
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    // Of the root, which goes before its leaves.
    const { reached, release } = hold('block/rm')
    const removing = slow.remove(cid)
    await reached
    // The daemon knows no pin of CIDv0, and does not look into MFS.
    if (what === 'pin') await owner.pin(leaf.toV1())
    else await owner.show(leaf.toV1(), '/theirs')
    vi.advanceTimersByTime(1000)
    release()
    await removing
    expect(await quick.blocks.has(leaf)).toBe(true)
    expect(await quick.blocks.has(cid)).toBe(false)
  },
)

it('a name that was set anew stays when what it pointed to is removed', async (context) => {
  const { slow, quick, hold } = await openTwo(context)
  const before = await quick.add(sampleBytes(5, 1000), { name: 'best' })
  const after = await quick.add(sampleBytes(6, 1000), { pin: false })
  const { reached, release } = hold('dag/import')
  const removing = slow.remove(before.cid)
  await reached
  await quick.names.set('best', after.cid, { expected: before.cid })
  release()
  await removing
  expect(await quick.names.get('best')).toMatchObject({ cid: after.cid })
  await quick.gc()
  expect(await quick.has(after.cid)).toBe(true)
  expect(texts(await collect(quick.roots()))).toEqual(texts([after]))
})

it('what is added without a pin stays whole when somebody takes away the pin it had', async (context) => {
  const { node, slow, quick, hold } = await openTwo(context)
  for (const byOwner of [false, true]) {
    const bytes = sampleBytes(byOwner ? 7 : 8, 3_000_000)
    const { cid } = await quick.add(bytes)
    // The second one is that of the commit.
    const { reached, release } = hold('dag/import', 1)
    const adding = slow.add(bytes, { pin: false })
    await reached
    if (byOwner) {
      await ownerOf(node).unpin(cid)
      await ownerOf(node).gc()
    } else await quick.remove(cid)
    release()
    await adding
    expect(await quick.verify(cid)).toBeGreaterThan(3_000_000)
    expect(texts(await collect(quick.roots()))).toContain(cid.toString())
  }
})

describe("the owner's pin stays", () => {
  const tree = directoryOf({ a: sampleBytes(9, 10) })

  it('of a block alone, with its name, over an add without a pin, and one that fails', async (context) => {
    const { node, slow, quick, hold } = await openTwo(context)
    const { cid } = await quick.add(tree, { pin: false })
    await ownerOf(node).pin(cid, { recursive: false, name: 'theirs' })
    const isTheirs = async (): Promise<void> => {
      expect(await collect(quick.daemonPins({ type: 'direct' }))).toMatchObject([{ cid, name: 'theirs' }])
      expect(await isPinned(quick, cid)).toBe(false)
    }
    await quick.add(tree, { pin: false })
    await isTheirs()
    // Its commit, for which it has pinned all of it.
    const { reached } = hold('dag/import', 1)
    const caller = new AbortController()
    const adding = slow.add(tree, { signal: caller.signal })
    await reached
    expect(await isPinned(quick, cid)).toBe(true)
    caller.abort(new Error('enough'))
    await expect(adding).rejects.toThrow('enough')
    await isTheirs()
    // With the pin of all of it, which keeps more, it goes.
    await quick.add(tree)
    expect(await collect(quick.daemonPins({ name: 'theirs' }))).toMatchObject([{ cid, type: 'recursive' }])
  })

  it('that was made during an add without a pin', async (context) => {
    const { node, slow, quick, hold } = await openTwo(context)
    const { reached, release } = hold('dag/import', 1)
    const adding = slow.add(tree, { pin: false })
    await reached
    const { cid } = await quick.add(tree, { pin: false })
    await ownerOf(node).pin(cid)
    release()
    await adding
    expect(await isPinned(quick, cid)).toBe(true)
  })
})
