import { IntegrityError, RAW, type CID } from '@x/cid'
import {
  BackendError,
  BlockNotFoundError,
  createContentSource,
  createFailoverSource,
  openMemoryStore,
  pull,
  type BlockSource,
  type ContentSource,
  type ContentStore,
  type Failover,
} from '@x/storage-core'
import { contentSourceConformance } from '@x/storage-core/conformance'
import { describe, expect, it, onTestFinished } from 'vitest'

import { concat, directoryOf, randomBlock, sameBytes, sampleBytes } from '../src/conformance/sample.ts'
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
