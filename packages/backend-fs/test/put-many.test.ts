import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { buildFile, cidOf, RAW, type Block } from '@x/cid'
import { exportCar, importCar, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openFsStore, pathSource, type FsStore } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024

/** One after another, made when they are asked for. */
async function* blocksOf(count: number, seed: string, length = MIB): AsyncGenerator<Block> {
  for (let index = 0; index < count; index++) {
    const bytes = someBytes(length, `${seed} ${index}`)
    yield { cid: await cidOf(RAW, bytes), bytes }
  }
}

function putManyOf({ blocks }: FsStore): NonNullable<FsStore['blocks']['putMany']> {
  if (!blocks.putMany) throw new Error('no putMany')
  return blocks.putMany.bind(blocks)
}

const packsOf = (directory: string): Promise<string[]> => filesBelow(layoutOf(directory).packs)

it('puts blocks into packs of limited size, where they last', async () => {
  const { store, directory } = await openTemp()
  expect(await putManyOf(store)(blocksOf(150, 'many'))).toBe(150)
  expect(await filesBelow(layoutOf(directory).blocks)).toEqual([])
  const sizes = await Promise.all((await packsOf(directory)).map(async (path) => (await stat(path)).size))
  expect(sizes).toHaveLength(3)
  for (const size of sizes) expect(size).toBeLessThanOrEqual(66 * MIB)
  await store.close()
  const again = await openFsStore({ directory })
  for (const look of ['as it is', 'rebuilt']) {
    if (look === 'rebuilt') await again.rebuild()
    for await (const { cid, bytes } of blocksOf(150, 'many')) {
      expect(isSame(await again.blocks.get(cid), bytes)).toBe(true)
    }
  }
  expect(await again.gc()).toMatchObject({ blocks: 150 })
  expect(await packsOf(directory)).toEqual([])
  await again.close()
})

it('is found again by an index that a power cut has taken back', async () => {
  const { store, directory } = await openTemp()
  await store.add(someBytes(300))
  await store.close()
  const layout = layoutOf(directory)
  const before = await readFile(layout.index)
  const again = await openFsStore({ directory })
  await putManyOf(again)(blocksOf(3, 'some'))
  await again.close()
  await writeFile(layout.index, before)
  for (const end of ['-wal', '-shm']) await rm(`${layout.index}${end}`, { force: true })
  const found = await openFsStore({ directory })
  for await (const { cid, bytes } of blocksOf(3, 'some')) expect(isSame(await found.blocks.get(cid), bytes)).toBe(true)
  await found.close()
})

it('writes nothing that is held and sound', async () => {
  const { store, directory } = await openTemp()
  const source = directoryOf({ large: someBytes(5 * MIB + 3), small: someBytes(300, 'small') })
  const { cid } = await store.add(source, { profile: 'kubo-v1' })
  const car = await bytesOf(exportCar(store, cid))
  const [loose] = await collect(blocksOf(1, 'loose', 900))
  if (!loose) throw new Error('no block')
  await store.blocks.put(loose.cid, loose.bytes)
  const before = await filesBelow(directory)
  await importCar(store, [car])
  await putManyOf(store)([loose])
  expect(await filesBelow(directory)).toEqual(before)
})

it('does not rely on a file that was left where the user has it', async () => {
  const path = join(await tempDirectory(), 'mine.bin')
  const bytes = someBytes(3 * MIB + 1)
  await writeFile(path, bytes)
  const { store } = await openTemp()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  await importCar(store, exportCar(store, cid))
  await writeFile(path, 'something else')
  for (const block of await fileBlocks(bytes)) expect(isSame(await store.blocks.get(block.cid), block.bytes)).toBe(true)
})

async function fileBlocks(bytes: Uint8Array): Promise<Block[]> {
  const blocks: Block[] = []
  await buildFile([bytes], { onBlock: (block) => void blocks.push({ cid: block.cid, bytes: block.bytes.slice() }) })
  return blocks
}

it('takes a block too large for a pack', async () => {
  const { store, directory } = await openTemp()
  const blocks = await collect(blocksOf(2, 'large', 5 * MIB))
  await putManyOf(store)(blocks)
  expect(await filesBelow(layoutOf(directory).blocks)).toHaveLength(2)
  for (const { cid, bytes } of blocks) expect(isSame(await store.blocks.get(cid), bytes)).toBe(true)
})

it('what it has taken is safe from every collector until it ends, and no longer', async () => {
  const { store, directory } = await openTemp()
  const other = await openFsStore({ directory })
  const loose = await collect(blocksOf(3, 'loose'))
  for (const { cid, bytes } of loose) await store.blocks.put(cid, bytes)
  const file = await store.add(someBytes(3 * MIB, 'file'), { pin: false })
  const packed = await store.add(someBytes(3000, 'packed'), { pin: false })
  const held = [...loose, ...(await fileBlocks(someBytes(3 * MIB, 'file')))]
  held.push({ cid: packed.cid, bytes: someBytes(3000, 'packed') })
  let collections = 0
  async function* source(): AsyncGenerator<Block> {
    yield* held
    // More than one pack, so that some are published.
    yield* blocksOf(70, 'new')
    expect(await store.gc()).toMatchObject({ roots: [file.cid, packed.cid] })
    await other.gc()
    collections++
    yield* blocksOf(1, 'last')
  }
  const all = [...held, ...(await collect(blocksOf(70, 'new')))]
  const onStored = async (): Promise<void> => {
    expect(await other.gc()).toMatchObject({ roots: [], blocks: 0 })
    for (const { cid, bytes } of all) expect(isSame(await other.blocks.get(cid), bytes)).toBe(true)
  }
  await putManyOf(store)(source(), { onStored })
  expect(collections).toBe(1)
  await other.gc()
  expect(await collect(store.blocks.list())).toEqual([])
  expect(await filesBelow(layoutOf(directory).leases)).toEqual([])
  await other.close()
})

async function* failing(): AsyncGenerator<Block> {
  yield* blocksOf(70, 'some')
  throw new Error('the line went dead')
}

it('what an import that fails has stored is freed again, but for what others need', async () => {
  const { store, directory } = await openTemp()
  const before = await store.add(someBytes(MIB, 'before'))
  await expect(putManyOf(store)(failing())).rejects.toThrow('the line went dead')
  expect(await filesBelow(layoutOf(directory).temp)).toEqual([])
  expect(await packsOf(directory)).toEqual([])
  expect(await store.gc()).toMatchObject({ blocks: 0, freedBytes: 0 })
  expect(await store.verify(before.cid)).toBe(MIB)
})

it('what a root relies on by the time the import fails stays', async () => {
  const { store, directory } = await openTemp()
  const failure = new Error('after all')
  const blocks = await collect(blocksOf(3, 'needed'))
  const [needed] = blocks
  if (!needed) throw new Error('no block')
  const onStored = async (): Promise<void> => {
    await store.pin(needed.cid)
    throw failure
  }
  await expect(putManyOf(store)(blocks, { onStored })).rejects.toBe(failure)
  expect(isSame(await store.blocks.get(needed.cid), needed.bytes)).toBe(true)
  expect(await packsOf(directory)).toHaveLength(1)
  expect(await collect(store.blocks.list())).toHaveLength(1)
})

it('stays within the quota', async () => {
  const { store, directory } = await openTemp({ maxBytes: 10 * MIB })
  const kept = await store.add(someBytes(2 * MIB, 'kept'))
  const goes = await store.add(someBytes(4 * MIB, 'goes'), { pin: false })
  await expect(putManyOf(store)(blocksOf(9, 'many'))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await packsOf(directory)).toEqual([])
  await putManyOf(store)(blocksOf(7, 'many'))
  expect([await store.has(kept.cid), await store.has(goes.cid)]).toEqual([true, false])
})

it('a store that is only read takes none', async () => {
  const { directory } = await openTemp()
  const store = await openFsStore({ directory, readOnly: true })
  await expect(putManyOf(store)(blocksOf(1, 'one'))).rejects.toMatchObject({ code: 'BACKEND' })
  await store.close()
})

it('what was imported is read, gets a path, and goes when it is removed', async () => {
  const memory = await openMemoryStore()
  const files = { 'a.bin': someBytes(5 * MIB + 7, 'a'), 'b.txt': someBytes(300, 'b') }
  const { cid } = await memory.add(directoryOf(files), { profile: 'kubo-v1' })
  const { store } = await openTemp()
  await importCar(store, exportCar(memory, cid), { name: 'imported' })
  for (const [name, bytes] of Object.entries(files)) {
    expect(isSame(await bytesOf(store.cat(cid, { path: name })), bytes)).toBe(true)
    expect((await stat(await store.getPath(cid, { path: name }))).size).toBe(bytes.length)
  }
  await store.remove(cid)
  await store.gc()
  expect(await collect(store.blocks.list())).toEqual([])
})
