import { CID, encodeDagCbor, RAW, readOutboard, verifyLeaf, type ProfileName } from '@x/cid'
import { importer } from 'ipfs-unixfs-importer'
import { describe, expect, it } from 'vitest'

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
  const empty = await openMemoryStore()
  await expect(exportStatic(empty, cid, createTarget())).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
})
