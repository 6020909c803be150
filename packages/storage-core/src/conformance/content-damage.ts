import { buildFile, profileOf, type BuiltBlock, type CID, type ProfileName } from '@x/cid'
import { beforeEach, describe, expect, it } from 'vitest'

import type { ContentStore } from '../content-store.ts'
import { profiles } from './content-adding.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { needs } from './needs.ts'
import { collect, concat, directoryOf, fourLeaves, readUntilError, sameBytes, sampleBytes } from './sample.ts'

interface Damaged {
  store: ContentStore
  bytes: Uint8Array
  /** Of the damaged leaf. */
  leaf: BuiltBlock
  offset: number
}

export function describeDamage({ open, corrupt }: ContentStoreSetup): void {
  beforeEach(needs(corrupt, 'corrupt'))

  /** Damages the third of four leaves. */
  async function damage(store: ContentStore, profile: ProfileName): Promise<Damaged> {
    const bytes = fourLeaves(profile)
    const leaves: BuiltBlock[] = []
    await buildFile([bytes], { profile, onBlock: (block) => void (block.kind === 'leaf' && leaves.push(block)) })
    const leaf = leaves[2]
    if (!leaf || !corrupt) throw new Error('nothing to damage')
    await corrupt(store, leaf.cid)
    return { store, bytes, leaf, offset: 2 * profileOf(profile).chunkBytes }
  }

  async function damagedFile(profile: ProfileName) {
    const store = await open()
    const { cid } = await store.add(fourLeaves(profile), { profile })
    return { cid, ...(await damage(store, profile)) }
  }

  async function damagedDirectory(profile: ProfileName) {
    const store = await open()
    const source = directoryOf({ 'a.bin': sampleBytes(1, 10), sub: { 'b.bin': fourLeaves(profile) } })
    const { cid } = await store.add(source, { profile })
    return { cid, ...(await damage(store, profile)) }
  }

  describe.each(profiles)('a damaged leaf under %s', (profile) => {
    it('is not returned by blocks.get', async () => {
      const { store, leaf } = await damagedFile(profile)
      await expect(store.blocks.get(leaf.cid)).rejects.toMatchObject({ code: 'INTEGRITY', cid: leaf.cid })
    })

    it('stops cat, which names it and returns no bad byte', async () => {
      const { store, cid, bytes, leaf, offset } = await damagedFile(profile)
      const read = await readUntilError(store.cat(cid))
      expect(read.error).toMatchObject({ code: 'INTEGRITY', cid: leaf.cid, file: '', offset })
      expect(read.bytes.length).toBeLessThanOrEqual(offset)
      expect(sameBytes(read.bytes, bytes.subarray(0, read.bytes.length))).toBe(true)
    })

    it('stops a range that begins inside it', async () => {
      const { store, cid, leaf, offset } = await damagedFile(profile)
      const read = await readUntilError(store.cat(cid, { offset: offset + 7, length: 3 }))
      expect(read.error).toMatchObject({ code: 'INTEGRITY', cid: leaf.cid, file: '', offset })
      expect(read.bytes.length).toBe(0)
    })

    it('stops cat of a path, which names the file', async () => {
      const { store, cid, leaf, offset } = await damagedDirectory(profile)
      const { error } = await readUntilError(store.cat(cid, { path: 'sub/b.bin' }))
      expect(error).toMatchObject({ code: 'INTEGRITY', cid: leaf.cid, file: 'sub/b.bin', offset })
    })

    it('is found by verify, which names the file', async () => {
      const { store, cid, leaf, offset } = await damagedDirectory(profile)
      await expect(store.verify(cid)).rejects.toMatchObject({
        code: 'INTEGRITY',
        cid: leaf.cid,
        file: 'sub/b.bin',
        offset,
      })
    })

    it('is found by verify of a path', async () => {
      const { store, cid, offset } = await damagedDirectory(profile)
      const verified = store.verify(cid, { path: 'sub/b.bin' })
      await expect(verified).rejects.toMatchObject({ code: 'INTEGRITY', file: 'sub/b.bin', offset })
    })

    it('does no harm to the other files', async () => {
      const { store, cid } = await damagedDirectory(profile)
      expect(await concat(store.cat(cid, { path: 'a.bin' }))).toEqual(sampleBytes(1, 10))
    })

    it('is repaired by adding the file again', async () => {
      const { store, cid, bytes } = await damagedFile(profile)
      await expect(concat(store.cat(cid))).rejects.toMatchObject({ code: 'INTEGRITY' })
      expect((await store.add(bytes, { profile })).cid).toEqual(cid)
      expect(sameBytes(await concat(store.cat(cid)), bytes)).toBe(true)
      expect(await store.verify(cid)).toBeGreaterThanOrEqual(bytes.length)
    })

    it('can be removed', async () => {
      const { store, cid } = await damagedFile(profile)
      await store.remove(cid)
      expect(await store.has(cid)).toBe(false)
    })
  })

  const readers: [name: string, read: (store: ContentStore, cid: CID) => Promise<unknown>][] = [
    ['cat', (store, cid) => concat(store.cat(cid, { path: 'a.txt' }))],
    ['stat', (store, cid) => store.stat(cid)],
    ['ls', (store, cid) => collect(store.ls(cid))],
    ['verify', (store, cid) => store.verify(cid)],
  ]
  it.each(readers)('%s does not believe a damaged directory', async (_name, read) => {
    const store = await open()
    const { cid } = await store.add(directoryOf({ 'a.txt': sampleBytes(1, 10) }))
    await corrupt?.(store, cid)
    await expect(read(store, cid)).rejects.toMatchObject({ code: 'INTEGRITY', cid })
  })

  it.each([
    ['verify', (store: ContentStore, cid: CID) => store.verify(cid)],
    ['cat', (store: ContentStore, cid: CID) => concat(store.cat(cid, { path: 'onnx/deep/model.onnx' }))],
  ])('%s names a damaged file by its path below the root, however deep, and again', async (_name, read) => {
    const store = await open()
    const tree = directoryOf({
      'config.json': sampleBytes(2, 10),
      onnx: { deep: { 'model.onnx': sampleBytes(3, 1000) } },
    })
    const { cid } = await store.add(tree)
    const file = await store.stat(cid, { path: 'onnx/deep/model.onnx' })
    await corrupt?.(store, file.cid)
    for (let time = 0; time < 2; time++) {
      await expect(read(store, cid)).rejects.toMatchObject({
        code: 'INTEGRITY',
        file: 'onnx/deep/model.onnx',
        offset: 0,
      })
    }
  })
}
