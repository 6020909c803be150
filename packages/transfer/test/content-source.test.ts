import {
  cidOf,
  createOutboard,
  DAG_PB,
  outboardBlocks,
  PROFILES,
  RAW,
  readOutboard,
  type CID,
  type ProfileName,
} from '@x/cid'
import { createContentStore, createMemoryRecords, openMemoryBlockstore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { contentByteSource, download } from '../src/index.ts'
import { holds, isSame, MIB, openTemp, quick, sha256, someBytes } from './support.ts'

const KIB = 1024

it.each<[ProfileName, number]>([
  ['unixfs-v1-2025', 3 * MIB + 1],
  ['kubo-v1', MIB + 1],
  ['kubo-v1', 2 * MIB],
  // The last node has one leaf, and a leaf is as long as what is below a node may be.
  ['unixfs-v0-2015', 175 * 256 * KIB],
  ['unixfs-v0-2015', 2 * MIB],
  ['unixfs-v0-2015', 100],
])('a store gives outboard and bytes of a file under %s, of %d bytes', async (profile, size) => {
  const blocks = await openMemoryBlockstore()
  let fetched = 0
  const get: typeof blocks.get = async (...args) => {
    const block = await blocks.get(...args)
    fetched += block.length
    return block
  }
  const held = createContentStore({ name: 'held', blocks: { ...blocks, get }, records: createMemoryRecords() })
  const bytes = someBytes(size)
  const { cid } = await held.add(bytes, { profile })
  const { store, partials } = await openTemp()
  const source = contentByteSource(held)
  fetched = 0
  await source.outboard?.({ path: 'model', size, root: cid }, {})
  // No leaves, but the first one, and the last of each node.
  expect(fetched).toBeLessThan(1.5 * MIB)
  const { files, receipt } = await download(partials, [{ path: 'model', size, root: cid }], [source], quick)
  expect(files).toMatchObject([{ check: 'each-leaf' }])
  expect(files[0]?.root.equals(cid)).toBe(true)
  expect(receipt.bytes).toBe(size)
  expect(await holds(store, cid, bytes)).toBe(true)
})

it('nodes are asked for several at a time, and each is told', async () => {
  const bytes = someBytes(100_000)
  const digests = Array.from({ length: 100 }, (_, leaf) => sha256(bytes.subarray(leaf * 1000, (leaf + 1) * 1000)))
  const shape = { ...PROFILES['unixfs-v1-2025'], chunkBytes: 1000, maxLinks: 10 }
  const whole = await createOutboard(shape, bytes.length, Buffer.concat(digests))
  const block = outboardBlocks(whole, async (offset, length) => bytes.slice(offset, offset + length))
  const blocks = await openMemoryBlockstore()
  let [running, most, parts] = [0, 0, 0]
  const get: typeof blocks.get = async (cid) => {
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    return block(cid, {})
  }
  const source = createContentStore({ name: 'slow', blocks: { ...blocks, get }, records: createMemoryRecords() })
  const wanted = { path: 'model', size: bytes.length, root: whole.root }
  const outboard = await contentByteSource(source).outboard?.(wanted, { onPart: () => (parts += 1) })
  const read = await readOutboard(whole.root, outboard ?? new Uint8Array(), { fileBytes: bytes.length })
  expect(read.leafCount).toBe(100)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(8)
  // Eleven, and two of them once more, to find out how deep the leaves lie.
  expect(parts).toBe(13)
})

/** Protobuf. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}
const field = (tag: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(tag, ...varint(bytes.length)), bytes])

/** A UnixFS file of one node over raw leaves, whatever their lengths. */
function fileNode(leaves: readonly { cid: CID; length: number }[]): Uint8Array {
  const size = leaves.reduce((sum, { length }) => sum + length, 0)
  const sizes = leaves.flatMap(({ length }) => [0x20, ...varint(length)])
  const links = leaves.map(({ cid, length }) =>
    field(
      0x12,
      Buffer.concat([field(0x0a, cid.bytes), field(0x12, new Uint8Array()), Uint8Array.of(0x18, ...varint(length))]),
    ),
  )
  return new Uint8Array(Buffer.concat([...links, field(0x0a, Uint8Array.of(0x08, 2, 0x18, ...varint(size), ...sizes))]))
}

it('a DAG of another shape comes as it is', async () => {
  const bytes = someBytes(3 * MIB)
  const blocks = await openMemoryBlockstore()
  const leaves: { cid: CID; length: number }[] = []
  let at = 0
  for (const length of [700_001, 1, 300_000, 1_000_000, 5, 1_048_576, bytes.length - 3_048_583]) {
    const leaf = bytes.slice(at, at + length)
    const cid = await cidOf(RAW, leaf)
    await blocks.put(cid, leaf)
    leaves.push({ cid, length })
    at += length
  }
  const node = fileNode(leaves)
  const root = await cidOf(DAG_PB, node)
  await blocks.put(root, node)
  const held = createContentStore({ name: 'held', blocks, records: createMemoryRecords() })
  const { store, partials } = await openTemp()
  const wanted = { path: 'model', size: bytes.length, root }
  const { files } = await download(partials, [wanted], [contentByteSource(held)], quick)
  expect(files).toMatchObject([{ check: 'each-leaf' }])
  expect(files[0]?.root.equals(root)).toBe(true)
  expect(await holds(store, root, bytes)).toBe(true)
  for (const { cid } of [...leaves, { cid: root }]) {
    expect(isSame(await store.blocks.get(cid), await blocks.get(cid))).toBe(true)
  }
})
