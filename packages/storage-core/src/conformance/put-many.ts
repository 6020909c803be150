import { CID, cidOf, DAG_PB, RAW, type Block } from '@x/cid'
import { beforeEach, describe, expect, it, type TestContext } from 'vitest'

import type { Blockstore } from '../blockstore.ts'
import type { BlockstoreSetup } from './blockstore.ts'
import { needs } from './needs.ts'
import { keysOf, randomBlock, sameBytes, sampleBytes, texts } from './sample.ts'

type PutMany = NonNullable<Blockstore['putMany']>

/** Leaves the test out where the store has no `putMany`. */
function putManyOf(store: Blockstore | undefined, { skip }: TestContext): PutMany {
  return store?.putMany?.bind(store) ?? skip('the store has no putMany')
}

const randomBlocks = (count: number): Promise<Block[]> => Promise.all(Array.from({ length: count }, randomBlock))

async function* slowly(blocks: readonly Block[]): AsyncGenerator<Block> {
  yield* blocks
}

/** Gives its blocks, then nothing for ever. */
async function* silentAfter(blocks: readonly Block[], onSilence: () => void): AsyncGenerator<Block> {
  yield* blocks
  onSilence()
  await new Promise(() => {})
}

async function* failingAfter(blocks: readonly Block[], failure: unknown): AsyncGenerator<Block> {
  yield* blocks
  throw failure
}

export function describePutMany(setup: BlockstoreSetup): void {
  describe('putMany', () => {
    describeTaking(setup)
    describeRefusing(setup)
  })
}

function describeTaking({ open, corrupt }: BlockstoreSetup): void {
  it.for([0, 1, 3, 700])('takes %d blocks and says how many', async (count, context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const blocks = await randomBlocks(count)
    expect(await putMany(slowly(blocks))).toBe(count)
    expect(await keysOf(store)).toEqual(texts(blocks.map(({ cid }) => cid)))
    for (const { cid, bytes } of blocks) expect(await store.get(cid)).toEqual(bytes)
  })

  it('takes blocks of any size, and those that are there or come twice', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const blocks: Block[] = []
    for (const byteLength of [0, 1, 1024 * 1024, 2 * 1024 * 1024, 5 * 1024 * 1024]) {
      const bytes = sampleBytes(byteLength, byteLength)
      blocks.push({ cid: await cidOf(RAW, bytes), bytes })
    }
    const [first, ...rest] = blocks
    if (!first) throw new Error('no blocks')
    await store.put(first.cid, first.bytes)
    expect(await putMany([...blocks, ...rest], { verified: true })).toBe(9)
    expect(await putMany(blocks)).toBe(5)
    expect(await keysOf(store)).toEqual(texts(blocks.map(({ cid }) => cid)))
    for (const { cid, bytes } of blocks) expect(sameBytes(await store.get(cid), bytes)).toBe(true)
  })

  it('several at a time, with the same blocks', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const blocks = await randomBlocks(20)
    await Promise.all([putMany(blocks), putMany(slowly(blocks)), putMany(blocks.toReversed())])
    expect(await keysOf(store)).toEqual(texts(blocks.map(({ cid }) => cid)))
    for (const { cid, bytes } of blocks) expect(await store.get(cid)).toEqual(bytes)
  })

  it('takes CIDv0 and its twin for one block, and keeps no inline one', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const bytes = Uint8Array.of(0x0a, 0x02, 0x08, 0x01)
    const cid = await cidOf(DAG_PB, bytes)
    const inline = CID.decode(Uint8Array.of(1, RAW, 0, 2, 7, 8))
    await putMany([
      { cid: cid.toV0(), bytes },
      { cid, bytes },
      { cid: inline, bytes: Uint8Array.of(7, 8) },
    ])
    expect(await keysOf(store)).toEqual([cid.toString()])
    expect(await store.get(inline)).toEqual(Uint8Array.of(7, 8))
  })

  it('says when all are there, and fails when that does', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const blocks = await randomBlocks(5)
    const there: boolean[] = []
    const onStored = async (): Promise<void> => {
      for (const { cid } of blocks) there.push(await store.has(cid))
    }
    await putMany(blocks, { onStored })
    expect(there).toEqual([true, true, true, true, true])
    const failure = new Error('the caller failed')
    await expect(putMany(blocks, { onStored: () => Promise.reject(failure) })).rejects.toBe(failure)
  })

  describe('damage', () => {
    beforeEach(needs(corrupt, 'corrupt'))

    it('is replaced', async (context) => {
      const store = await open()
      const putMany = putManyOf(store, context)
      const blocks = await randomBlocks(5)
      await putMany(blocks)
      const [, , { cid } = await randomBlock()] = blocks
      await corrupt?.(store, cid)
      await putMany(blocks)
      for (const block of blocks) expect(await store.get(block.cid)).toEqual(block.bytes)
    })
  })
}

function describeRefusing({ open, openBroken }: BlockstoreSetup): void {
  it('refuses bytes that do not match', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const [good, other, { cid }] = [await randomBlock(), await randomBlock(), await randomBlock()]
    const put = putMany([good, { cid, bytes: other.bytes }])
    await expect(put).rejects.toMatchObject({ code: 'INTEGRITY', cid })
    expect(await store.has(cid)).toBe(false)
    expect(await store.has(other.cid)).toBe(false)
    expect(await putMany([good])).toBe(1)
    expect(await store.get(good.cid)).toEqual(good.bytes)
  })

  it('rejects with what the source throws', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const failure = new Error('the source failed')
    const blocks = await randomBlocks(3)
    await expect(putMany(failingAfter(blocks, failure))).rejects.toBe(failure)
    expect(await putMany(blocks)).toBe(3)
    expect(await keysOf(store)).toEqual(texts(blocks.map(({ cid }) => cid)))
  })

  it('rejects with signal.reason, also while the source says nothing', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const reason = new Error('the caller gave up')
    const blocks = await randomBlocks(3)
    await expect(putMany(blocks, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(await keysOf(store)).toEqual([])
    const caller = new AbortController()
    const silent = silentAfter(blocks, () => caller.abort(reason))
    await expect(putMany(silent, { signal: caller.signal })).rejects.toBe(reason)
  })

  it('says that a broken medium is broken, and a closed store closed', async (context) => {
    const store = await open()
    const putMany = putManyOf(store, context)
    const blocks = await randomBlocks(2)
    await store.close()
    await expect(putMany(blocks)).rejects.toMatchObject({ code: 'BACKEND' })
    if (!openBroken) return
    const putManyBroken = putManyOf(await openBroken(), context)
    await expect(putManyBroken(blocks)).rejects.toMatchObject({ code: 'BACKEND' })
  })
}
