import { encodeDagCbor, type CID } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { ContentStore } from '../content-store.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { collect, sampleBytes } from './sample.ts'

/** Two roots that are held. */
async function twoRoots(store: ContentStore): Promise<[CID, CID]> {
  const add = async (seed: number): Promise<CID> => (await store.add(sampleBytes(seed, 10), { pin: false })).cid
  return [await add(20), await add(21)]
}

export function describeNames({ open }: ContentStoreSetup): void {
  describe('names', () => {
    it('a free name points to nothing', async () => {
      const { names } = await open()
      expect(await names.get('org/model')).toBeUndefined()
      expect(await collect(names.list())).toEqual([])
      await names.delete('org/model')
    })

    it('points where it was set last, with what was kept last', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      const before = Date.now()
      const set = await store.names.set('org/model', a, { metadata: { n: 1, list: ['x', null] } })
      expect(set).toMatchObject({ name: 'org/model', cid: a, metadata: { n: 1, list: ['x', null] } })
      expect(Date.parse(set.updatedAt)).toBeGreaterThanOrEqual(before)
      expect(await store.names.get('org/model')).toEqual(set)
      await store.names.set('org/model', b)
      expect(await store.names.get('org/model')).toMatchObject({ cid: b, metadata: {} })
      await store.names.delete('org/model')
      expect(await store.names.get('org/model')).toBeUndefined()
    })

    it('lists names sorted, and by prefix', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      for (const name of ['b/two', 'a', 'b/one', 'bb']) await store.names.set(name, name === 'a' ? b : a)
      const listed = async (prefix?: string): Promise<string[]> =>
        (await collect(store.names.list({ prefix }))).map(({ name }) => name)
      expect(await listed()).toEqual(['a', 'b/one', 'b/two', 'bb'])
      expect(await listed('b/')).toEqual(['b/one', 'b/two'])
      expect(await listed('c')).toEqual([])
    })

    it('shows at its root', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      await store.names.set('two', a)
      await store.names.set('one', a)
      const roots = await collect(store.roots())
      expect(roots.find(({ cid }) => cid.equals(a))?.names).toEqual(['one', 'two'])
      expect(roots.find(({ cid }) => cid.equals(b))?.names).toEqual([])
    })

    it('may point to a dag-cbor block, which is no root', async () => {
      const store = await open()
      const { cid, bytes } = await encodeDagCbor({ manifest: true })
      await store.blocks.put(cid, bytes)
      await store.names.set('manifest', cid)
      expect(await store.names.get('manifest')).toMatchObject({ cid })
      expect(await collect(store.roots())).toEqual([])
    })

    it('is set only where it is expected to point', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      await expect(store.names.set('n', a, { expected: b })).rejects.toMatchObject({
        code: 'CONFLICT',
        current: undefined,
      })
      await store.names.set('n', a, { expected: null })
      await expect(store.names.set('n', b, { expected: null })).rejects.toMatchObject({ code: 'CONFLICT', current: a })
      await expect(store.names.set('n', b, { expected: b })).rejects.toMatchObject({ code: 'CONFLICT', current: a })
      expect(await store.names.get('n')).toMatchObject({ cid: a })
      await store.names.set('n', b, { expected: a })
      expect(await store.names.get('n')).toMatchObject({ cid: b })
    })

    it('is deleted only where it is expected to point', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      await expect(store.names.delete('n', { expected: a })).rejects.toMatchObject({
        code: 'CONFLICT',
        current: undefined,
      })
      await store.names.set('n', a)
      await expect(store.names.delete('n', { expected: b })).rejects.toMatchObject({ code: 'CONFLICT', current: a })
      expect(await store.names.get('n')).toMatchObject({ cid: a })
      await store.names.delete('n', { expected: a })
      expect(await store.names.get('n')).toBeUndefined()
    })

    it('goes to one of several that set it at the same time', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      const settled = await Promise.allSettled(
        [a, b, a, b, a, b].map((cid) => store.names.set('n', cid, { expected: null })),
      )
      const won = settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      expect(won.length).toBe(1)
      expect(await store.names.get('n')).toEqual(won[0])
      const lost = settled.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      expect(lost).toMatchObject(Array.from({ length: 5 }, () => ({ code: 'CONFLICT', current: won[0]?.cid })))
    })

    const refused = ['', '.', '..', '/', 'a/', '/a', 'a//b', 'a/../b', 'a\0b', 'a\nb', 'ipfs://x', 'x'.repeat(256)]
    it.each(refused)('%j is refused', async (name) => {
      const store = await open()
      const [a] = await twoRoots(store)
      const invalid = { code: 'INVALID_INPUT' }
      await expect(store.names.get(name)).rejects.toMatchObject(invalid)
      await expect(store.names.set(name, a)).rejects.toMatchObject(invalid)
      await expect(store.names.delete(name)).rejects.toMatchObject(invalid)
      await expect(store.add(sampleBytes(22, 5), { name })).rejects.toMatchObject(invalid)
      expect(await collect(store.names.list())).toEqual([])
    })

    it.each(['a', 'org/model', 'a.b-c_d~e', 'con', 'A', 'a', 'ünï ☃/🐈', '%2e%2e', 'x'.repeat(255), '__proto__'])(
      '%j is taken',
      async (name) => {
        const store = await open()
        const [a] = await twoRoots(store)
        await store.names.set(name, a)
        expect(await store.names.get(name)).toMatchObject({ name, cid: a })
        expect((await collect(store.names.list())).map((record) => record.name)).toEqual([name])
      },
    )

    it('tells names apart that differ in case or normal form', async () => {
      const store = await open()
      const [a, b] = await twoRoots(store)
      await store.names.set('Name', a)
      await store.names.set('name', b)
      await store.names.set('\u00e9', a)
      await store.names.set('e\u0301', b)
      expect(await store.names.get('Name')).toMatchObject({ cid: a })
      expect(await store.names.get('name')).toMatchObject({ cid: b })
      expect(await store.names.get('\u00e9')).toMatchObject({ cid: a })
      expect(await store.names.get('e\u0301')).toMatchObject({ cid: b })
    })
  })
}
