import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cidOf, RAW } from '@x/cid'
import type { DirectorySource } from '@x/storage-core'
import { expect, it } from 'vitest'

import { flipStoredByte } from '../../../tooling/fixtures/src/flip-stored-byte.ts'
import { openFsStore, pathSource } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { collect, directoryOf, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const one = (seed: string): Uint8Array => someBytes(MIB, seed)

it('removes what was unused for longest, and nothing that is pinned or named', async () => {
  const { store, directory } = await openTemp({ maxBytes: 5 * MIB + 100_000 })
  const pinned = await store.add(one('pinned'))
  const named = await store.add(one('named'), { pin: false, name: 'n' })
  const old = await store.add(one('old'), { pin: false })
  const used = await store.add(one('used'), { pin: false })
  const recent = await store.add(one('recent'), { pin: false })
  // Read last of all, and noted when the store is closed.
  for await (const piece of store.cat(old.cid)) expect(piece.length).toBeGreaterThan(0)
  await store.close()

  const again = await openFsStore({ directory, maxBytes: 5 * MIB + 100_000 })
  await again.add(one('new'), { pin: false })
  const held = async (cid: (typeof old)['cid']) => again.has(cid)
  expect([await held(pinned.cid), await held(named.cid), await held(old.cid), await held(used.cid)]).toEqual([
    true,
    true,
    true,
    false,
  ])
  expect(await held(recent.cid)).toBe(true)
  await again.close()
})

it('refuses what cannot fit in, and removes nothing for it', async () => {
  const { store } = await openTemp({ maxBytes: 3 * MIB })
  const kept = await store.add(one('kept'))
  const loose = await store.add(one('loose'), { pin: false })
  await expect(store.add(someBytes(4 * MIB))).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(/may hold 3145728/),
  })
  expect(await collect(store.roots())).toHaveLength(2)
  await expect(store.add(someBytes(2 * MIB + 1, 'x'))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await store.has(kept.cid)).toBe(true)
  await store.add(one('more'))
  expect(await store.verify(kept.cid)).toBe(MIB)
  expect(await store.status()).toMatchObject({ available: true })
  expect(loose.size).toBe(MIB)
})

it('what is held already needs no room', async () => {
  const { store } = await openTemp({ maxBytes: 2 * MIB })
  const first = await store.add(one('a'))
  expect((await store.add(one('a'), { profile: 'kubo-v1' })).size).toBe(MIB)
  expect(await store.verify(first.cid)).toBe(MIB)
})

it.each([-1, 1.5, Number.NaN])('a limit of %d bytes is none', async (maxBytes) => {
  await expect(openTemp({ maxBytes })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('where it cannot be told what a kept root needs, nothing is removed to make room', async () => {
  const { store, directory } = await openTemp({ maxBytes: 3 * MIB })
  const kept = await store.add(directoryOf({ a: someBytes(10), b: someBytes(MIB, 'b') }))
  const loose = await store.add(one('loose'), { pin: false })
  const block = await store.blocks.get(kept.cid)
  await flipStoredByte(directory, block)
  await expect(store.add(one('a new one'), { pin: false })).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await store.has(loose.cid)).toBe(true)
  expect(await collect(store.roots())).toHaveLength(2)
  expect(await store.verify(loose.cid)).toBe(MIB)
})

it('what can go is not given up where it would not be enough', async () => {
  const { store } = await openTemp({ maxBytes: 5 * MIB })
  await store.add(someBytes(3 * MIB, 'pinned'))
  const loose = await store.add(one('loose'), { pin: false })
  await expect(store.add(someBytes(3 * MIB, 'too much'))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await store.verify(loose.cid)).toBe(MIB)
})

const KB = 1000

const tiny = (seed: string): DirectorySource =>
  directoryOf(
    Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`${at}`, new TextEncoder().encode(`${seed}${at}`)])),
  )

it('a root of many tiny files frees what it holds, which is far more than its size', async () => {
  const { store } = await openTemp({ maxBytes: 700 * KB })
  const old = await store.add(tiny('a'), { pin: false })
  const recent = await store.add(tiny('b'), { pin: false })
  expect(old.size).toBeLessThan(20 * KB)
  const { cid } = await store.add(someBytes(300 * KB))
  expect([await store.has(old.cid), await store.has(recent.cid)]).toEqual([false, true])
  expect(await store.verify(cid)).toBe(300 * KB)
})

it('goes on where the oldest root frees nothing, as a pinned one needs its bytes', async () => {
  const { store } = await openTemp({ maxBytes: 900 * KB })
  const shared = someBytes(400 * KB, 'shared')
  await store.add(directoryOf({ shared }), { pin: false })
  const inside: DirectorySource = { type: 'directory', entries: () => [['inside', directoryOf({ shared })]] }
  const kept = await store.add(inside)
  const next = await store.add(someBytes(400 * KB, 'next'), { pin: false })
  const { cid } = await store.add(someBytes(400 * KB, 'new'))
  expect([await store.verify(kept.cid), await store.verify(cid)]).toEqual([400 * KB, 400 * KB])
  expect(await store.has(next.cid)).toBe(false)
})

it('a reference, and a file whose bytes are pinned as another root, are not removed for nothing', async () => {
  const { store } = await openTemp({ maxBytes: 900 * KB })
  const path = join(await tempDirectory(), 'file')
  await writeFile(path, someBytes(500 * KB, 'reference'))
  const reference = await store.add(await pathSource(path), { mode: 'reference', pin: false })
  const bytes = someBytes(400 * KB, 'bytes')
  const twin = await store.add(bytes, { pin: false, profile: 'kubo-v1' })
  await store.add(bytes, { profile: 'unixfs-v0-2015' })
  const next = await store.add(someBytes(400 * KB, 'next'), { pin: false })
  await store.add(someBytes(400 * KB, 'new'))
  const roots = (await collect(store.roots())).map(({ cid }) => cid.toString())
  expect(roots).toContain(reference.cid.toString())
  expect(roots).toContain(twin.cid.toString())
  expect(roots).not.toContain(next.cid.toString())
})

it('nothing is removed where all that may go would not be enough, whatever its size', async () => {
  const { store } = await openTemp({ maxBytes: 900 * KB })
  const shared = someBytes(500 * KB, 'shared')
  const old = await store.add(directoryOf({ shared }), { pin: false })
  await store.add(directoryOf({ shared, more: someBytes(10) }))
  const recent = await store.add(someBytes(100 * KB, 'recent'), { pin: false })
  await expect(store.add(someBytes(450 * KB, 'new'))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect([await store.has(old.cid), await store.has(recent.cid)]).toEqual([true, true])
  expect(await collect(store.roots())).toHaveLength(3)
})

it('many roots go at once where many have to', async () => {
  const warnings: string[] = []
  const { store } = await openTemp({ maxBytes: 1050 * KB, onWarning: (message) => warnings.push(message) })
  for (let at = 0; at < 10; at++) await store.add(someBytes(100 * KB, `${at}`), { pin: false })
  await store.add(someBytes(800 * KB, 'new'))
  expect(warnings.map((warning) => Number(/removed (\d+) roots/.exec(warning)?.[1]))).toEqual([1, 2, 4, 1])
  expect(await collect(store.roots())).toHaveLength(3)
})

it('what belongs to no root goes before any root does', async () => {
  const { store } = await openTemp({ maxBytes: 1000 * KB })
  const unkept = await store.add(someBytes(100 * KB, 'unkept'), { pin: false })
  const bytes = someBytes(600 * KB, 'nobody')
  await store.blocks.putMany?.([{ cid: await cidOf(RAW, bytes), bytes }])
  await store.add(someBytes(500 * KB, 'new'))
  expect(await store.has(unkept.cid)).toBe(true)
})

it('a pack of which little can go makes room with that', async () => {
  const { store } = await openTemp({ maxBytes: 1000 * KB })
  const blocks = await Promise.all(
    ['pinned', 'other'].map(async (seed) => {
      const bytes = someBytes(seed === 'pinned' ? 550 * KB : 350 * KB, seed)
      return { cid: await cidOf(RAW, bytes), bytes }
    }),
  )
  await store.blocks.putMany?.(blocks)
  const [pinned] = blocks
  if (!pinned) throw new Error('no block')
  await store.pin(pinned.cid)
  await store.add(someBytes(300 * KB, 'new'))
  expect(await store.verify(pinned.cid)).toBe(550 * KB)
})

it('what a process that died relied on can go', async () => {
  const { store, directory } = await openTemp({ maxBytes: 1000 * KB })
  const held = await store.add(someBytes(600 * KB, 'held'), { pin: false })
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
  const index = new DatabaseSync(layoutOf(directory).index)
  index.prepare('INSERT INTO holds VALUES (?, ?, 0)').run(held.cid.toV1().bytes, '1-dead-1-dead')
  index.close()
  await store.add(someBytes(600 * KB, 'new'))
  expect(await store.has(held.cid)).toBe(false)
})
