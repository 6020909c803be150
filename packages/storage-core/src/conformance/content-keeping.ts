import { cidOf, encodeDagCbor, RAW, type CID } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { ContentStore } from '../content-store.ts'
import type { ContentStoreSetup } from './content-store.ts'
import {
  collect,
  concat,
  directoryOf,
  fourLeaves,
  keysOf,
  randomBlock,
  sameBytes,
  sampleBytes,
  texts,
} from './sample.ts'

const hello = new TextEncoder().encode('hello world')

const pinned = async (store: ContentStore): Promise<string[]> =>
  texts((await collect(store.pins())).map(({ cid }) => cid))
const rooted = async (store: ContentStore): Promise<string[]> =>
  texts((await collect(store.roots())).map(({ cid }) => cid))

/** Three roots that share a file: one pinned, one named, one neither. */
async function threeRoots(store: ContentStore): Promise<{ kept: CID[]; loose: CID; only: Uint8Array }> {
  const shared = fourLeaves('kubo-v1')
  const only = sampleBytes(12, 700_000)
  const a = await store.add(directoryOf({ shared, a: sampleBytes(13, 5) }))
  const b = await store.add(directoryOf({ shared, b: sampleBytes(14, 5) }), { pin: false, name: 'b' })
  const c = await store.add(directoryOf({ shared, only }), { pin: false })
  return { kept: [a.cid, b.cid], loose: c.cid, only }
}

export function describeKeeping({ open }: ContentStoreSetup): void {
  describe('pins', () => {
    it('pins what is held, once, and unpins', async () => {
      const store = await open()
      const { cid } = await store.add(hello, { pin: false })
      await store.pin(cid)
      const [first] = await collect(store.pins())
      await store.pin(cid)
      expect(await collect(store.pins())).toEqual([first])
      expect(await collect(store.roots())).toMatchObject([{ cid, pinned: true }])
      await store.unpin(cid)
      await store.unpin(cid)
      expect(await collect(store.pins())).toEqual([])
      expect(await collect(store.roots())).toMatchObject([{ cid, pinned: false }])
    })

    it('refuses what is absent, and names it', async () => {
      const [store, { cid }] = [await open(), await randomBlock()]
      await expect(store.pin(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
      expect(await collect(store.pins())).toEqual([])
    })

    it('takes CIDv0 and its CIDv1 twin for one root', async () => {
      const store = await open()
      const { cid } = await store.add(directoryOf({ 'a.txt': hello }), { profile: 'unixfs-v0-2015' })
      expect(cid.version).toBe(0)
      await store.pin(cid.toV1())
      expect((await collect(store.pins())).length).toBe(1)
      await store.names.set('twin', cid.toV1())
      expect(await collect(store.roots())).toMatchObject([{ pinned: true, names: ['twin'] }])
      await store.unpin(cid.toV1())
      expect(await collect(store.pins())).toEqual([])
      await store.remove(cid.toV1())
      expect(await collect(store.roots())).toEqual([])
      expect(await store.names.get('twin')).toBeUndefined()
      expect(await store.has(cid)).toBe(false)
    })

    it('a pin of a part keeps the part', async () => {
      const store = await open()
      const { cid } = await store.add(directoryOf({ 'a.txt': hello, 'b.txt': sampleBytes(1, 9) }), { pin: false })
      const part = (await store.stat(cid, { path: 'a.txt' })).cid
      await store.pin(part)
      await store.gc()
      expect(await store.has(cid)).toBe(false)
      expect(await concat(store.cat(part))).toEqual(hello)
      expect(await rooted(store)).toEqual(texts([part]))
    })
  })

  describe('gc', () => {
    it('frees what is neither pinned nor named, and nothing else', async () => {
      const store = await open()
      const { kept, loose, only } = await threeRoots(store)
      const onlyCid = await cidOf(RAW, only)
      const { roots, blocks, freedBytes } = await store.gc()
      expect(texts(roots)).toEqual(texts([loose]))
      expect(blocks).toBeGreaterThanOrEqual(2)
      expect(freedBytes).toBeGreaterThanOrEqual(only.length)
      expect(await rooted(store)).toEqual(texts(kept))
      expect(await store.has(loose)).toBe(false)
      expect(await store.blocks.has(onlyCid)).toBe(false)
      for (const cid of kept) {
        expect(await store.has(cid)).toBe(true)
        expect(sameBytes(await concat(store.cat(cid, { path: 'shared' })), fourLeaves('kubo-v1'))).toBe(true)
        expect(await store.verify(cid)).toBeGreaterThan(0)
      }
      expect(await store.gc()).toEqual({ roots: [], blocks: 0, freedBytes: 0 })
    })

    it('says beforehand what it would free', async () => {
      const store = await open()
      const { kept, loose } = await threeRoots(store)
      const before = await keysOf(store.blocks)
      const planned = await store.gc({ dryRun: true })
      expect(await keysOf(store.blocks)).toEqual(before)
      expect(await rooted(store)).toEqual(texts([...kept, loose]))
      expect(await store.gc()).toEqual(planned)
    })

    it('says beforehand what it would free without some of the names', async () => {
      const store = await open()
      const { kept } = await threeRoots(store)
      const { cid: root } = await store.add(hello, { name: 'a/root', pin: false })
      const beside = await cidOf(RAW, new TextEncoder().encode('beside a root'))
      await store.blocks.put(beside, new TextEncoder().encode('beside a root'))
      await store.names.set('.beside/1', beside)
      await store.names.set('.beside/2', beside)
      await store.names.set('a/block', beside)
      const before = await keysOf(store.blocks)
      const planned = (...names: string[]) => store.gc({ dryRun: { withoutNames: new Set(names) } })
      const asNow = await store.gc({ dryRun: true })
      expect(await planned()).toEqual(asNow)
      // Another name keeps it.
      expect(await planned('.beside/1', '.beside/2', 'no/such/name')).toEqual(asNow)
      const found = await planned('.beside/1', '.beside/2', 'a/block', 'a/root')
      expect(texts(found.roots)).toContain(root.toString())
      expect(await keysOf(store.blocks)).toEqual(before)
      for (const name of ['.beside/1', '.beside/2', 'a/block', 'a/root']) await store.names.delete(name)
      const { roots, ...freed } = await store.gc()
      expect({ roots: texts(roots), ...freed }).toEqual({ ...found, roots: texts(found.roots) })
      expect(await store.blocks.has(beside)).toBe(false)
      for (const cid of kept) expect(await store.has(cid)).toBe(true)
    })

    it('frees a root when its last pin or name goes', async () => {
      const store = await open()
      const { cid } = await store.add(hello, { name: 'last' })
      await store.unpin(cid)
      await store.gc()
      expect(await store.has(cid)).toBe(true)
      await store.names.delete('last')
      expect(texts((await store.gc()).roots)).toEqual(texts([cid]))
      expect(await store.has(cid)).toBe(false)
      expect(await keysOf(store.blocks)).toEqual([])
    })

    it('keeps loose blocks that are pinned or named, and no others', async () => {
      const store = await open()
      const [loose, inPin] = [await randomBlock(), await randomBlock()]
      const named = await encodeDagCbor({ manifest: true })
      for (const { cid, bytes } of [loose, inPin, named]) await store.blocks.put(cid, bytes)
      await store.pin(inPin.cid)
      await store.names.set('manifest', named.cid)
      const { roots, blocks } = await store.gc()
      expect(roots).toEqual([])
      expect(blocks).toBe(1)
      expect(await keysOf(store.blocks)).toEqual(texts([inPin.cid, named.cid]))
    })

    it('takes nothing from adds that go on meanwhile', async () => {
      const store = await open()
      const bytes = sampleBytes(15, 1_500_000)
      const garbage = await store.add(bytes, { pin: false })
      const sources = Array.from({ length: 6 }, (_, index) =>
        directoryOf({ bytes, [`own-${index}`]: sampleBytes(index, 9) }),
      )
      const [adds] = await Promise.all([
        Promise.all(sources.map((source) => store.add(source))),
        store.gc(),
        store.remove(garbage.cid),
        store.gc(),
      ])
      for (const { cid } of adds) {
        expect(await store.has(cid)).toBe(true)
        expect(sameBytes(await concat(store.cat(cid, { path: 'bytes' })), bytes)).toBe(true)
      }
      expect(await rooted(store)).toEqual(texts(adds.map(({ cid }) => cid)))
    })
  })

  describe('remove', () => {
    it('forgets the root, its pin and its names', async () => {
      const store = await open()
      const { cid } = await store.add(directoryOf({ a: hello }), { name: 'one' })
      await store.names.set('two', cid)
      const other = await store.add(sampleBytes(16, 10), { name: 'other' })
      await store.remove(cid)
      expect(await rooted(store)).toEqual(texts([other.cid]))
      expect(await pinned(store)).toEqual(texts([other.cid]))
      expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['other'])
      expect(await store.has(cid)).toBe(false)
      await expect(store.stat(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    })

    it('keeps what another root needs, pinned or not', async () => {
      const store = await open()
      const bytes = fourLeaves('kubo-v1')
      const file = await store.add(bytes, { profile: 'kubo-v1' })
      const directory = await store.add(directoryOf({ bytes }), { profile: 'kubo-v1', pin: false })
      await store.remove(file.cid)
      expect(sameBytes(await concat(store.cat(directory.cid, { path: 'bytes' })), bytes)).toBe(true)
      expect(await rooted(store)).toEqual(texts([directory.cid]))
      await store.remove(directory.cid)
      expect(await keysOf(store.blocks)).toEqual([])
    })

    it('does not mind what is not there', async () => {
      const [store, { cid }] = [await open(), await randomBlock()]
      await store.remove(cid)
      expect(await store.has(cid)).toBe(false)
    })

    it('lets the same content be added again', async () => {
      const store = await open()
      const { cid } = await store.add(hello)
      await store.remove(cid)
      expect((await store.add(hello)).cid).toEqual(cid)
      expect(await concat(store.cat(cid))).toEqual(hello)
    })
  })
}
