import { readFile } from 'node:fs/promises'

import { buildFile, cidOf, DAG_CBOR, encodeDagCbor, RAW, type Block, type ProfileName } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { bytesOf, collect, directoryOf, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024

async function blocksOf(bytes: Uint8Array, profile: ProfileName): Promise<{ root: Block; all: Block[] }> {
  const all: Block[] = []
  await buildFile([bytes], {
    profile,
    onBlock: ({ cid, bytes: block }) => void all.push({ cid, bytes: block.slice() }),
  })
  const root = all.at(-1)
  if (!root) throw new Error('no blocks')
  return { root, all }
}

it.each(['unixfs-v1-2025', 'unixfs-v0-2015'] as const)(
  'a file that came block by block is read, and gets a path: %s',
  async (profile) => {
    const bytes = someBytes(2 * MIB + 9)
    const { root, all } = await blocksOf(bytes, profile)
    const { store } = await openTemp()
    for (const { cid, bytes: block } of all.slice(1)) await store.blocks.put(cid, block)
    expect(await store.has(root.cid)).toBe(false)
    const [first] = all
    if (!first) throw new Error('no blocks')
    await expect(store.pin(root.cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: first.cid })
    await expect(store.getPath(root.cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await store.blocks.put(first.cid, first.bytes)
    await store.pin(root.cid)
    expect(isSame(await bytesOf(store.cat(root.cid, { offset: 5, length: MIB })), bytes.subarray(5, MIB + 5))).toBe(
      true,
    )
    expect(isSame(await readFile(await store.getPath(root.cid)), bytes)).toBe(true)
    expect(await collect(store.roots())).toMatchObject([
      { cid: root.cid, type: 'file', size: bytes.length, pinned: true },
    ])
  },
)

it('gives each block of a whole file as it is', async () => {
  const bytes = someBytes(2 * MIB + 9)
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const) {
    const { all, root } = await blocksOf(bytes, profile)
    const { store, directory } = await openTemp()
    expect((await store.add(bytes, { profile })).cid).toEqual(root.cid)
    for (const opened of [store, await openFsStore({ directory })]) {
      for (const { cid, bytes: block } of all) {
        expect(isSame(await opened.blocks.get(cid), block)).toBe(true)
        await opened.blocks.delete(cid)
      }
    }
    const listed = (await collect(store.blocks.list())).map(String)
    expect(listed.toSorted()).toEqual([...new Set(all.map(({ cid }) => cid.toV1().toString()))].toSorted())
  }
})

it('notices files that another process added or removed', async () => {
  const { store, directory } = await openTemp()
  const other = await openFsStore({ directory })
  const bytes = someBytes(2 * MIB)
  const leaf = await cidOf(RAW, bytes.subarray(MIB))
  expect(await other.blocks.has(leaf)).toBe(false)
  const { cid } = await store.add(bytes)
  expect(await other.blocks.has(leaf)).toBe(true)
  await store.remove(cid)
  expect(await other.blocks.has(leaf)).toBe(false)
  await expect(other.blocks.get(leaf)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: leaf })
  const two = await store.add(directoryOf({ again: someBytes(1), bytes }))
  expect(isSame(await other.blocks.get(leaf), bytes.subarray(MIB))).toBe(true)
  expect(await other.has(two.cid)).toBe(true)
})

it('keeps other codecs and inline blocks, and refuses what does not match', async () => {
  const { store } = await openTemp()
  const manifest = await encodeDagCbor({ hello: ['world'] })
  await store.blocks.put(manifest.cid, manifest.bytes)
  expect(manifest.cid.code).toBe(DAG_CBOR)
  expect(await store.blocks.get(manifest.cid)).toEqual(manifest.bytes)
  await store.pin(manifest.cid)
  expect(await collect(store.pins())).toMatchObject([{ cid: manifest.cid }])
  await store.gc()
  expect(await store.blocks.has(manifest.cid)).toBe(true)
  await store.unpin(manifest.cid)
  expect(await store.gc()).toMatchObject({ blocks: 1 })
  await expect(store.blocks.put(manifest.cid, someBytes(3))).rejects.toMatchObject({ code: 'INTEGRITY' })
  expect(await store.blocks.has(manifest.cid)).toBe(false)
})

it('a block put on its own stays when the file that has it too is removed', async () => {
  const { store } = await openTemp()
  const bytes = someBytes(MIB + 1)
  const { cid } = await store.add(bytes)
  const leaf = await cidOf(RAW, bytes.subarray(0, MIB))
  await store.blocks.put(leaf, bytes.subarray(0, MIB))
  await store.remove(cid)
  expect(await store.blocks.has(leaf)).toBe(true)
})
