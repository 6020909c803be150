import { buildFile, cidOf, RAW } from '@x/cid'
import {
  BackendError,
  createContentStore,
  createMemoryRecords,
  createVerifiedBlockstore,
  openMemoryBlockstore,
  openMemoryStore,
  type Blockstore,
} from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { collect, concat, fourLeaves, keysOf, randomBlock, sampleBytes } from '../src/conformance/sample.ts'

describe('over a blockstore that lies', () => {
  it('bytes of another block are not handed on', async () => {
    const [honest, other] = [await openMemoryBlockstore(), await randomBlock()]
    const lying: Blockstore = { ...honest, get: async () => other.bytes }
    const { cid, bytes } = await randomBlock()
    const verified = createVerifiedBlockstore(lying)
    await verified.put(cid, bytes)
    await expect(verified.get(cid)).rejects.toMatchObject({ code: 'INTEGRITY', cid, actual: other.cid })
    const store = createContentStore({ name: 'lied to', blocks: lying, records: createMemoryRecords() })
    await expect(concat(store.cat(cid))).rejects.toMatchObject({ code: 'INTEGRITY', cid, actual: other.cid, offset: 0 })
  })

  it('a failure of its own is a BackendError with the cause', async () => {
    const cause = new TypeError('driver')
    const failing: Blockstore = { ...(await openMemoryBlockstore()), get: () => Promise.reject(cause) }
    const { cid } = await randomBlock()
    await expect(createVerifiedBlockstore(failing).get(cid)).rejects.toMatchObject({ code: 'BACKEND', cause })
  })
})

async function* thenThrow(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
  throw new Error('the source changed')
}

describe('the memory store', () => {
  it('keeps no block of an add that failed', async () => {
    const store = await openMemoryStore()
    const kept = await store.add(fourLeaves('kubo-v1').subarray(0, 300_000), { profile: 'kubo-v1' })
    const before = await keysOf(store.blocks)
    await expect(store.add(thenThrow(fourLeaves('kubo-v1')), { profile: 'kubo-v1' })).rejects.toThrow(
      'the source changed',
    )
    expect(await keysOf(store.blocks)).toEqual(before)
    expect(await store.verify(kept.cid)).toBeGreaterThan(300_000)
  })

  it('keeps a block that was put by itself while the add that failed had it', async () => {
    const store = await openMemoryStore()
    const bytes = sampleBytes(1, 1024 * 1024)
    const cid = await cidOf(RAW, bytes)
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes
      await store.blocks.put(cid, bytes)
      throw new Error('the source changed')
    }
    await expect(store.add(failing())).rejects.toThrow('the source changed')
    expect(await keysOf(store.blocks)).toEqual([cid.toString()])
  })

  it('points names at what is not held', async () => {
    const [store, { cid }] = [await openMemoryStore(), await randomBlock()]
    await store.names.set('later', cid)
    expect(await store.names.get('later')).toMatchObject({ cid })
    expect(await collect(store.roots())).toEqual([])
    expect(await store.gc()).toEqual({ roots: [], blocks: 0, freedBytes: 0 })
  })

  it('refuses metadata that JSON does not have, and keeps its own copy', async () => {
    const store = await openMemoryStore()
    const loop: Record<string, never> = {}
    Object.assign(loop, { loop })
    const invalid = { code: 'INVALID_INPUT' }
    await expect(store.add(sampleBytes(2, 5), { metadata: loop })).rejects.toMatchObject(invalid)
    await expect(store.add(sampleBytes(2, 5), { metadata: { n: NaN } })).rejects.toMatchObject(invalid)
    expect(await collect(store.roots())).toEqual([])
    const list = ['a']
    await store.add(sampleBytes(2, 5), { metadata: { list } })
    list.push('b')
    expect((await collect(store.roots()))[0]?.metadata).toEqual({ list: ['a'] })
  })

  it('frees nothing while it cannot tell what a damaged root needs', async () => {
    const honest = await openMemoryBlockstore()
    const { cid: root } = await buildFile([fourLeaves('kubo-v1')], { profile: 'kubo-v1' })
    let damaged = false
    const blocks: Blockstore = {
      ...honest,
      get: async (cid, options) => (damaged && cid.equals(root) ? sampleBytes(3, 9) : honest.get(cid, options)),
    }
    const store = createContentStore({ name: 'memory', blocks, records: createMemoryRecords() })
    await store.add(fourLeaves('kubo-v1'), { profile: 'kubo-v1' })
    await store.add(sampleBytes(4, 9), { pin: false })
    const before = await keysOf(store.blocks)
    damaged = true
    await expect(store.gc()).rejects.toMatchObject({ code: 'INTEGRITY', cid: root })
    expect(await keysOf(store.blocks)).toEqual(before)
    expect((await collect(store.roots())).length).toBe(2)
  })

  it('stops waiting for a collection when told so', async () => {
    const honest = await openMemoryBlockstore()
    const release = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const blocks: Blockstore = {
      ...honest,
      async *list(options) {
        entered.resolve()
        await release.promise
        yield* honest.list(options)
      },
    }
    const store = createContentStore({ name: 'memory', blocks, records: createMemoryRecords() })
    const { cid } = await store.add(sampleBytes(5, 9))
    const collection = store.gc()
    await entered.promise
    const caller = new AbortController()
    const unpinned = store.unpin(cid, { signal: caller.signal })
    const reason = new Error('the caller gave up')
    caller.abort(reason)
    await expect(unpinned).rejects.toBe(reason)
    // Reading does not wait.
    expect(await concat(store.cat(cid))).toEqual(sampleBytes(5, 9))
    release.resolve()
    await collection
    expect((await collect(store.pins())).length).toBe(1)
  })

  it('says after close that it is closed', async () => {
    const store = await openMemoryStore({ name: 'mine' })
    await store.close()
    const closed = store.has((await randomBlock()).cid)
    await expect(closed).rejects.toBeInstanceOf(BackendError)
    await expect(closed).rejects.toThrow('mine is closed')
  })
})
