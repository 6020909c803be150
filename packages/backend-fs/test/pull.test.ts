import { createHash } from 'node:crypto'
import { chmod, open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { buildDirectory, buildFile, CID, createOutboard, DAG_PB, outboardBlocks, type FileLeaf } from '@x/cid'
import {
  BackendError,
  openMemoryStore,
  pull,
  type BlockSource,
  type ContentStore,
  type FileSource,
} from '@x/storage-core'
import { withVerifiedLeaves } from '@x/storage-core/backend'
import { describe, expect, it, onTestFinished } from 'vitest'

import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

async function openOrigin(): Promise<ContentStore> {
  const origin = await openMemoryStore()
  onTestFinished(() => origin.close())
  return origin
}

/** Files of the store that hold content: whole files, packs and loose blocks. */
const contentFiles = async (directory: string): Promise<string[]> =>
  (await filesBelow(directory)).filter((path) => !/index\.sqlite|journal|format|lock|lease/.test(path))

async function contentBytes(directory: string): Promise<number> {
  const sizes = await Promise.all((await contentFiles(directory)).map(async (path) => (await stat(path)).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

it.each(['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const)(
  'keeps the files of a tree under %s whole',
  async (profile) => {
    const origin = await openOrigin()
    const { store, directory } = await openTemp()
    const files = { 'big.bin': someBytes(3_000_000), 'small.txt': someBytes(50, 'small') }
    const { cid } = await origin.add(directoryOf(files), { profile })
    await pull(store, origin, cid, { name: 'pulled' })
    expect(await collect(store.roots())).toMatchObject([{ cid, pinned: true, names: ['pulled'], size: 3_000_050 }])
    const path = await store.getPath(cid)
    for (const [name, bytes] of Object.entries(files))
      expect(isSame(await readFile(join(path, name)), bytes)).toBe(true)
    // No file for each leaf, and no second copy: what it has more than an added tree is nothing.
    const { store: added, directory: addedTo } = await openTemp()
    await added.add(directoryOf(files), { profile })
    await added.getPath(cid)
    expect((await contentFiles(directory)).length).toBe((await contentFiles(addedTo)).length)
    expect(await contentBytes(directory)).toBeLessThan(1.1 * (await contentBytes(addedTo)))
  },
)

/** A file that no profile would build. */
async function putOddFile(origin: ContentStore, bytes: Uint8Array, chunkBytes = 100_000): Promise<CID> {
  const leaves = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  )
  const digests = Buffer.concat(leaves.map((leaf) => createHash('sha256').update(leaf).digest()))
  const shape = { cidVersion: 1, rawLeaves: true, chunkBytes, maxLinks: 4 } as const
  const outboard = await createOutboard(shape, bytes.length, digests)
  const get = outboardBlocks(outboard, async (offset, length) => bytes.subarray(offset, offset + length))
  for (let index = 0; index < outboard.leafCount; index++) {
    const { cid } = outboard.leaf(index)
    await origin.blocks.put(cid, await get(cid, {}))
  }
  for (const key of outboard.nodes.keys()) {
    await origin.blocks.put(CID.parse(key), outboard.nodes.get(key) ?? new Uint8Array())
  }
  return outboard.root
}

it('takes a file that no profile makes block by block, and has a path for it', async () => {
  const origin = await openOrigin()
  const { store } = await openTemp()
  const bytes = someBytes(1_234_567)
  const cid = await putOddFile(origin, bytes)
  const { blocks } = await pull(store, origin, cid)
  expect(blocks).toBeGreaterThan(13)
  expect(isSame(await bytesOf(store.cat(cid)), bytes)).toBe(true)
  expect(isSame(await readFile(await store.getPath(cid)), bytes)).toBe(true)
  expect(await collect(store.roots())).toMatchObject([{ cid, pinned: true }])
})

it('fetches nothing twice of a file that no profile makes', async () => {
  const origin = await openOrigin()
  const { store } = await openTemp()
  const bytes = someBytes(6_000_000)
  const { fetched } = await pull(store, origin, await putOddFile(origin, bytes, 500_000))
  expect(fetched).toBeGreaterThan(bytes.length)
  expect(fetched).toBeLessThan(bytes.length + 10_000)
})

it('does not write out a directory that links to itself twice on each of its levels', async () => {
  const origin = await openOrigin()
  const { store, directory } = await openTemp()
  let { cid } = await origin.add(someBytes(100))
  let dagBytes = 100
  for (let level = 0; level < 40; level++) {
    const links = ['a', 'b'].map((name) => ({ name, cid, dagBytes }))
    const built = await buildDirectory(links, { onBlock: async (block) => origin.blocks.put(block.cid, block.bytes) })
    cid = built.cid
    dagBytes = 100
  }
  const { blocks } = await pull(store, origin, cid)
  expect(blocks).toBeLessThanOrEqual(2 * 41)
  expect(await store.has(cid)).toBe(true)
  expect(await contentBytes(directory)).toBeLessThan(2_000_000)
})

it('does not write out a file of few blocks that says it is large', async () => {
  const origin = await openOrigin()
  const { store, directory } = await openTemp()
  // All leaves and all nodes above them are one block each.
  const { cid } = await origin.add(new Uint8Array(600_000_000), { profile: 'unixfs-v0-2015' })
  await pull(store, origin, cid)
  expect(await contentBytes(directory)).toBeLessThan(3_000_000)
  expect(await bytesOf(store.cat(cid, { offset: 599_999_990, length: 20 }))).toEqual(new Uint8Array(10))
})

it('is not misled by a tree that begins like a profile', async () => {
  const origin = await openOrigin()
  const { store } = await openTemp()
  const [a, b] = [someBytes(2_500_000, 'a'), someBytes(700_000, 'b')]
  const first = await origin.add(a)
  const second = await origin.add(b, { profile: 'kubo-v1' })
  const { cid } = await buildDirectory(
    [
      { name: 'a', cid: first.cid, dagBytes: a.length },
      { name: 'b', cid: second.cid, dagBytes: b.length },
    ],
    { onBlock: async (block) => origin.blocks.put(block.cid, block.bytes) },
  )
  await pull(store, origin, cid)
  expect(isSame(await bytesOf(store.cat(cid, { path: 'a' })), a)).toBe(true)
  expect(isSame(await bytesOf(store.cat(cid, { path: 'b' })), b)).toBe(true)
  expect((await collect(store.roots())).map((root) => root.cid.toString())).toEqual([cid.toString()])
})

it('fetches what is held but damaged', async () => {
  const origin = await openOrigin()
  const { store, directory } = await openTemp()
  const bytes = someBytes(3_000_000)
  const { cid: file } = await store.add(bytes)
  const { cid } = await origin.add(directoryOf({ bytes }))
  const [path] = (await filesBelow(directory)).filter((name) => name.endsWith('.bin'))
  if (!path) throw new Error('there is no file to damage')
  await chmod(path, 0o644)
  const handle = await open(path, 'r+')
  await handle.write(Uint8Array.of(1, 2, 3), 0, 3, 1_500_000)
  await handle.close()
  const { fetched } = await pull(store, origin, cid)
  expect(fetched).toBeGreaterThan(1_000_000)
  expect(await store.verify(cid)).toBeGreaterThanOrEqual(bytes.length)
  expect(isSame(await bytesOf(store.cat(cid, { path: 'bytes' })), bytes)).toBe(true)
  expect(isSame(await bytesOf(store.cat(file)), bytes)).toBe(true)
})

it('leaves nothing of a source that fails in the middle', async () => {
  const origin = await openOrigin()
  const { store, directory } = await openTemp()
  const { cid } = await origin.add(directoryOf({ big: someBytes(9_000_000), last: someBytes(10) }))
  const before = await contentFiles(directory)
  let left = 6
  const { blocks } = origin
  const failing: BlockSource = {
    name: 'failing',
    has: (wanted, options) => blocks.has(wanted, options),
    get: async (wanted, options) => {
      if (left-- === 0) throw new BackendError('failing: the other side went away', { retryable: true })
      return blocks.get(wanted, options)
    },
    close: async () => undefined,
  }
  await expect(pull(store, { blocks: failing }, cid, { name: 'n' })).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await collect(store.roots())).toEqual([])
  expect(await store.names.get('n')).toBeUndefined()
  expect(await contentFiles(directory)).toEqual(before)
  // Goes well the next time.
  await pull(store, origin, cid)
  expect(await store.has(cid)).toBe(true)
})

it.each([1_500_000, 100])(
  'refuses what a source of somebody else gives that does not check: %d bytes',
  async (size) => {
    const origin = await openOrigin()
    const { store } = await openTemp()
    const { cid } = await origin.add(directoryOf({ 'weights.bin': someBytes(size) }))
    const careless: BlockSource = {
      ...origin.blocks,
      async get(wanted, options) {
        const bytes = await origin.blocks.get(wanted, options)
        return wanted.code === DAG_PB ? bytes : bytes.with(50, (bytes[50] ?? 0) ^ 1)
      },
    }
    await expect(pull(store, { blocks: careless }, cid)).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await collect(store.roots())).toEqual([])
  },
)

describe('leaves that were checked', () => {
  const bytes = someBytes(2 * 1_048_576 + 5)
  const leavesOf = async (): Promise<FileLeaf[]> => {
    const leaves: FileLeaf[] = []
    await buildFile([bytes], {
      onBlock: ({ cid, bytes: leaf, kind }) => void (kind === 'leaf' && leaves.push({ cid, bytes: leaf.slice() })),
    })
    return leaves
  }

  /** @param open - Is not to be asked. */
  const sourceOf = (leaves: readonly FileLeaf[]): FileSource =>
    withVerifiedLeaves(
      {
        type: 'file',
        size: bytes.length,
        open: () => {
          throw new Error('read as bytes')
        },
      },
      async function* each() {
        yield* leaves
      },
    )

  it('are kept by their digests', async () => {
    const { store } = await openTemp()
    const { cid } = await store.add(sourceOf(await leavesOf()))
    expect(cid).toEqual((await buildFile([bytes])).cid)
    expect(isSame(await bytesOf(store.cat(cid)), bytes)).toBe(true)
    await store.verify(cid)
  })

  it('are hashed where another profile is asked for', async () => {
    const { store } = await openTemp()
    await expect(store.add(sourceOf(await leavesOf()), { profile: 'kubo-v1' })).rejects.toThrow('read as bytes')
  })

  it.each<[string, (leaves: FileLeaf[]) => FileLeaf[]]>([
    ['in another order', ([a, b, c]) => [b, c, a].filter((leaf) => leaf !== undefined)],
    ['cut otherwise', (leaves) => leaves.map(({ cid }) => ({ cid, bytes: someBytes(700_000) }))],
    [
      'of a wrapping codec',
      (leaves) => leaves.map((leaf) => ({ ...leaf, cid: CID.createV1(DAG_PB, leaf.cid.multihash) })),
    ],
    ['fewer than expected', (leaves) => leaves.slice(0, 2)],
  ])('are refused %s, and leave nothing', async (_, change) => {
    const { store } = await openTemp()
    const { cid: expected } = await buildFile([bytes])
    const added = store.add(sourceOf(change(await leavesOf())), { expected })
    await expect(added).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await collect(store.roots())).toEqual([])
    expect(await store.has(expected)).toBe(false)
  })
})
