import { buildFile, CID, DAG_CBOR, encodeDagCbor, profileOf, type Block } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { ContentSource, ContentStore } from '../content-store.ts'
import type { Receipt } from '../receipt.ts'
import { profiles } from './content-adding.ts'
import { collect, concat, directoryOf, fourLeaves, randomBlock, sameBytes, sampleBytes } from './sample.ts'

const hello = new TextEncoder().encode('hello world')

const tree = () =>
  directoryOf({
    'a.txt': hello,
    empty: {},
    link: 'sub/b.bin',
    sub: { 'b.bin': sampleBytes(6, 300_000), deeper: { 'c.bin': sampleBytes(7, 3) } },
  })

/** Something to fill, and something to read it from: of a store, itself. */
export interface ReadingSetup {
  open: () => Promise<{
    origin: ContentStore
    source: ContentSource
    /** Leaves that `source` has read from its medium so far. */
    leavesRead?: (() => number) | undefined
  }>
}

/** What is the same for a store and for what can only be read. */
export function describeReading(setup: ReadingSetup): void {
  describe.each(profiles)('reading under %s', (profile) => {
    it('gives every range around every leaf boundary', async () => {
      const { origin, source } = await setup.open()
      const bytes = fourLeaves(profile)
      const { cid } = await origin.add(bytes, { profile })
      const { chunkBytes } = profileOf(profile)
      const boundaries = [0, chunkBytes, 2 * chunkBytes, 3 * chunkBytes, bytes.length]
      const wrong: unknown[] = []
      for (const offset of boundaries.flatMap((at) => [at - 1, at, at + 1]).filter((at) => at >= 0)) {
        for (const length of [0, 1, 2, chunkBytes, undefined]) {
          const end = length === undefined ? bytes.length : offset + length
          const read = await concat(source.cat(cid, { offset, length }))
          if (!sameBytes(read, bytes.subarray(offset, end))) wrong.push({ offset, length, read: read.length })
        }
      }
      expect(wrong).toEqual([])
    }, 60_000)

    it('finds the same file by path', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree(), { profile })
      const expected = sampleBytes(6, 300_000)
      for (const path of ['sub/b.bin', '/sub/b.bin', 'sub//b.bin/']) {
        expect(sameBytes(await concat(source.cat(cid, { path })), expected)).toBe(true)
      }
      const range = await concat(source.cat(cid, { path: 'sub/b.bin', offset: 262_143, length: 2 }))
      expect(range).toEqual(expected.slice(262_143, 262_145))
    })

    it('reads a file of a directory by its own CID', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree(), { profile })
      const file = await source.stat(cid, { path: 'sub/b.bin' })
      expect(sameBytes(await concat(source.cat(file.cid)), sampleBytes(6, 300_000))).toBe(true)
      expect(await source.stat(file.cid)).toEqual(file)
    })

    it('has the blocks of what was added', async () => {
      const { origin, source } = await setup.open()
      const bytes = fourLeaves(profile)
      const { cid } = await origin.add(bytes, { profile })
      const built: Block[] = []
      await buildFile([bytes], { profile, onBlock: (block) => void built.push(block) })
      for (const block of built) {
        expect(await source.blocks.has(block.cid)).toBe(true)
        expect(sameBytes(await source.blocks.get(block.cid), block.bytes)).toBe(true)
      }
      expect(built.at(-1)?.cid).toEqual(cid)
    })

    it('finds a root by its CIDv1 twin', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree(), { profile })
      expect(await source.blocks.has(cid.toV1())).toBe(true)
      expect(await concat(source.cat(cid.toV1(), { path: 'a.txt' }))).toEqual(hello)
    })
  })

  describe('reading', () => {
    it('an empty file gives no bytes', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(new Uint8Array())
      expect(await concat(source.cat(cid))).toEqual(new Uint8Array())
      expect(await source.stat(cid)).toEqual({ cid, type: 'file', size: 0 })
    })

    it('tells what is there', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree())
      expect(await source.stat(cid)).toMatchObject({ cid, type: 'directory', size: hello.length + 300_003 })
      expect(await source.stat(cid, { path: 'a.txt' })).toMatchObject({ type: 'file', size: hello.length })
      expect(await source.stat(cid, { path: 'empty' })).toMatchObject({ type: 'directory', size: 0 })
      const link = { type: 'symlink', target: 'sub/b.bin', size: 9 }
      expect(await source.stat(cid, { path: 'link' })).toMatchObject(link)
      const entries = (await collect(source.ls(cid))).toSorted((a, b) => (a.name < b.name ? -1 : 1))
      expect(entries).toMatchObject([
        { name: 'a.txt', type: 'file', size: hello.length },
        { name: 'empty', type: 'directory', size: 0 },
        { name: 'link', ...link },
        { name: 'sub', type: 'directory', size: 300_003 },
      ])
      const below = await collect(source.ls(cid, { path: 'sub/deeper' }))
      expect(below).toEqual([{ name: 'c.bin', ...(await source.stat(cid, { path: 'sub/deeper/c.bin' })) }])
      expect(await collect(source.ls(cid, { path: 'empty' }))).toEqual([])
    })

    it('refuses what is not a file, not a directory, not a range, not a path', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree())
      const invalid = { code: 'INVALID_INPUT' }
      await expect(concat(source.cat(cid))).rejects.toMatchObject(invalid)
      await expect(concat(source.cat(cid, { path: 'link' }))).rejects.toMatchObject(invalid)
      await expect(collect(source.ls(cid, { path: 'a.txt' }))).rejects.toMatchObject(invalid)
      await expect(concat(source.cat(cid, { path: 'a.txt/b' }))).rejects.toMatchObject(invalid)
      await expect(concat(source.cat(cid, { path: '../a.txt' }))).rejects.toMatchObject(invalid)
      for (const bad of [-1, 0.5, NaN, Infinity]) {
        await expect(concat(source.cat(cid, { path: 'a.txt', offset: bad }))).rejects.toMatchObject(invalid)
        await expect(concat(source.cat(cid, { path: 'a.txt', length: bad }))).rejects.toMatchObject(invalid)
      }
    })

    it('says that a path leads nowhere', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree())
      const absent = { code: 'NOT_FOUND', cid }
      await expect(concat(source.cat(cid, { path: 'no' }))).rejects.toMatchObject(absent)
      await expect(source.stat(cid, { path: 'sub/no' })).rejects.toMatchObject(absent)
      await expect(collect(source.ls(cid, { path: 'sub/deeper/no' }))).rejects.toMatchObject(absent)
      await expect(source.verify(cid, { path: 'no' })).rejects.toMatchObject(absent)
    })

    it('gives a receipt when all was read', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(tree())
      const receipts: Receipt[] = []
      const onReceipt = (receipt: Receipt): void => void receipts.push(receipt)
      await concat(source.cat(cid, { path: 'sub/b.bin', offset: 10, length: 20, onReceipt }))
      expect(receipts).toMatchObject([
        { operation: 'cat', cid, answeredBy: source.name, bytes: 20, verified: 'each-leaf' },
      ])
      expect(receipts[0]?.attempts.at(-1)).toMatchObject({ backend: source.name, outcome: 'answered' })
      await expect(concat(source.cat(cid, { path: 'no', onReceipt }))).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(receipts.length).toBe(1)
    })

    it('stops in the middle, with signal.reason', async () => {
      const { origin, source } = await setup.open()
      const { cid } = await origin.add(fourLeaves('unixfs-v1-2025'))
      const caller = new AbortController()
      const reason = new Error('the caller gave up')
      const pieces = source.cat(cid, { signal: caller.signal })[Symbol.asyncIterator]()
      expect((await pieces.next()).done).toBe(false)
      caller.abort(reason)
      await expect(pieces.next()).rejects.toBe(reason)
    })

    it('verifies a whole root and says how much it checked', async () => {
      const { origin, source } = await setup.open()
      const { cid, size } = await origin.add(tree())
      const checked: number[] = []
      const total = await source.verify(cid, { onProgress: (bytes) => checked.push(bytes) })
      expect(total).toBeGreaterThanOrEqual(size)
      expect(checked.at(-1)).toBe(total)
      expect(await source.verify(cid, { path: 'sub/b.bin' })).toBeGreaterThanOrEqual(300_000)
    })

    it('does not run ahead of a slow consumer', async (context) => {
      const { origin, source, leavesRead } = await setup.open()
      if (!leavesRead) {
        context.skip('the setup has no leavesRead')
        return
      }
      const leaves = 64
      const profile = 'kubo-v1'
      const { cid } = await origin.add(sampleBytes(11, leaves * profileOf(profile).chunkBytes), { profile })
      const before = leavesRead()
      const pieces = source.cat(cid)[Symbol.asyncIterator]()
      await pieces.next()
      // Time enough for a store that reads on by itself.
      for (let turn = 0; turn < 1000; turn++) await Promise.resolve()
      await source.status()
      const read = leavesRead() - before
      await pieces.return?.()
      expect(read).toBeGreaterThan(0)
      expect(read).toBeLessThanOrEqual(leaves / 4)
    })

    it('of another codec is no file', async () => {
      const { origin, source } = await setup.open()
      const { cid, bytes: manifest } = await encodeDagCbor({ files: [] })
      await origin.blocks.put(cid, manifest)
      expect(cid.code).toBe(DAG_CBOR)
      expect(await source.blocks.get(cid)).toEqual(manifest)
      await expect(concat(source.cat(cid))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
      await expect(source.stat(cid)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    })

    it('reads an inline root, which needs no block', async () => {
      const { source } = await setup.open()
      const inline = CID.decode(Uint8Array.of(1, 0x55, 0, hello.length, ...hello))
      expect(await concat(source.cat(inline))).toEqual(hello)
    })

    it('a root that is not held is absent', async () => {
      const { source } = await setup.open()
      const { cid } = await randomBlock()
      expect(await source.blocks.has(cid)).toBe(false)
      await expect(source.blocks.get(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
      await expect(concat(source.cat(cid))).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    })
  })
}
