import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { ProfileName } from '@x/cid'
import { expect, it } from 'vitest'

import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024
const PROFILES: readonly ProfileName[] = ['unixfs-v0-2015', 'unixfs-v1-2025', 'kubo-v1']

async function bytesHeld(directory: string): Promise<number> {
  let total = 0
  for (const area of ['files', 'packs', 'blocks']) {
    for (const path of await filesBelow(join(directory, area))) total += (await stat(path)).size
  }
  return total
}

it.each([0, 5, 60_000, 100_000, 300_000, MIB, 5 * MIB + 3])(
  'keeps %d bytes once, whatever profiles and names they are added under',
  async (size) => {
    const { store, directory } = await openTemp()
    const bytes = someBytes(size)
    const roots = []
    for (const profile of PROFILES) roots.push(await store.add(bytes, { profile, name: profile, pin: false }))
    const again = await store.add(directoryOf({ one: bytes, two: bytes }), { name: 'directory', pin: false })
    // Outboards and directories are small; a second copy would not be.
    expect(await bytesHeld(directory)).toBeLessThan(size + 5000)
    for (const { cid } of roots) {
      expect(isSame(await bytesOf(store.cat(cid)), bytes)).toBe(true)
      expect(await store.verify(cid)).toBe(size)
      expect(isSame(await readFile(await store.getPath(cid)), bytes)).toBe(true)
    }
    expect(isSame(await bytesOf(store.cat(again.cid, { path: 'two' })), bytes)).toBe(true)

    // One after another goes, and the rest stays.
    for (const [index, { cid }] of roots.entries()) {
      await store.names.delete(PROFILES[index] ?? '')
      await store.gc()
      const left = [...roots.slice(index + 1), again]
      for (const root of left) expect(await store.verify(root.cid)).toBeGreaterThanOrEqual(size)
      expect(await store.has(cid)).toBe(left.some((root) => root.cid.equals(cid)) || isSharedBlock(size, index))
    }
    await store.remove(again.cid)
    await store.gc()
    expect(await collect(store.blocks.list())).toEqual([])
    expect(await bytesHeld(directory)).toBe(0)
  },
)

/** Under the default profile it is a part of the directory, and one raw block is the same block under two profiles. */
const isSharedBlock = (size: number, index: number): boolean =>
  PROFILES[index] === 'unixfs-v1-2025' || (size <= 262_144 && PROFILES[index] === 'kubo-v1')

it('the same bytes many times in one add are kept once', async () => {
  const { store, directory } = await openTemp()
  const small = someBytes(30_000)
  const entries = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, small]))
  const { cid, size } = await store.add(directoryOf({ ...entries, large: someBytes(MIB), twin: someBytes(MIB) }))
  expect(size).toBe(50 * 30_000 + 2 * MIB)
  expect(await bytesHeld(directory)).toBeLessThan(30_000 + MIB + 10_000)
  expect(await store.verify(cid)).toBe(30_000 + MIB)
})
