import { expect, it } from 'vitest'

import { flipStoredByte } from '../../../tooling/fixtures/src/flip-stored-byte.ts'
import { openFsStore } from '../src/index.ts'
import { collect, directoryOf, openTemp, someBytes } from './support.ts'

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
  await expect(store.add(someBytes(4 * MIB))).rejects.toMatchObject({ code: 'NO_SPACE', message: /may hold 3145728/ })
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
