import { CID, cidOf, DAG_PB, RAW } from '@x/cid'
import {
  createContentStore,
  createMemoryRecords,
  fromInterfaceBlockstore,
  toInterfaceBlockstore,
  type Blockstore,
  type ForeignBlockstore,
} from '@x/storage-core'
import { blockstoreConformance } from '@x/storage-core/conformance'
import { MemoryBlockstore } from 'blockstore-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { concat, keysOf, randomBlock, sampleBytes, sameBytes, texts } from '../src/conformance/sample.ts'
import { brokenBlockstore, memoryBlockstore } from './memory-setup.ts'

const held = async (theirs: MemoryBlockstore) => {
  const pairs = []
  for await (const pair of theirs.getAll()) pairs.push(pair)
  return pairs
}

const insides = new WeakMap<Blockstore, ForeignBlockstore>()

function closeLater(store: Blockstore): Blockstore {
  onTestFinished(() => store.close())
  return store
}

const never = (): Promise<never> => new Promise(() => {})

const fail = (): never => {
  throw new Error('EIO: i/o error')
}
const broken: ForeignBlockstore = { has: fail, put: fail, get: fail, getAll: fail, delete: fail }

blockstoreConformance('MemoryBlockstore of blockstore-core', {
  async open() {
    const theirs = new MemoryBlockstore()
    const store = closeLater(fromInterfaceBlockstore(theirs, { name: 'theirs' }))
    insides.set(store, theirs)
    return store
  },
  openBroken: async () => fromInterfaceBlockstore(broken, { name: 'theirs' }),
  corrupt: async (store, cid) => {
    await insides.get(store)?.put(cid, (await randomBlock()).bytes)
  },
})

const twice = (ours: Blockstore): Blockstore =>
  fromInterfaceBlockstore(toInterfaceBlockstore(ours), { name: 'twice', keyedBy: 'cid' })

const innermost = new WeakMap<Blockstore, Blockstore>()

blockstoreConformance('ours, to theirs and back', {
  async open() {
    const ours = await memoryBlockstore.open()
    const store = closeLater(twice(ours))
    innermost.set(store, ours)
    return store
  },
  openBroken: async () => twice(await brokenBlockstore()),
  corrupt: async (store, cid) => {
    const ours = innermost.get(store)
    if (ours) await memoryBlockstore.corrupt?.(ours, cid)
  },
})

describe('fromInterfaceBlockstore', () => {
  it('keeps a file that is added, collected and read through it', async () => {
    const theirs = new MemoryBlockstore()
    const blocks = fromInterfaceBlockstore(theirs, { name: 'theirs' })
    const store = createContentStore({ name: 'theirs', blocks, records: createMemoryRecords() })
    const bytes = sampleBytes(1, 3 * 1024 * 1024 + 5)
    const { cid } = await store.add(bytes)
    const { cid: gone } = await store.add(sampleBytes(2, 2 * 1024 * 1024), { pin: false })
    expect(await store.gc()).toMatchObject({ roots: [gone], blocks: 3 })
    expect(sameBytes(await concat(store.cat(cid)), bytes)).toBe(true)
    expect(await held(theirs)).toHaveLength(5)
  })

  it('frees nothing when it cannot tell the codec of a block', async () => {
    const theirs = new MemoryBlockstore()
    const records = createMemoryRecords()
    const open = () => fromInterfaceBlockstore(theirs, { name: 'theirs' })
    const before = createContentStore({ name: 'theirs', blocks: open(), records })
    const { cid } = await before.add(sampleBytes(1, 3 * 1024 * 1024))
    const after = createContentStore({ name: 'theirs', blocks: open(), records })
    await expect(after.gc()).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/codec cannot be told/),
    })
    expect(await after.verify(cid)).toBeGreaterThan(0)
  })

  it('keeps a block that was put under two codecs until it is deleted under both', async () => {
    const theirs = new MemoryBlockstore()
    const store = fromInterfaceBlockstore(theirs, { name: 'theirs' })
    const bytes = Uint8Array.of(0x0a, 0x02, 0x08, 0x01)
    const [node, leaf] = [await cidOf(DAG_PB, bytes), await cidOf(RAW, bytes)]
    await store.put(node, bytes)
    await store.put(leaf, bytes)
    expect(await keysOf(store)).toEqual(texts([node, leaf]))
    await store.delete(leaf)
    expect(await store.get(node)).toEqual(bytes)
    expect(await keysOf(store)).toEqual([String(node)])
    await store.delete(node.toV0())
    expect(await held(theirs)).toEqual([])
  })

  it('does not mind what was deleted since their store began to list', async () => {
    const theirs = new MemoryBlockstore()
    const [kept, gone] = [await randomBlock(), await randomBlock()]
    const getAll = async function* () {
      const all = await held(theirs)
      await store.delete(gone.cid)
      yield* all
    }
    const store = fromInterfaceBlockstore(Object.assign(Object.create(theirs), { getAll }), { name: 'theirs' })
    for (const { cid, bytes } of [kept, gone]) await store.put(cid, bytes)
    expect(await keysOf(store)).toEqual([String(kept.cid)])
  })

  it('joins the pieces of a block, and refuses too many', async () => {
    const bytes = sampleBytes(3, 1000)
    const cid = await cidOf(RAW, bytes)
    const get = async function* (): AsyncGenerator<Uint8Array> {
      for (let start = 0; start < bytes.length; start += 7) yield bytes.subarray(start, start + 7)
    }
    const open = (maxBlockBytes: number) =>
      fromInterfaceBlockstore({ ...broken, get }, { name: 'theirs', maxBlockBytes })
    expect(await open(1000).get(cid)).toEqual(bytes)
    await expect(open(999).get(cid)).rejects.toMatchObject({
      code: 'BACKEND',
      message: expect.stringMatching(/more than 999 bytes/),
    })
  })

  // What blockstore-fs 4.0.1 makes of a failure: `new NotFoundError(String(err))`.
  it.each([
    ['Not Found', 'NOT_FOUND'],
    ["Error: ENOENT: no such file or directory, open '/x'", 'NOT_FOUND'],
    ["Error: ENOTDIR: not a directory, open '/x'", 'BACKEND'],
    ['Error: EIO: i/o error, read', 'BACKEND'],
  ])('takes NotFoundError("%s") for %s', async (message, code) => {
    const get = (): never => {
      throw Object.assign(new Error(message), { name: 'NotFoundError' })
    }
    const { cid } = await randomBlock()
    await expect(fromInterfaceBlockstore({ ...broken, get }, { name: 'theirs' }).get(cid)).rejects.toMatchObject({
      code,
    })
  })

  it('does not take a block for absent that broke off in the middle', async () => {
    const { cid, bytes } = await randomBlock()
    const get = function* (): Generator<Uint8Array> {
      yield bytes.subarray(0, 10)
      throw Object.assign(new Error('Not Found'), { name: 'NotFoundError' })
    }
    const store = fromInterfaceBlockstore({ ...broken, get }, { name: 'theirs' })
    await expect(store.get(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  })

  it('stops waiting for a store that does not look at the signal', async () => {
    const { cid, bytes } = await randomBlock()
    const get = async function* (): AsyncGenerator<Uint8Array> {
      yield await never()
    }
    const store = fromInterfaceBlockstore({ ...broken, has: never, put: never, get, delete: never }, { name: 'theirs' })
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => store.has(cid, { signal }),
      (signal) => store.get(cid, { signal }),
      (signal) => store.put(cid, bytes, { signal }),
    ]
    for (const call of calls) {
      const caller = new AbortController()
      const reason = new Error('the caller gave up')
      const waiting = call(caller.signal)
      setImmediate(() => caller.abort(reason))
      await expect(waiting).rejects.toBe(reason)
    }
  })

  it('does not take an answer that the abort made for "absent"', async () => {
    const { cid } = await randomBlock()
    const caller = new AbortController()
    const reason = new Error('the caller gave up')
    const has = (): boolean => {
      caller.abort(reason)
      return false
    }
    const store = fromInterfaceBlockstore({ ...broken, has }, { name: 'theirs' })
    await expect(store.has(cid, { signal: caller.signal })).rejects.toBe(reason)
  })

  it('closes what it was told to close, once', async () => {
    let closes = 0
    const store = fromInterfaceBlockstore(new MemoryBlockstore(), { name: 'theirs', close: () => void closes++ })
    await store.close()
    await store.close()
    expect(closes).toBe(1)
  })

  it('has every inline block, and puts none of them', async () => {
    const theirs = new MemoryBlockstore()
    const store = fromInterfaceBlockstore(theirs, { name: 'theirs' })
    const bytes = sampleBytes(4, 5)
    const cid = CID.decode(Uint8Array.of(1, RAW, 0, bytes.length, ...bytes))
    expect(await store.has(cid)).toBe(true)
    expect(await store.get(cid)).toEqual(bytes)
    await store.put(cid, bytes)
    await store.delete(cid)
    expect(await held(theirs)).toEqual([])
  })
})
