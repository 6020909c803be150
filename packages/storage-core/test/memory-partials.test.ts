import { buildOutboard, cidOf, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { heldFile, openMemoryPartials, openMemoryStore, partialKeyOf, type PartialFile } from '../src/index.ts'

const bytes = new Uint8Array(300_000).map((_, index) => index % 251)

async function setUp() {
  const store = await openMemoryStore()
  const partials = openMemoryPartials(store)
  const { outboard } = await buildOutboard([bytes], { profile: 'kubo-v1' })
  const digest = (await cidOf(RAW, bytes)).multihash.digest
  const key = partialKeyOf({ size: bytes.length, sha256: digest })
  const open = async (): Promise<PartialFile> => {
    const file = await partials.open(key)
    if ('held' in file) throw new Error('it is held')
    return file
  }
  return { store, partials, key, digest, outboard, open }
}

it('goes on with what was recorded, and commits it under the profile of its outboard', async () => {
  const { store, partials, key, digest, outboard, open } = await setUp()
  const first = await open()
  await first.write({ offset: 0, length: bytes.length, sha256: digest }, bytes)
  await first.close()
  const again = await open()
  expect(again.spans).toMatchObject([{ offset: 0, length: bytes.length }])
  await again.commit(outboard)
  expect(await partials.open(key)).toEqual({ held: outboard.root })
  await store.gc()
  expect(await store.has(outboard.root)).toBe(true)
  await partials.release()
  await store.gc()
  expect(await store.has(outboard.root)).toBe(false)
})

it('one at a time works on a file', async () => {
  const { partials, key, open } = await setUp()
  const first = await open()
  const told: number[] = []
  const waiting = partials.open(key, { onWaiting: (recorded) => told.push(recorded) })
  expect(told).toEqual([0])
  await first.discard()
  expect(await waiting).toMatchObject({ spans: [] })
})

it('an add links to a file that is held, whatever its profile', async () => {
  const { store, outboard } = await setUp()
  await store.add(bytes, { profile: 'kubo-v1', pin: false })
  const { cid, size } = await store.add({
    type: 'directory',
    entries: () => [['file', heldFile(outboard.root)] as const],
  })
  expect(size).toBe(bytes.length)
  await store.gc()
  expect((await store.stat(cid, { path: 'file' })).cid.equals(outboard.root)).toBe(true)
  expect(await store.verify(cid)).toBeGreaterThan(bytes.length)
})

it('an add of a file that is not held rejects', async () => {
  const { store, outboard } = await setUp()
  const adding = store.add({ type: 'directory', entries: () => [['file', heldFile(outboard.root)] as const] })
  await expect(adding).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

it('a key needs something to check by', () => {
  expect(() => partialKeyOf({ size: 3 })).toThrow('no key of a partial file')
  expect(() => partialKeyOf({ size: -1, gitOid: 'a'.repeat(40) })).toThrow('a file of -1 bytes')
})
