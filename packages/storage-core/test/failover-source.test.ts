import { DAG_PB, IntegrityError, linksOf, RAW, type CID } from '@x/cid'
import {
  BackendError,
  BlockNotFoundError,
  createContentSource,
  createFailoverSource,
  createPlannedSession,
  openMemoryStore,
  openSession,
  pull,
  type BlockSource,
  type ContentSource,
  type ContentStore,
  type Failover,
} from '@x/storage-core'
import { contentSourceConformance } from '@x/storage-core/conformance'
import { describe, expect, it, onTestFinished } from 'vitest'

import { concat, directoryOf, fromEntries, randomBlock, sameBytes, sampleBytes } from '../src/conformance/sample.ts'
import { brokenBlockstore } from './memory-setup.ts'

interface Behaviour {
  /** Rejects instead of giving the block, when it returns an error. */
  fail?: (cid: CID) => Error | undefined
  onGet?: (cid: CID) => void
}

/** A source over a store's blocks that fails as it is told. */
function failingSource(name: string, store: ContentStore, { fail, onGet }: Behaviour = {}): ContentSource {
  const blocks: BlockSource = {
    name,
    has: (cid, options) => store.blocks.has(cid, options),
    get: async (cid, options) => {
      onGet?.(cid)
      const error = fail?.(cid)
      if (error) throw error
      return store.blocks.get(cid, options)
    },
    close: async () => undefined,
  }
  return createContentSource({ blocks, probe: async () => ({ ...(await store.status()), name }) })
}

async function openStore(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

const nothing = async (): Promise<ContentSource> => failingSource('nothing', await openStore())

contentSourceConformance('a failover source whose first source has nothing', {
  async open() {
    const origin = await openStore()
    const source = createFailoverSource([await nothing(), failingSource('all', origin)], { name: 'both' })
    return { origin, source }
  },
  async openBroken() {
    const blocks = await brokenBlockstore()
    return createFailoverSource([
      createContentSource({ blocks, probe: notThere }),
      createContentSource({ blocks, probe: notThere }),
    ])
  },
})

const tree = () =>
  directoryOf({ big: sampleBytes(1, 12_000_000), sub: { other: sampleBytes(2, 3_000_000), small: sampleBytes(3, 9) } })

const isOdd = (wanted: CID): boolean => (wanted.multihash.digest[0] ?? 0) % 2 === 1
const absent = (when: boolean) => (wanted: CID) =>
  wanted.code === RAW && isOdd(wanted) === when ? new BlockNotFoundError(wanted) : undefined

const notThere = async () => {
  const probed = { name: 'broken', probedAt: new Date().toISOString(), probeMs: 0, details: {} }
  return { ...probed, available: false, reason: 'it is broken' }
}

describe('a failover source', () => {
  it.each([
    ['went away', (cid: CID) => new BackendError(`${cid}: gone`, { retryable: true })],
    ['lied', (cid: CID) => new IntegrityError(`${cid}: other bytes`, { cid })],
    ['has no more', (cid: CID) => new BlockNotFoundError(cid)],
  ])('goes on where a source %s, and asks for little twice', async (_what, toError) => {
    const origin = await openStore()
    const { cid } = await origin.add(tree())
    const into = await openStore()
    let asked = 0
    let left = 6
    const first = failingSource('first', origin, { fail: (wanted) => (left-- > 0 ? undefined : toError(wanted)) })
    const second = failingSource('second', origin, { onGet: () => (asked += 1) })
    const failovers: Failover[] = []
    const source = createFailoverSource([first, second], { onFailover: (failover) => failovers.push(failover) })
    await pull(into, source, cid)
    expect(await into.verify(cid)).toBeGreaterThan(15_000_000)
    expect(sameBytes(await concat(into.cat(cid, { path: 'sub/other' })), sampleBytes(2, 3_000_000))).toBe(true)
    expect(failovers[0]).toMatchObject({ source: 'first' })
    // 20 blocks, of which the first gave some; what is asked for ahead may be asked for again.
    expect(asked).toBeLessThanOrEqual(20 + 16)
    // One that only lacks blocks is asked again.
    const given = failovers.filter(({ error }) => !(error instanceof BlockNotFoundError))
    expect(given.length).toBeLessThanOrEqual(1)
  })

  it('takes from each what the other lacks', async () => {
    const origin = await openStore()
    const { cid } = await origin.add(tree())
    const into = await openStore()
    const source = createFailoverSource([
      failingSource('even', origin, { fail: absent(true) }),
      failingSource('odd', origin, { fail: absent(false) }),
    ])
    await pull(into, source, cid)
    expect(await into.verify(cid)).toBeGreaterThan(15_000_000)
  })

  it('says who is left, and stops where it is told to', async () => {
    const { cid } = await randomBlock()
    const names = ['a', 'b', 'c']
    const sources = await Promise.all(
      names.map(async (name) =>
        failingSource(name, await openStore(), { fail: () => new BackendError(`${name}: down`, { retryable: false }) }),
      ),
    )
    const refusal = new Error('not without b')
    const asked: [string, readonly string[]][] = []
    const source = createFailoverSource(sources, {
      onFailover: (failover) => {
        asked.push([failover.source, failover.left])
        if (!failover.left.includes('b') && failover.source === 'b') throw refusal
      },
    })
    await expect(source.blocks.get(cid)).rejects.toBe(refusal)
    await expect(pull(await openStore(), source, cid)).rejects.toBe(refusal)
    const once = [
      ['a', ['b', 'c']],
      ['b', ['c']],
    ]
    expect(asked).toEqual([...once, ...once])
  })

  it('says absent where all say so, and that it cannot tell where one cannot', async () => {
    const { cid } = await randomBlock()
    const down = failingSource('down', await openStore(), {
      fail: () => new BackendError('down: connection refused', { retryable: true }),
    })
    const none = createFailoverSource([await nothing(), await nothing()])
    await expect(none.blocks.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    const some = createFailoverSource([await nothing(), down])
    await expect(some.blocks.get(cid)).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
    await expect(some.blocks.get(cid)).rejects.toThrow(/down: connection refused/)
    await expect(pull(await openStore(), some, cid)).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('does not take an abort for a failure', async () => {
    const origin = await openStore()
    const { cid } = await origin.add(tree())
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const failovers: Failover[] = []
    const first = failingSource('first', origin, { onGet: () => caller.abort(reason) })
    const source = createFailoverSource([first, failingSource('second', origin)], {
      onFailover: (failover) => failovers.push(failover),
    })
    await expect(pull(await openStore(), source, cid, { signal: caller.signal })).rejects.toBe(reason)
    expect(failovers).toEqual([])
  })
})

/** Opened and closed sessions of a source, and how many blocks are asked for at a time. */
function watchedSessions(name: string, store: ContentStore, { fail, onGet }: Behaviour = {}) {
  const seen = { opened: 0, open: 0, most: 0, asked: [] as string[] }
  let outstanding = 0
  const blocks: BlockSource = {
    name,
    has: (cid, options) => store.blocks.has(cid, options),
    get: async (cid, options) => {
      seen.asked.push(`${cid}`)
      onGet?.(cid)
      const error = fail?.(cid)
      seen.most = Math.max(seen.most, (outstanding += 1))
      try {
        await new Promise(setImmediate)
        options?.signal?.throwIfAborted()
        if (error) throw error
        return await store.blocks.get(cid, options)
      } finally {
        outstanding -= 1
      }
    },
    openSession: (root, options) => {
      seen.opened += 1
      seen.open += 1
      const session = createPlannedSession((cid, given) => blocks.get(cid, given), root, options)
      const close = async (): Promise<void> => {
        seen.open -= 1
        await session.close()
      }
      return { get: session.get, close }
    },
    close: async () => undefined,
  }
  const source = createContentSource({ blocks, probe: async () => ({ ...(await store.status()), name }) })
  return { source, seen }
}

const gone = (cid: CID): BackendError => new BackendError(`${cid}: gone`, { retryable: true })

const without = (other: CID) => (wanted: CID) => (wanted.equals(other) ? new BlockNotFoundError(wanted) : undefined)

async function twoBlocks(store: ContentStore): Promise<[CID, CID]> {
  const [one, two] = [await randomBlock(), await randomBlock()]
  await store.blocks.put(one.cid, one.bytes)
  await store.blocks.put(two.cid, two.bytes)
  return [one.cid, two.cid]
}

describe('a failover source whose source fails', () => {
  it('asks again one that failed once, before it gives up', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    const some = await openStore()
    await some.blocks.put(one, await origin.blocks.get(one))
    let failures = 1
    const first = failingSource('first', origin, { fail: (cid) => (failures-- > 0 ? gone(cid) : undefined) })
    const session = openSession(createFailoverSource([first, failingSource('second', some)]).blocks, one)
    onTestFinished(() => session.close())
    expect(await session.get(one, {})).toEqual(await origin.blocks.get(one))
    expect(await session.get(two, {})).toEqual(await origin.blocks.get(two))
  })

  it('asks again when it is the only one', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    let failures = 1
    const only = failingSource('only', origin, { fail: (cid) => (failures-- > 0 ? gone(cid) : undefined) })
    const session = openSession(createFailoverSource([only]).blocks, one)
    onTestFinished(() => session.close())
    await expect(session.get(one, {})).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
    expect(await session.get(two, {})).toEqual(await origin.blocks.get(two))
  })

  it.each([
    ['failed', gone, true],
    ['failed for good', (cid: CID) => new BackendError(`${cid}: gone`, { retryable: false }), false],
    ['lied', (cid: CID) => new IntegrityError(`${cid}: other bytes`, { cid }), false],
  ])('does not say absent of what one that %s may have', async (_what, toError, retryable) => {
    const origin = await openStore()
    const [one] = await twoBlocks(origin)
    const { cid: absentEverywhere } = await randomBlock()
    const asked: CID[] = []
    const first = failingSource('first', origin, { fail: toError, onGet: (cid) => asked.push(cid) })
    const session = openSession(createFailoverSource([first, failingSource('second', origin)]).blocks, one)
    onTestFinished(() => session.close())
    await session.get(one, {})
    const answer = session.get(absentEverywhere, {})
    await expect(answer).rejects.toMatchObject({ code: 'BACKEND', retryable })
    await expect(answer).rejects.toThrow(/first: .*(gone|other bytes)/)
    expect(asked.length).toBe(retryable ? 2 : 1)
  })

  it('asks the one that answered last first, for single blocks too', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    let asked = 0
    const dead = failingSource('dead', origin, { fail: gone, onGet: () => (asked += 1) })
    const source = createFailoverSource([dead, failingSource('second', origin)])
    for (const cid of [one, two, one]) await source.blocks.get(cid)
    const session = openSession(source.blocks, one)
    onTestFinished(() => session.close())
    await session.get(one, {})
    expect(asked).toBe(1)
  })

  it('asks ahead after it, however many nodes came before', async () => {
    const origin = await openStore()
    const names = Array.from({ length: 150 }, (_, index) => `${1000 + index}`)
    const files = names.map((name, index) => [name, directoryOf({ file: sampleBytes(index, 100) })] as const)
    const { cid } = await origin.add(fromEntries(files))
    const into = await openStore()
    let left = 200
    const first = failingSource('first', origin, { fail: (wanted) => (left-- > 0 ? undefined : gone(wanted)) })
    const second = watchedSessions('second', origin)
    await pull(into, createFailoverSource([first, second.source]), cid)
    expect(second.seen.most).toBeGreaterThan(3)
    expect([second.seen.opened, second.seen.open]).toEqual([1, 0])
    // Of 301; the rest came from the first.
    expect(second.seen.asked.length).toBeLessThanOrEqual(301 - 200 + 2 * 32)
  })

  it('goes back to one that lacks a node', async () => {
    const origin = await openStore()
    const files = Array.from({ length: 12 }, (_, index) => {
      const parts = { a: sampleBytes(2 * index, 90), b: sampleBytes(2 * index + 1, 90) }
      return [`${10 + index}`, directoryOf(parts)] as const
    })
    const { cid } = await origin.add(fromEntries(files))
    const into = await openStore()
    const isNode = (wanted: CID): boolean => wanted.code === DAG_PB && !wanted.equals(cid)
    const leaves = watchedSessions('leaves', origin, {
      fail: (wanted) => (isNode(wanted) ? new BlockNotFoundError(wanted) : undefined),
    })
    const nodes = watchedSessions('nodes', origin, {
      fail: (wanted) => (isNode(wanted) ? undefined : new BlockNotFoundError(wanted)),
    })
    await pull(into, createFailoverSource([leaves.source, nodes.source]), cid)
    expect(await into.verify(cid)).toBeGreaterThan(24 * 90)
    expect([leaves.seen.open, nodes.seen.open]).toEqual([0, 0])
  })

  it('goes back to one that had asked ahead in vain', async () => {
    const origin = await openStore()
    const [one, two, three] = [1, 2, 3].map((seed) => sampleBytes(seed, 90))
    if (!one || !two || !three) throw new Error('no files')
    const { cid } = await origin.add(directoryOf({ first: { one, two }, second: { three } }))
    const at = async (path: string): Promise<CID> => (await origin.stat(cid, { path })).cid
    const lacking = await Promise.all(['first/one', 'second'].map(at))
    const last = await at('second/three')
    const some = watchedSessions('some', origin, {
      fail: (wanted) => (lacking.some((other) => other.equals(wanted)) ? new BlockNotFoundError(wanted) : undefined),
    })
    const others = watchedSessions('others', origin, { fail: without(last) })
    const into = await openStore()
    await pull(into, createFailoverSource([some.source, others.source]), cid)
    expect(await into.verify(cid)).toBeGreaterThan(270)
    expect([some.seen.open, others.seen.open]).toEqual([0, 0])
  })

  it('asks again for what was asked for ahead while it failed', async () => {
    const origin = await openStore()
    const bytes = sampleBytes(5, 1_500_000)
    const { cid } = await origin.add(bytes, { profile: 'kubo-v1' })
    const [firstLeaf] = linksOf(cid, await origin.blocks.get(cid))
    let isDown = true
    const first = watchedSessions('first', origin, {
      fail: (wanted) => (isDown && !wanted.equals(cid) ? gone(wanted) : undefined),
    })
    const second = failingSource('second', origin, {
      fail: (wanted) => (firstLeaf?.equals(wanted) ? undefined : new BlockNotFoundError(wanted)),
    })
    const session = openSession(createFailoverSource([first.source, second]).blocks, cid)
    for (const leaf of linksOf(cid, await session.get(cid, {}))) {
      // Of the first leaf, and of those asked for ahead with it.
      isDown = leaf.equals(firstLeaf)
      expect((await session.get(leaf, {})).length).toBeGreaterThan(0)
    }
    expect(first.seen).toMatchObject({ opened: 2, open: 1 })
    await session.close()
    expect(first.seen).toMatchObject({ opened: 2, open: 0 })
  })
})

describe('a session of a failover source', () => {
  it('takes two calls at once, opens one session of each source, and closes all', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    const first = watchedSessions('first', origin, { fail: gone })
    const second = watchedSessions('second', origin)
    const session = openSession(createFailoverSource([first.source, second.source]).blocks, one)
    await Promise.all([one, two, one, two].map((cid) => session.get(cid, {})))
    await session.close()
    expect(first.seen).toMatchObject({ opened: 1, open: 0 })
    expect(second.seen).toMatchObject({ opened: 1, open: 0 })
  })

  it('gives each of two calls at once what only one source has', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    const first = watchedSessions('first', origin, { fail: without(two) })
    const second = watchedSessions('second', origin, { fail: without(one) })
    const session = openSession(createFailoverSource([first.source, second.source]).blocks, one)
    const got = await Promise.all([one, two, one, two].map((cid) => session.get(cid, {})))
    await session.close()
    expect(got.slice(0, 2)).toEqual([await origin.blocks.get(one), await origin.blocks.get(two)])
    expect([first.seen.open, second.seen.open]).toEqual([0, 0])
  })

  it('opens nothing once it is closed', async () => {
    const origin = await openStore()
    const [one] = await twoBlocks(origin)
    const failovers: Failover[] = []
    const closed = Promise.withResolvers<void>()
    const first = watchedSessions('first', origin, {
      fail: (cid) => {
        session.close().then(closed.resolve, closed.reject)
        return gone(cid)
      },
    })
    const second = watchedSessions('second', origin)
    const source = createFailoverSource([first.source, second.source], {
      onFailover: (failover) => failovers.push(failover),
    })
    const session = openSession(source.blocks, one)
    await expect(session.get(one, {})).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    await closed.promise
    expect(first.seen).toMatchObject({ opened: 1, open: 0 })
    expect(second.seen).toMatchObject({ opened: 0, open: 0 })
    expect(failovers).toEqual([])
  })

  it('keeps a source when the caller gives up one call', async () => {
    const origin = await openStore()
    const [one, two] = await twoBlocks(origin)
    const caller = new AbortController()
    const reason = new Error('not this one')
    const first = watchedSessions('first', origin, {
      onGet: (cid) => {
        if (cid.equals(one)) caller.abort(reason)
      },
    })
    const second = watchedSessions('second', origin)
    const session = openSession(createFailoverSource([first.source, second.source]).blocks, two)
    onTestFinished(() => session.close())
    await expect(session.get(one, { signal: caller.signal })).rejects.toBe(reason)
    await session.get(two, {})
    expect([first.seen.opened, second.seen.opened]).toEqual([1, 0])
  })
})
