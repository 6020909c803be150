import { CID, cidOf, DAG_PB, encodeDagCbor, RAW, readOutboard, verifyLeaf, type ProfileName } from '@x/cid'
import { importer } from 'ipfs-unixfs-importer'
import { describe, expect, it } from 'vitest'

import type { BlockSource } from '../src/block-source.ts'
import type { Blockstore } from '../src/blockstore.ts'
import { concat, directoryOf, sampleBytes } from '../src/conformance/sample.ts'
import { exportStatic, type StaticTarget } from '../src/export-static.ts'
import { openMemoryStore } from '../src/memory-store.ts'
import { staticBlockPath, staticDataPath, staticOutboardPath, STATIC_VERSION_PATH } from '../src/static-layout.ts'
import { toInterfaceBlockstore } from '../src/to-interface-blockstore.ts'

/** Objects in memory, and the order in which they were made. */
function createTarget({ failAt }: { failAt?: number } = {}): StaticTarget & { objects: Map<string, Uint8Array> } {
  const objects = new Map<string, Uint8Array>()
  let puts = 0
  return {
    objects,
    has: async (path) => objects.has(path),
    async put(path, bytes) {
      const whole = await concat(bytes)
      if (puts++ === failAt) throw new Error('the disk is full')
      objects.set(path, whole)
    },
    read: async (path) => objects.get(path) ?? new Uint8Array(),
  }
}

const big = sampleBytes(61, 2_500_000)
const small = sampleBytes(62, 1000)
const tree = () =>
  directoryOf({
    'a.txt': small,
    'big.bin': big,
    empty: {},
    'empty.txt': new Uint8Array(),
    link: 'a.txt',
    sub: { 'again.bin': big },
  })

describe.each<ProfileName>(['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'])('a tree under %s', (profile) => {
  it('has its files whole, each with an outboard that proves it', async () => {
    const store = await openMemoryStore()
    const { cid } = await store.add(tree(), { profile })
    const target = createTarget()
    const result = await exportStatic(store, cid, target)
    expect(result).toMatchObject({ cid, objects: target.objects.size })
    for (const [path, expected] of [
      ['a.txt', small],
      ['big.bin', big],
      ['empty.txt', new Uint8Array()],
    ] as const) {
      const { cid: file } = await store.stat(cid, { path })
      const data = target.objects.get(staticDataPath(file))
      expect(data && Buffer.compare(data, expected)).toBe(0)
      const encoded = target.objects.get(staticOutboardPath(file))
      expect(encoded === undefined).toBe(file.code === RAW)
      if (!encoded || !data) continue
      const outboard = await readOutboard(file, encoded)
      expect(outboard.shape).toBeDefined()
      for (let index = 0; index < outboard.leafCount; index++) {
        const { offset, length } = outboard.leaf(index)
        await verifyLeaf(outboard, index, data.subarray(offset, offset + length))
      }
    }
    for (const path of ['', 'sub', 'empty', 'link']) {
      const { cid: block } = await store.stat(cid, { path })
      expect(target.objects.get(staticBlockPath(block))).toEqual(await store.blocks.get(block))
    }
    // The same file is there once, and nothing else is there.
    expect(target.objects.size).toBe(1 + 4 + (cid.version === 0 ? 6 : 4))
    for (const path of target.objects.keys())
      expect(path).toMatch(/^(roots\/b[a-z2-7]+\/(data|outboard)|blocks\/b[a-z2-7]+|[a-z.-]+)$/)
  })

  it('shows nothing before all below it is there, wherever it stops, and goes on from there', async () => {
    const store = await openMemoryStore()
    const { cid } = await store.add(tree(), { profile })
    const whole = createTarget()
    const { objects } = await exportStatic(store, cid, whole)
    const order = [...whole.objects.keys()]
    expect(order[0]).toBe(STATIC_VERSION_PATH)
    expect(order.at(-1)).toBe(staticBlockPath(cid))
    for (const path of order.filter((each) => each.endsWith('outboard'))) {
      expect(order.indexOf(path.replace('outboard', 'data'))).toBeLessThan(order.indexOf(path))
    }
    for (let failAt = 0; failAt < objects; failAt++) {
      const target = createTarget({ failAt })
      await expect(exportStatic(store, cid, target)).rejects.toThrow('the disk is full')
      expect([...target.objects.keys()]).toEqual(order.slice(0, failAt))
      const rest = await exportStatic(store, cid, target)
      expect(rest.objects).toBeLessThanOrEqual(objects - failAt + 1)
      expect([...target.objects.keys()].toSorted()).toEqual(order.toSorted())
    }
  })

  it('is not written again', async () => {
    const store = await openMemoryStore()
    const { cid } = await store.add(tree(), { profile })
    const target = createTarget()
    await exportStatic(store, cid, target)
    expect(await exportStatic(store, cid, target)).toEqual({ cid, objects: 0, bytes: 0 })
    const more = await store.add(directoryOf({ 'big.bin': big, 'new.txt': sampleBytes(63, 10) }), { profile })
    // The new file (with an outboard when it is wrapped), and the directory.
    expect((await exportStatic(store, more.cid, target)).objects).toBe(cid.version === 0 ? 3 : 2)
  })
})

it('writes a file of no profile with all its nodes', async () => {
  const store = await openMemoryStore()
  const target = createTarget()
  const built = importer([{ path: 'file', content: [big] }], toInterfaceBlockstore(store.blocks), {
    // Three links a node.
    layout: async (source, reduce) => {
      let level = []
      for await (const leaf of source) level.push(leaf)
      while (level.length > 1) {
        const above = []
        for (let at = 0; at < level.length; at += 3) above.push(await reduce(level.slice(at, at + 3)))
        level = above
      }
      return reduce(level)
    },
  })
  for await (const entry of built) {
    const file = CID.decode(entry.cid.bytes)
    await exportStatic(store, file, target)
    const encoded = target.objects.get(staticOutboardPath(file))
    const outboard = encoded && (await readOutboard(file, encoded))
    expect(outboard).toMatchObject({ shape: undefined, fileBytes: big.length })
  }
})

it('writes a file that has no outboard as blocks', async () => {
  const store = await openMemoryStore()
  const target = createTarget()
  // The mode stands in the one leaf.
  const built = importer([{ path: 'file', content: [small], mode: 0o755 }], toInterfaceBlockstore(store.blocks), {
    rawLeaves: false,
  })
  for await (const entry of built) {
    const file = CID.decode(entry.cid.bytes)
    await exportStatic(store, file, target)
    expect([...target.objects.keys()]).toEqual([STATIC_VERSION_PATH, staticBlockPath(file)])
  }
})

it('writes a block that is no UnixFS, and what is in a CID itself not at all', async () => {
  const store = await openMemoryStore()
  const target = createTarget()
  const { cid, bytes } = await encodeDagCbor({ a: 1 })
  await store.blocks.put(cid, bytes)
  await exportStatic(store, cid, target)
  expect(target.objects.get(staticBlockPath(cid))).toEqual(bytes)
  const inline = CID.decode(Uint8Array.of(1, RAW, 0, 2, 104, 105))
  expect((await exportStatic(store, inline, target)).objects).toBe(0)
})

it('stops with signal.reason, and says what is missing', async () => {
  const store = await openMemoryStore()
  const { cid } = await store.add(tree())
  const target = createTarget()
  const caller = new AbortController()
  const reason = new Error('the caller gave up')
  const stopped = exportStatic(store, cid, target, {
    signal: caller.signal,
    onProgress: (written) => written > 1_000_000 && caller.abort(reason),
  })
  await expect(stopped).rejects.toBe(reason)
  expect(target.objects.has(staticBlockPath(cid))).toBe(false)
  const [empty, untouched] = [await openMemoryStore(), createTarget()]
  await expect(exportStatic(empty, cid, untouched)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  expect([...untouched.objects.keys()]).toEqual([])
})

it.each([
  ['hi', /is not JSON/],
  ['null', /is of something else/],
  ['{"format":"ipfs-accelerate-static","version":2}', /is of version 2; 1 is known here/],
])('adds nothing to a folder whose version is %s', async (version, message) => {
  const store = await openMemoryStore()
  const { cid } = await store.add(small)
  const target = createTarget()
  target.objects.set(STATIC_VERSION_PATH, new TextEncoder().encode(version))
  const refused = exportStatic(store, cid, target)
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringMatching(message) })
  expect(target.objects.size).toBe(1)
})

it('writes what dag-cbor links to before it, and refuses a codec whose links are not known', async () => {
  const store = await openMemoryStore()
  const target = createTarget()
  const { cid: file } = await store.add(small)
  const inner = await encodeDagCbor({ file })
  const outer = await encodeDagCbor([inner.cid])
  for (const { cid, bytes } of [inner, outer]) await store.blocks.put(cid, bytes)
  await exportStatic(store, outer.cid, target)
  expect([...target.objects.keys()].slice(1)).toEqual([
    staticDataPath(file),
    staticBlockPath(inner.cid),
    staticBlockPath(outer.cid),
  ])
  const foreign = await cidOf(0x0129, small)
  await store.blocks.put(foreign, small)
  await expect(exportStatic(store, foreign, target)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(target.objects.has(staticBlockPath(foreign))).toBe(false)
})

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varint(Math.floor(value / 0x80))]
}

/** By hand: no library writes what is wrong. */
async function putNode(blocks: Blockstore, links: [CID, number][]): Promise<CID> {
  const data = [8, 2, ...links.flatMap(([, fileBytes]) => [0x20, ...varint(fileBytes)])]
  const linkParts = links.map(([{ bytes }]) => [0x0a, bytes.length, ...bytes, 0x12, 0, 0x18, 1])
  const encoded = linkParts.flatMap((link) => [0x12, link.length, ...link])
  const bytes = Uint8Array.from([...encoded, 0x0a, ...varint(data.length), ...data])
  const cid = await cidOf(DAG_PB, bytes)
  await blocks.put(cid, bytes)
  return cid
}

async function putRaw(blocks: Blockstore, bytes: Uint8Array): Promise<CID> {
  const cid = await cidOf(RAW, bytes)
  await blocks.put(cid, bytes)
  return cid
}

/** Fails where a reader goes on for ever. */
function counted(blocks: Blockstore): { blocks: BlockSource; reads: () => number } {
  let reads = 0
  const get: BlockSource['get'] = (cid, options) => {
    reads += 1
    if (reads > 5000) throw new Error('it reads on and on')
    return blocks.get(cid, options)
  }
  const source: BlockSource = { name: 'counted', get, has: (...given) => blocks.has(...given), close: async () => {} }
  return { blocks: source, reads: () => reads }
}

const times = (cid: CID, fileBytes: number): [CID, number][] => Array.from({ length: 1000 }, () => [cid, fileBytes])

describe('a file whose nodes contradict each other', () => {
  it('is refused at the first block that has other bytes than its parent says', async () => {
    const { blocks } = await openMemoryStore()
    const target = createTarget()
    const empty = await putRaw(blocks, new Uint8Array())
    const low = await putNode(blocks, times(empty, 9e6))
    const middle = await putNode(blocks, times(low, 9e9))
    const root = await putNode(blocks, times(middle, 9e12))
    const source = counted(blocks)
    await expect(exportStatic(source, root, target)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    // And those that are asked for before their turn.
    expect(source.reads()).toBeLessThan(20)
    expect([...target.objects.keys()]).toEqual([STATIC_VERSION_PATH])
  })

  it('leaves no data of a file whose leaf is shorter than its parent says', async () => {
    const { blocks } = await openMemoryStore()
    const target = createTarget()
    const root = await putNode(blocks, [
      [await putRaw(blocks, small), small.length],
      [await putRaw(blocks, small), small.length + 1],
    ])
    await expect(exportStatic({ blocks }, root, target)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect([...target.objects.keys()]).toEqual([STATIC_VERSION_PATH])
  })

  it('is written as blocks where it has empty parts, each read once or twice', async () => {
    const { blocks } = await openMemoryStore()
    const target = createTarget()
    const empty = await putRaw(blocks, new Uint8Array())
    const low = await putNode(blocks, times(empty, 0))
    const middle = await putNode(blocks, times(low, 0))
    const last = await putRaw(blocks, small)
    const root = await putNode(blocks, [...times(middle, 0), [last, 9e15]])
    const source = counted(blocks)
    await exportStatic(source, root, target)
    expect(source.reads()).toBeLessThan(30)
    expect([...target.objects.keys()].slice(1)).toEqual([empty, low, middle, last, root].map(staticBlockPath))
  })

  it('leaves no data where no outboard can be made', async () => {
    const { blocks } = await openMemoryStore()
    const target = createTarget()
    const leaf = await putRaw(blocks, small)
    let root = leaf
    // Deeper than an outboard goes.
    for (let level = 0; level < 70; level++) root = await putNode(blocks, [[root, small.length]])
    await exportStatic({ blocks }, root, target)
    expect([...target.objects.keys()].filter((path) => path.startsWith('roots/'))).toEqual([])
    expect(target.objects.size).toBe(1 + 70 + 1)
  })

  it('gives timers their turn', async () => {
    const { blocks } = await openMemoryStore()
    const target = createTarget()
    const leaf = await putRaw(blocks, small)
    const root = await putNode(blocks, times(leaf, small.length))
    const source = counted(blocks)
    let readAtTimer: number | undefined
    setTimeout(() => (readAtTimer = source.reads()))
    await exportStatic(source, root, target)
    expect(readAtTimer).toBeLessThan(1000)
    expect(target.objects.get(staticDataPath(root))?.length).toBe(1000 * small.length)
  })
})
