import { cidOf, RAW } from '@x/cid'
import { openMemoryStore, pull, verifyReplica, type ContentStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { collect, directoryOf, fourLeaves, sampleBytes } from '../src/conformance/sample.ts'
import { memoryContentStore } from './memory-setup.ts'

async function openOriginal(): Promise<ContentStore> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  return store
}

describe('reading a copy back', () => {
  it('reads as many leaves as are asked for, each of them sooner or later', async () => {
    const original = await openOriginal()
    const copy = await memoryContentStore.open()
    const { cid } = await original.add(fourLeaves('unixfs-v0-2015'), { profile: 'unixfs-v0-2015' })
    await pull(copy, original, cid)
    const offsets = new Set<number>()
    const watched: ContentStore = {
      ...copy,
      cat: (root, options) => {
        offsets.add(options?.offset ?? 0)
        return copy.cat(root, options)
      },
    }
    // A generator of numbers that goes evenly through them.
    let turn = 0
    const random = (): number => (turn++ % 16) / 16
    for (let round = 0; round < 40; round++) {
      expect(await verifyReplica(watched, original, cid, { leaves: 2, random })).toMatchObject({ leaves: 2 })
    }
    expect([...offsets].toSorted((one, other) => one - other)).toEqual([0, 262_144, 524_288, 786_432])
  })

  it.each([
    ['a file', 3 * 1_048_576 + 5, 4],
    ['one leaf', 1000, 1],
  ])('reads all leaves of %s where there are no more', async (_what, size, leaves) => {
    const original = await openOriginal()
    const copy = await openOriginal()
    const { cid } = await original.add(sampleBytes(1, size))
    await pull(copy, original, cid)
    const { bytes, ...rest } = await verifyReplica(copy, original, cid)
    expect(rest).toEqual({ leaves })
    expect(bytes).toBeGreaterThanOrEqual(size)
  })

  it.each([['all' as const], [16]])('finds a leaf that is damaged, deep in a directory (%s)', async (leaves) => {
    const original = await openOriginal()
    const copy = await memoryContentStore.open()
    const bytes = sampleBytes(2, 2_000_000)
    const { cid } = await original.add(directoryOf({ deep: { 'model.onnx': bytes } }))
    await pull(copy, original, cid)
    await memoryContentStore.corrupt?.(copy, await cidOf(RAW, bytes.subarray(1_048_576)))
    await expect(verifyReplica(copy, original, cid, { leaves })).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('finds a leaf that is missing', async () => {
    const original = await openOriginal()
    const copy = await openOriginal()
    const bytes = sampleBytes(3, 2_000_000)
    const { cid } = await original.add(bytes)
    await pull(copy, original, cid)
    const missing = await cidOf(RAW, bytes.subarray(1_048_576))
    await copy.blocks.delete(missing)
    await expect(verifyReplica(copy, original, cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: missing })
  })

  it('reads no leaf of the original', async () => {
    const original = await memoryContentStore.open()
    const copy = await openOriginal()
    const { cid } = await original.add(sampleBytes(4, 3_000_000))
    await pull(copy, original, cid)
    const before = memoryContentStore.leavesRead?.(original)
    await verifyReplica(copy, original, cid)
    expect(memoryContentStore.leavesRead?.(original)).toBe(before)
    expect(await collect(copy.pins())).toHaveLength(1)
  })
})
