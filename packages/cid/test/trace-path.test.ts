import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import {
  CID,
  cidOf,
  DAG_CBOR,
  DAG_PB,
  encodeDagCbor,
  isStorageError,
  PathTooLargeError,
  RAW,
  readDirectory,
  tracePath,
  type TracedPath,
} from '@x/cid'
import * as fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { exporter } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import { identity } from 'multiformats/hashes/identity'
import { describe, expect, it } from 'vitest'

import { Blocks, collect } from './oracle.ts'

const SEED = 20_251_123
const texts = (cids: readonly { toString(): string }[]): string[] => cids.map(String)

async function importTree(
  files: readonly string[],
  blocks: Blocks,
  options: Parameters<typeof importer>[2] = {},
): Promise<CID> {
  const source = files.map((path) => ({ path, content: new TextEncoder().encode(path) }))
  let root: CID | undefined
  for await (const { cid } of importer(source, blocks, { wrapWithDirectory: true, cidVersion: 1, ...options })) {
    root = CID.decode(cid.bytes)
  }
  if (!root) throw new Error('nothing was imported')
  return root
}

const trace = (blocks: Blocks, root: CID, path: string): Promise<TracedPath> => tracePath(blocks.getBlock, root, path)

describe('through directories', () => {
  it('finds what the reference finds, and keeps the directories on the way', async () => {
    const blocks = new Blocks()
    const root = await importTree(['a/b/c.txt', 'a/d.txt', 'e.txt'], blocks)
    const found = await trace(blocks, root, '/a//b/c.txt/')
    const below = async (path: string): Promise<string> => (await exporter(`${root}/${path}`, blocks)).cid.toString()
    expect(texts(found.roots)).toEqual([
      root.toString(),
      await below('a'),
      await below('a/b'),
      await below('a/b/c.txt'),
    ])
    expect(texts(found.blocks.map(({ cid }) => cid))).toEqual(texts(found.roots.slice(0, -1)))
    expect(found).toMatchObject({ cid: found.roots.at(-1), missing: undefined, inside: [] })
  })

  it('says which part of a path is missing', async () => {
    const blocks = new Blocks()
    const root = await importTree(['a/b.txt'], blocks)
    expect(await trace(blocks, root, 'a/c/d')).toMatchObject({ missing: 'a/c' })
    expect(await trace(blocks, root, 'a/b.txt/c')).toMatchObject({ missing: 'a/b.txt/c' })
    expect(await trace(blocks, root, '')).toMatchObject({ cid: root, roots: [root], blocks: [], missing: undefined })
    await expect(trace(blocks, root, 'a/../a')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('rejects with what the store rejects with', async () => {
    const missing = await cidOf(0x70, Uint8Array.of(1))
    await expect(trace(new Blocks(), missing, 'a')).rejects.toThrow(`not held: ${missing}`)
    const reason = new Error('the caller gave up')
    await expect(tracePath(new Blocks().getBlock, missing, 'a', { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
  })
})

describe.each([3, 4, 8, 10])('through shards of %i bits', (shardFanoutBits) => {
  it('reads the shards on the way to a name, and no others', async () => {
    const blocks = new Blocks()
    const names = Array.from({ length: 300 }, (_, index) => `name-${index} é`)
    const root = await importTree(names, blocks, { shardSplitThresholdBytes: 0, shardFanoutBits })
    const entries = new Map((await collect(readDirectory(blocks.getBlock, root))).map(({ name, cid }) => [name, cid]))
    expect(entries.size).toBe(names.length)
    for (const name of names) {
      blocks.read.length = 0
      const { cid, blocks: way, roots, missing } = await trace(blocks, root, name)
      expect([cid.toString(), missing]).toEqual([String(entries.get(name)), undefined])
      expect(texts(way.map((block) => block.cid))).toEqual(blocks.read)
      expect([roots.length, way.length < 8]).toEqual([2, true])
    }
    expect(await trace(blocks, root, 'no such name')).toMatchObject({ missing: 'no such name' })
  })
})

describe('through dag-cbor', () => {
  it('follows keys and indexes to a link', async () => {
    const blocks = new Blocks()
    const leaf = await cidOf(RAW, Uint8Array.of(1))
    const inner = await encodeDagCbor({ files: [{ x: 1 }, { '': 2, weights: leaf }], text: 'x' })
    const outer = await encodeDagCbor({ '10': 1, deep: { manifest: inner.cid }, é: [[]] })
    blocks.add(inner)
    blocks.add(outer)
    const found = await trace(blocks, outer.cid, 'deep/manifest/files/1/weights')
    expect(texts(found.roots)).toEqual(texts([outer.cid, inner.cid, leaf]))
    expect(texts(found.blocks.map(({ cid }) => cid))).toEqual(texts([outer.cid, inner.cid]))

    const inside = await trace(blocks, outer.cid, 'deep/manifest/files/0')
    expect(inside).toMatchObject({ cid: inner.cid, inside: ['files', '0'], missing: undefined })
    expect(texts(inside.blocks.map(({ cid }) => cid))).toEqual([outer.cid.toString()])
    for (const path of ['nothing', 'deep/nothing', 'é/1', 'é/01', 'é/-1', 'deep/manifest/files/9/weights', '10/x']) {
      expect(await trace(blocks, outer.cid, path)).toMatchObject({ missing: path.split('/').slice(0, 4).join('/') })
    }
  })

  it('keeps no inline block', async () => {
    const leaf = await cidOf(RAW, Uint8Array.of(1))
    const root = CID.createV1(DAG_CBOR, identity.digest(dagCbor.encode({ a: { b: leaf, c: 1 } })))
    expect(await trace(new Blocks(), root, 'a/b')).toMatchObject({ cid: leaf, blocks: [] })
    expect(await trace(new Blocks(), root, 'a/c')).toMatchObject({ cid: root, blocks: [], inside: ['a', 'c'] })
    const blocks = new Blocks()
    const outer = await encodeDagCbor([root])
    blocks.add(outer)
    expect(await trace(blocks, outer.cid, '0/a/c')).toMatchObject({ cid: root, blocks: [outer], inside: ['a', 'c'] })
  })

  it.each([
    ['cut short', [0xa1, 0x61]],
    ['a key that is a number', [0xa1, 0x01, 0x01]],
    ['another tag', [0xc1, 1]],
    ['a link that is text', [0xa1, 0x61, 0x61, 0xd8, 42, 0x61, 0x61]],
    ['a link that is no CID', [0xa1, 0x61, 0x61, 0xd8, 42, 0x42, 0, 7]],
    ['a map of 2^64 keys', [0xbb, 255, 255, 255, 255, 255, 255, 255, 255, 0x61, 0x62, 0x01]],
  ])('refuses %s', async (_name, bytes) => {
    const blocks = new Blocks()
    const cid = await cidOf(DAG_CBOR, Uint8Array.from(bytes))
    blocks.add({ cid, bytes: Uint8Array.from(bytes) })
    await expect(trace(blocks, cid, 'a')).rejects.toMatchObject({ code: 'INVALID_INPUT', input: cid.toString() })
  })

  it('finds nothing below a block that is only a link', async () => {
    const blocks = new Blocks()
    const link = await encodeDagCbor(await cidOf(RAW, Uint8Array.of(1)))
    blocks.add(link)
    expect(await trace(blocks, link.cid, 'a')).toMatchObject({ missing: 'a' })
  })

  it('finds every value that its decoder finds', async () => {
    const { any } = fc.letrec((tie) => ({
      link: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => CID.createV1(RAW, identity.digest(bytes))),
      leaf: fc.oneof(tie('link'), fc.string(), fc.maxSafeInteger(), fc.uint8Array(), fc.boolean(), fc.constant(null)),
      any: fc.oneof(
        { maxDepth: 4 },
        tie('leaf'),
        fc.array(tie('any')),
        fc.dictionary(fc.stringMatching(/^[a-z0-9 é]{1,6}$/), tie('any'), { noNullPrototype: true }),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(any, async (value) => {
        const bytes = dagCbor.encode(value)
        const root = await cidOf(DAG_CBOR, bytes)
        const blocks = new Blocks()
        blocks.add({ cid: root, bytes })
        const places: { path: string[]; node: unknown }[] = []
        const visit = (node: unknown, path: string[]): void => {
          places.push({ path, node })
          if (CID.asCID(node) || typeof node !== 'object' || node === null || node instanceof Uint8Array) return
          for (const [key, below] of Object.entries(node)) visit(below, [...path, key])
        }
        visit(dagCbor.decode(bytes), [])
        for (const { path, node } of places.slice(1)) {
          const link = CID.asCID(node)
          const end = link ? { cid: link, inside: [] } : { cid: root, inside: path }
          expect(await trace(blocks, root, path.join('/'))).toMatchObject({ ...end, missing: undefined })
        }
      }),
      { seed: SEED, numRuns: 200 },
    )
  })
})

describe('directories that are large, or not what they say', () => {
  const directory = new UnixFS({ type: 'directory' }).marshal()

  /** Directories below each other, each with a long name beside `d`. The root comes first. */
  async function nested(blocks: Blocks, depth: number, nameBytes: number): Promise<CID> {
    let below = await cidOf(RAW, Uint8Array.of(1))
    for (let level = 0; level < depth; level++) {
      const Links = ['d', 'e'.repeat(nameBytes)].map((Name) => ({ Name, Tsize: 1, Hash: below }))
      const bytes = dagPb.encode({ Data: directory, Links })
      below = await cidOf(DAG_PB, bytes)
      blocks.add({ cid: below, bytes })
    }
    return below
  }

  it('stops at the bytes that may be held', async () => {
    const blocks = new Blocks()
    const root = await nested(blocks, 20, 1_000_000)
    const path = 'd/'.repeat(20)
    await expect(trace(blocks, root, path)).rejects.toThrow(PathTooLargeError)
    expect(blocks.read.length).toBe(9)
    await expect(trace(blocks, root, path)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const options = { maxBytes: 21_000_000 }
    expect((await tracePath(blocks.getBlock, root, path, options)).blocks.length).toBe(20)
    expect((await trace(blocks, root, 'd/'.repeat(8))).blocks.length).toBe(8)
  })

  it('counts inline blocks among them', async () => {
    let below: CID = CID.createV1(RAW, identity.digest(new Uint8Array(1000)))
    for (let level = 0; level < 20; level++) {
      const bytes = dagPb.encode({ Data: directory, Links: [{ Name: 'd', Tsize: 1, Hash: below }] })
      below = CID.createV1(DAG_PB, identity.digest(bytes))
    }
    const traced = (maxBytes: number) => tracePath(new Blocks().getBlock, below, 'd/'.repeat(20), { maxBytes })
    await expect(traced(20_000)).rejects.toThrow(PathTooLargeError)
    expect(await traced(40_000)).toMatchObject({ blocks: [], missing: undefined })
  })

  it('gives timers their turn between large ones', async () => {
    const blocks = new Blocks()
    const root = await nested(blocks, 8, 500_000)
    let readAtTimer: number | undefined
    setTimeout(() => (readAtTimer = blocks.read.length))
    await trace(blocks, root, 'd/'.repeat(8))
    expect(readAtTimer).toBeLessThan(8)
  })

  it('looks at the link that is followed, and at no other CID', async () => {
    const Hash = await cidOf(RAW, Uint8Array.of(1))
    const bytes = dagPb.encode({
      Data: directory,
      Links: [
        { Name: 'a', Tsize: 1, Hash },
        { Name: 'b', Tsize: 1, Hash },
      ],
    })
    const at = Buffer.from(bytes).indexOf(Hash.bytes)
    // No version of a CID.
    bytes[at] = 0x7f
    const blocks = new Blocks()
    const root = await cidOf(DAG_PB, bytes)
    blocks.add({ cid: root, bytes })
    expect(await trace(blocks, root, 'b')).toMatchObject({ cid: Hash, missing: undefined })
    await expect(trace(blocks, root, 'a')).rejects.toMatchObject({ code: 'INVALID_INPUT', input: root.toString() })
  })

  it('refuses what is cut short or changed, or finds something, but fails in no other way', async () => {
    const blocks = new Blocks()
    const sharded = await importTree(['a', 'b', 'c'], blocks, { shardSplitThresholdBytes: 0 })
    for (const [cid, bytes] of [
      [sharded, blocks.held.get(sharded.toString()) ?? new Uint8Array()],
      [sharded, dagPb.encode({ Data: directory, Links: [{ Name: 'a', Tsize: 300, Hash: sharded }] })],
    ] as const) {
      const outcomes = new Set<string>()
      const attempt = async (changed: Uint8Array): Promise<void> => {
        try {
          const { missing } = await tracePath(async () => changed, cid, 'a')
          outcomes.add(missing === undefined ? 'found' : 'missing')
        } catch (error) {
          outcomes.add(isStorageError(error) ? error.code : String(error))
        }
      }
      for (let at = 0; at < bytes.length; at++) {
        await attempt(bytes.slice(0, at))
        for (const mask of [1, 2, 8, 0x80, 0xff])
          await attempt(bytes.map((byte, index) => (index === at ? byte ^ mask : byte)))
      }
      expect(
        [...outcomes].filter((each) => !['found', 'missing', 'INVALID_INPUT', 'UNSUPPORTED'].includes(each)),
      ).toEqual([])
      expect(outcomes.has('INVALID_INPUT')).toBe(true)
    }
  })
})
