import { chmod, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { CID, ProfileName } from '@x/cid'
import { buildSource, toSourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openFsStore, type FsStore } from '../src/index.ts'
import { layoutOf, type Layout } from '../src/layout.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024
const content = someBytes(3 * MIB + 5)

interface Held {
  store: FsStore
  layout: Layout
  cid: CID
  /** What the bytes lie under. */
  key: string
  outboard: string
}

async function heldFile(bytes: Uint8Array = content, profile?: ProfileName): Promise<Held> {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(bytes, { profile })
  const key = (await buildSource(toSourceNode(bytes))).cid.toString()
  const layout = layoutOf(directory)
  return { store, layout, cid, key, outboard: layout.outboardOf(cid.toV1().toString(), key) }
}

async function overwrite(path: string, offset: number, change: (byte: number) => number): Promise<void> {
  await chmod(path, 0o644)
  const handle = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, offset)
    byte[0] = change(byte[0] ?? 0)
    await handle.write(byte, 0, 1, offset)
  } finally {
    await handle.close()
  }
}

const flip = (path: string, offset: number): Promise<void> => overwrite(path, offset, (byte) => byte ^ 1)

/** Every way to read it, in this process and as another one would see it. */
async function expectDamaged(
  { store, layout, cid }: Pick<Held, 'store' | 'layout' | 'cid'>,
  offset: number,
  path?: string,
): Promise<void> {
  const other = await openFsStore({ directory: layout.directory })
  for (const opened of [store, other, store]) {
    for (const read of [
      () => bytesOf(opened.cat(cid, { path })),
      () => opened.verify(cid),
      () => opened.getPath(cid),
      () => opened.pin(cid),
    ]) {
      await expect(read()).rejects.toMatchObject({ code: 'INTEGRITY', offset })
    }
    expect(await opened.has(cid)).toBe(false)
  }
}

const check = { run: expectDamaged }

it.each([
  ['unixfs-v1-2025', MIB],
  ['unixfs-v0-2015', 256 * 1024],
  ['kubo-v1', 256 * 1024],
] as const)(
  'a flipped byte is never handed out and stays known, until the file is added again: %s',
  async (profile, leaf) => {
    const held = await heldFile(content, profile)
    const { store, layout, cid, key } = held
    await flip(layout.fileOf(key), 2 * MIB + 3)
    const yielded: Uint8Array[] = []
    await expect(
      (async () => {
        for await (const piece of store.cat(cid)) yielded.push(piece)
      })(),
    ).rejects.toMatchObject({
      code: 'INTEGRITY',
      offset: Math.floor((2 * MIB + 3) / leaf) * leaf,
      file: '',
      message: expect.stringContaining(layout.fileOf(key)),
    })
    expect(isSame(Buffer.concat(yielded), content.subarray(0, 2 * MIB))).toBe(true)
    await check.run(held, 2 * MIB)
    const kept = (await filesBelow(layout.quarantine)).filter((path) => path.endsWith('.bad'))
    expect(kept).toHaveLength(1)
    expect((await readFile(kept[0] ?? '')).length).toBe(content.length)

    expect((await store.add(content, { profile })).cid).toEqual(cid)
    expect(isSame(await bytesOf(store.cat(cid)), content)).toBe(true)
    expect(isSame(await readFile(await store.getPath(cid)), content)).toBe(true)
    await store.gc()
    expect(await filesBelow(layout.quarantine)).toEqual([])
  },
)

it('a range that does not touch the damage is read, one that does is not', async () => {
  const { store, layout, cid, key } = await heldFile()
  await flip(layout.fileOf(key), 2 * MIB)
  expect((await bytesOf(store.cat(cid, { offset: MIB - 1, length: MIB + 1 }))).length).toBe(MIB + 1)
  await expect(bytesOf(store.cat(cid, { offset: 2 * MIB + 500, length: 1 }))).rejects.toMatchObject({
    code: 'INTEGRITY',
  })
})

it.each([
  ['cut short', (path: string) => truncate(path, 2 * MIB + 7), 2 * MIB + 7],
  ['cut to nothing', (path: string) => truncate(path, 0), 0],
  ['too long', (path: string) => writeFile(path, someBytes(5), { flag: 'a' }), content.length],
])('a file that is %s', async (_what, damage, offset) => {
  const held = await heldFile()
  const path = held.layout.fileOf(held.key)
  await chmod(path, 0o644)
  await damage(path)
  await check.run(held, offset)
})

it('a small file in a pack', async () => {
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015'] as const) {
    const bytes = someBytes(100)
    const held = await heldFile(bytes, profile)
    const [pack = ''] = await filesBelow(held.layout.packs)
    await flip(pack, (await readFile(pack)).indexOf(bytes) + 99)
    await check.run(held, 0)
    await held.store.add(bytes, { profile })
    expect(await held.store.verify(held.cid)).toBe(100)
    // The damaged copy still lies in the first pack, and a new index does not believe it either.
    await held.store.rebuild()
    expect(await held.store.verify(held.cid)).toBe(100)
  }
})

it('a file of one block, without an outboard', async () => {
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015'] as const) {
    const held = await heldFile(someBytes(100_000), profile)
    await flip(held.layout.fileOf(held.key), 99)
    await check.run(held, 0)
  }
})

it('a file that was deleted is absent', async () => {
  const { store, layout, cid, key } = await heldFile()
  await rm(layout.fileOf(key))
  await expect(bytesOf(store.cat(cid))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await store.has(cid)).toBe(false)
})

it.each([
  ['flipped', (path: string) => flip(path, 60)],
  ['of another version', (path: string) => flip(path, 4)],
  ['cut short', (path: string) => truncate(path, 100)],
  ['deleted', (path: string) => rm(path)],
])('an outboard that is %s is not believed', async (_what, damage) => {
  const { layout, cid, outboard: path } = await heldFile()
  await chmod(path, 0o644)
  await damage(path)
  const store = await openFsStore({ directory: layout.directory })
  await check.run({ store, layout, cid }, 0)
  await store.add(content)
  expect(await store.verify(cid)).toBe(content.length)
})

it('adding again heals what nobody had noticed', async () => {
  const { store, layout, cid, key } = await heldFile()
  await flip(layout.fileOf(key), MIB + 1)
  await store.add(content)
  expect(await store.verify(cid)).toBe(content.length)
  expect((await filesBelow(layout.quarantine)).filter((path) => path.endsWith('.bad'))).toHaveLength(1)
})

it('a directory names the damaged file by its path, and the others are still read', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const { cid } = await store.add(directoryOf({ 'a.bin': content, 'b.bin': someBytes(9) }))
  const [a] = await collect(store.ls(cid))
  await flip(layout.fileOf(String(a?.cid)), 5)
  for (const read of [
    () => bytesOf(store.cat(cid, { path: 'a.bin' })),
    () => store.verify(cid),
    () => store.getPath(cid),
    () => store.getPath(cid, { path: 'a.bin' }),
  ]) {
    await expect(read()).rejects.toMatchObject({ code: 'INTEGRITY', file: 'a.bin', offset: 0 })
  }
  expect((await bytesOf(store.cat(cid, { path: 'b.bin' }))).length).toBe(9)
  await expect(collect(store.ls(cid))).rejects.toMatchObject({ code: 'INTEGRITY', file: 'a.bin' })
  await store.gc()
  await store.add(content, { pin: false })
  expect(await store.verify(cid)).toBe(content.length + 9)
})

it('the block of a directory, in a pack or on its own', async () => {
  for (const isAlone of [false, true]) {
    const { store, directory } = await openTemp()
    const layout = layoutOf(directory)
    const { cid } = await store.add(directoryOf({ a: someBytes(10) }))
    const block = await store.blocks.get(cid)
    if (isAlone) await store.blocks.delete(cid)
    if (isAlone) await store.blocks.put(cid, block)
    const path = isAlone ? layout.blockOf(cid.toString()) : ((await filesBelow(layout.packs))[0] ?? '')
    await flip(path, (await readFile(path)).indexOf(block) + 3)
    await expect(store.blocks.get(cid)).rejects.toMatchObject({ code: 'INTEGRITY', cid, file: path })
    await check.run({ store, layout, cid }, 0)
    // What the damaged directory held cannot be known, so nothing may be collected.
    await expect(store.gc()).rejects.toMatchObject({ code: 'INTEGRITY' })
    await store.add(directoryOf({ a: someBytes(10) }))
    expect(await store.verify(cid)).toBe(10)
    await store.blocks.delete(cid)
    await expect(store.stat(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    await expect(store.gc()).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }
})

it('a damaged root that is removed is forgotten with its note', async () => {
  const { store, layout, cid, key } = await heldFile()
  await flip(layout.fileOf(key), 1)
  await expect(store.verify(cid)).rejects.toMatchObject({ code: 'INTEGRITY' })
  await store.remove(cid)
  await expect(store.verify(cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await store.gc()
  expect(await filesBelow(layout.quarantine)).toEqual([])
})

it('a read-only store says so each time and moves nothing', async () => {
  const { layout, cid, key } = await heldFile()
  await flip(layout.fileOf(key), 1)
  const before = await filesBelow(layout.directory)
  const store = await openFsStore({ directory: layout.directory, readOnly: true })
  for (let round = 0; round < 2; round++) await expect(store.verify(cid)).rejects.toMatchObject({ code: 'INTEGRITY' })
  expect(await filesBelow(layout.directory)).toEqual(before)
  await expect(store.add(content)).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(store.names.set('a', cid)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await store.status()).toMatchObject({ available: true, details: { readOnly: true } })
})

it('the place of a file in a view is checked, whoever put what there', async () => {
  const { store, layout } = await heldFile()
  const { cid } = await store.add(directoryOf({ a: content }))
  const view = await store.getPath(cid)
  const path = join(view, 'a')
  await rm(path)
  await writeFile(path, someBytes(content.length, 'other'))
  expect(isSame(await readFile(join(await store.getPath(cid), 'a')), content)).toBe(true)
  await rm(path)
  await writeFile(path, content)
  expect(await store.getPath(cid)).toBe(view)
  expect(await filesBelow(layout.temp)).toEqual([])
})
