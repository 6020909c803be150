import { CID, cidOf, DAG_PB, RAW } from '@x/cid'
import { beforeEach, describe, expect, it } from 'vitest'

import type { AbortOptions, Blockstore } from '../blockstore.ts'
import { needs } from './needs.ts'
import { describePutMany } from './put-many.ts'
import { collect, keysOf, randomBlock, sameBytes, sampleBytes, type SampleBlock } from './sample.ts'

export interface BlockstoreSetup {
  /** An empty blockstore, closed with `onTestFinished`. Every call opens another one. */
  open: () => Promise<Blockstore>
  /** One whose medium fails: a directory that is a file, a daemon that is down. Without it those tests are skipped. */
  openBroken?: (() => Promise<Blockstore>) | undefined
  /** Changes the bytes of a block behind the store's back. Without it those tests are skipped. */
  corrupt?: ((store: Blockstore, cid: CID) => Promise<void>) | undefined
}

type Call = (store: Blockstore, block: SampleBlock, options: AbortOptions) => Promise<unknown>

// A new method on Blockstore does not compile until it has its line here.
const calls: Record<Exclude<keyof Blockstore, 'name' | 'close' | 'putMany'>, Call> = {
  has: (store, { cid }, options) => store.has(cid, options),
  get: (store, { cid }, options) => store.get(cid, options),
  put: (store, { cid, bytes }, options) => store.put(cid, bytes, options),
  delete: (store, { cid }, options) => store.delete(cid, options),
  list: (store, _block, options) => collect(store.list(options)),
}

/** The tests that every blockstore passes. Call it at the top of a test file. */
export function blockstoreConformance(name: string, setup: BlockstoreSetup): void {
  describe(`${name} is a Blockstore`, () => {
    describePuts(setup)
    describePutMany(setup)
    describeFailures(setup)
    describe('damage', () => {
      describeDamage(setup)
    })
  })
}

function describePuts({ open }: BlockstoreSetup): void {
  it('reports an absent block with its CID', async () => {
    const [store, { cid }] = [await open(), await randomBlock()]
    expect(await store.has(cid)).toBe(false)
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  })

  it('gives back what was put', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await store.put(cid, bytes)
    expect(await store.has(cid)).toBe(true)
    expect(await store.get(cid)).toEqual(bytes)
  })

  it.each([0, 1, 1024 * 1024, 2 * 1024 * 1024])('holds a block of %d bytes', async (byteLength) => {
    const store = await open()
    const bytes = sampleBytes(1, byteLength)
    const cid = await cidOf(RAW, bytes)
    await store.put(cid, bytes)
    expect(sameBytes(await store.get(cid), bytes)).toBe(true)
  })

  it('takes bytes that the caller has checked', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await store.put(cid, bytes, { verified: true })
    expect(await store.get(cid)).toEqual(bytes)
  })

  it('refuses bytes that do not match, and stores nothing', async () => {
    const [store, { cid }, other] = [await open(), await randomBlock(), await randomBlock()]
    await expect(store.put(cid, other.bytes)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
    expect(await store.has(cid)).toBe(false)
    expect(await store.has(other.cid)).toBe(false)
    expect(await keysOf(store)).toEqual([])
  })

  it('refuses bytes that it cannot check', async () => {
    const store = await open()
    const BLAKE3 = 0x1e
    const cid = CID.decode(Uint8Array.of(1, RAW, BLAKE3, 32, ...sampleBytes(2, 32)))
    await expect(store.put(cid, sampleBytes(3, 10))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(await keysOf(store)).toEqual([])
  })

  it('puts a block any number of times, at the same time too', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await Promise.all([store.put(cid, bytes), store.put(cid, bytes), store.put(cid, bytes)])
    await store.put(cid, bytes)
    expect(await keysOf(store)).toEqual([cid.toString()])
    expect(await store.get(cid)).toEqual(bytes)
  })

  it('keeps its block when the caller changes the bytes that were put or got', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    const mine = bytes.slice()
    await store.put(cid, mine)
    mine.fill(0)
    const got = await store.get(cid)
    expect(got).toEqual(bytes)
    got.fill(0)
    expect(await store.get(cid)).toEqual(bytes)
  })

  it('lists what it holds, and no more', async () => {
    const store = await open()
    const blocks = await Promise.all(Array.from({ length: 20 }, randomBlock))
    for (const { cid, bytes } of blocks) await store.put(cid, bytes)
    expect(await keysOf(store)).toEqual(blocks.map(({ cid }) => cid.toString()).toSorted())
    const [gone, ...left] = blocks
    if (gone) await store.delete(gone.cid)
    expect(await keysOf(store)).toEqual(left.map(({ cid }) => cid.toString()).toSorted())
  })

  it('deletes what is there, and does not mind what is not', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await store.delete(cid)
    await store.put(cid, bytes)
    await store.delete(cid)
    expect(await store.has(cid)).toBe(false)
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    await store.put(cid, bytes)
    expect(await store.get(cid)).toEqual(bytes)
  })

  it('takes CIDv0 and its CIDv1 twin for one block', async () => {
    const store = await open()
    // The empty UnixFS directory.
    const bytes = Uint8Array.of(0x0a, 0x02, 0x08, 0x01)
    const twin = await cidOf(DAG_PB, bytes)
    const cid = twin.toV0()
    await store.put(cid, bytes)
    expect(await store.get(twin)).toEqual(bytes)
    expect(await store.get(cid)).toEqual(bytes)
    expect(await keysOf(store)).toEqual([twin.toString()])
    await store.delete(twin)
    expect(await store.has(cid)).toBe(false)
  })
}

function describeFailures({ open, openBroken }: BlockstoreSetup): void {
  it.each(Object.entries(calls))('%s rejects with signal.reason', async (_name, call) => {
    const reason = new Error('the caller gave up')
    await expect(call(await open(), await randomBlock(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('stores nothing when put was stopped', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await expect(store.put(cid, bytes, { signal: AbortSignal.abort() })).rejects.toHaveProperty('name', 'AbortError')
    expect(await store.has(cid)).toBe(false)
  })

  it('stops in the middle of a list', async () => {
    const store = await open()
    for (const { cid, bytes } of await Promise.all([randomBlock(), randomBlock(), randomBlock()])) {
      await store.put(cid, bytes)
    }
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const list = store.list({ signal: caller.signal })[Symbol.asyncIterator]()
    await list.next()
    caller.abort(reason)
    await expect(list.next()).rejects.toBe(reason)
  })

  describe('a broken medium', () => {
    beforeEach(needs(openBroken, 'openBroken'))

    it.each(Object.entries(calls))('%s does not take it for an absent block', async (_name, call) => {
      const broken = await openBroken?.()
      if (!broken) throw new Error('there is no openBroken')
      await expect(call(broken, await randomBlock(), {})).rejects.toMatchObject({ code: 'BACKEND' })
    })
  })

  it.each(Object.entries(calls))('%s rejects after close', async (_name, call) => {
    const [store, block] = [await open(), await randomBlock()]
    await store.put(block.cid, block.bytes)
    await store.close()
    await store.close()
    await expect(call(store, block, {})).rejects.toMatchObject({ code: 'BACKEND' })
  })
}

function describeDamage({ open, corrupt }: BlockstoreSetup): void {
  beforeEach(needs(corrupt, 'corrupt'))

  it('never returns a damaged block, and takes a sound one in its place', async () => {
    const [store, { cid, bytes }] = [await open(), await randomBlock()]
    await store.put(cid, bytes)
    await corrupt?.(store, cid)
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
    await store.put(cid, bytes)
    expect(await store.get(cid)).toEqual(bytes)
  })
}
