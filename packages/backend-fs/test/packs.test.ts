import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'

import { buildDirectory, cidOf, RAW, type Block, type CID } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore, type FsStore } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { BLOCK_ENTRY, encodeEntryHead, WRAPPED_ENTRY } from '../src/packs/pack-format.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

async function blockOf(bytes: Uint8Array): Promise<Block> {
  return { cid: await cidOf(RAW, bytes), bytes }
}

/** The block of a directory of one entry. */
async function folderOf(name: string, { cid, bytes }: Block): Promise<Block> {
  const blocks: Block[] = []
  await buildDirectory([{ name, cid, dagBytes: bytes.length }], { onBlock: (block) => void blocks.push(block) })
  const [block] = blocks
  if (!block) throw new Error('no block')
  return block
}

/** One pack with these blocks, in this order. */
const putPack = (store: FsStore, blocks: Block[]): Promise<number> | undefined => store.blocks.putMany?.(blocks)

/** Makes the head of an entry unreadable, and the index with it. */
async function damageHead(directory: string, { bytes }: Block): Promise<void> {
  const layout = layoutOf(directory)
  const [path = ''] = await filesBelow(layout.packs)
  const pack = await readFile(path)
  pack[pack.indexOf(bytes.subarray(0, 64)) - 42] = 0xff
  await chmod(path, 0o644)
  await writeFile(path, pack)
  await rm(layout.index)
}

it('what a stranger wrote into a block is not believed where the pack is damaged', async () => {
  const { store, directory } = await openTemp()
  const inside = await blockOf(someBytes(200_000, 'inside'))
  const victim = await blockOf(someBytes(1000, 'victim'))
  const folder = await folderOf('a', inside)
  const claim = Buffer.concat([
    encodeEntryHead(WRAPPED_ENTRY, folder.cid, victim.cid.bytes.length),
    victim.cid.bytes,
    someBytes(100),
  ])
  const hostile = await blockOf(Buffer.concat([someBytes(200, 'start'), claim]))
  await putPack(store, [inside, victim, folder, hostile])
  for (const { cid } of [folder, victim]) await store.pin(cid)
  await store.close()
  await damageHead(directory, hostile)
  const again = await openFsStore({ directory })
  expect((await again.stat(folder.cid)).type).toBe('directory')
  await again.gc()
  expect(isSame(await bytesOf(again.cat(folder.cid, { path: 'a' })), inside.bytes)).toBe(true)
  expect(isSame(await again.blocks.get(victim.cid), victim.bytes)).toBe(true)
  await again.close()
})

it('a block that looks like very many entries does not hide those behind it, nor take for ever', async () => {
  const { store, directory } = await openTemp()
  const head = encodeEntryHead(BLOCK_ENTRY, (await blockOf(someBytes(9))).cid, 4_000_000)
  const trap = await blockOf(new Uint8Array(Buffer.concat(Array.from({ length: 90_000 }, () => head))))
  const behind = await blockOf(someBytes(5_000_000, 'behind').subarray(0, 4_000_000))
  const last = await blockOf(someBytes(1000, 'last'))
  await putPack(store, [trap, behind, last])
  await store.close()
  await damageHead(directory, trap)
  const again = await openFsStore({ directory })
  expect(isSame(await again.blocks.get(last.cid), last.bytes)).toBe(true)
  await again.close()
})

it('one that only reads still finds a block in one pack when another that had it too has gone', async () => {
  const { store, directory } = await openTemp()
  const shared = someBytes(1000, 'shared')
  // Each is begun before the other is there.
  const [first, second] = await Promise.all([
    store.add(directoryOf({ shared, own: someBytes(900, 'first') })),
    store.add(directoryOf({ shared, own: someBytes(900, 'second') })),
  ])
  const reader = await openFsStore({ directory, readOnly: true })
  await store.remove(first.cid)
  await store.gc()
  expect(isSame(await bytesOf(reader.cat(second.cid, { path: 'shared' })), shared)).toBe(true)
  await store.remove(second.cid)
  expect(await reader.has(second.cid)).toBe(false)
  await reader.close()
})

it('a damaged pack of which nothing is needed is put away, and counts no longer', async () => {
  const { store, directory } = await openTemp({ maxBytes: 100_000 })
  const { cid } = await store.add(directoryOf({ a: someBytes(40_000, 'a'), b: someBytes(40_000, 'b') }), { pin: false })
  await store.close()
  await damageHead(directory, await blockOf(someBytes(40_000, 'a')))
  const layout = layoutOf(directory)
  const [name = ''] = await readdir(layout.packs)
  const again = await openFsStore({ directory, maxBytes: 100_000 })
  await again.remove(cid)
  expect([await readdir(layout.packs), await readdir(layout.quarantine)]).toEqual([[], [`${name}.bad`]])
  await again.add(someBytes(90_000))
  await again.gc()
  expect(await readdir(layout.quarantine)).toEqual([])
  await again.close()
})

it('what was put twice at a time stays when one of the two fails', async () => {
  const { store } = await openTemp()
  const big = Array.from({ length: 70 }, (_, index) => someBytes(1024 * 1024, `${index}`))
  const blocks = await Promise.all(big.map(blockOf))
  const shared = await blockOf(big[0] ?? new Uint8Array())
  const second = await blockOf(big[1] ?? new Uint8Array())
  const acknowledged: CID[] = []
  async function* failing(): AsyncGenerator<Block> {
    yield* blocks
    // A pack of them is published by now, or will be while the others are put.
    await store.blocks.putMany?.([shared])
    acknowledged.push(shared.cid)
    await store.blocks.put(second.cid, second.bytes)
    acknowledged.push(second.cid)
    throw new Error('the line went dead')
  }
  await expect(store.blocks.putMany?.(failing())).rejects.toThrow('the line went dead')
  expect(acknowledged).toHaveLength(2)
  for (const cid of acknowledged) expect(await store.blocks.has(cid)).toBe(true)
  expect((await collect(store.blocks.list())).length).toBeLessThanOrEqual(2)
})

it('what was put again after damage is found, also where a power cut took the index back to before', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const block = await blockOf(someBytes(1000))
  await putPack(store, [block, await blockOf(someBytes(5000, 'other'))])
  await store.pin(block.cid)
  await store.close()
  const before = await readFile(layout.index)
  const [path = ''] = await filesBelow(layout.packs)
  const pack = await readFile(path)
  pack[pack.indexOf(block.bytes)] = (pack[pack.indexOf(block.bytes)] ?? 0) ^ 1
  await chmod(path, 0o644)
  await writeFile(path, pack)
  const second = await openFsStore({ directory })
  await expect(second.blocks.get(block.cid)).rejects.toMatchObject({ code: 'INTEGRITY' })
  await putPack(second, [block])
  await second.close()
  await writeFile(layout.index, before)
  const third = await openFsStore({ directory })
  expect(isSame(await third.blocks.get(block.cid), block.bytes)).toBe(true)
  await third.close()
})
