import { expect, it, describe } from 'vitest'

import { acceptRegistry, findInRegistries, readRegistry } from '../src/index.ts'
import { keyPair, named, published, SOURCE } from './registry-support.ts'
import { collect, stores } from './support.ts'

describe.each(stores)('in the %s store', (_kind, open) => {
  it('a large one is kept in parts, of which a name is found in one or two', async () => {
    const store = await open()
    const { signer, trusted } = await keyPair()
    const models = ['a/first', 'org/m1', 'org/m2', 'z/last'].flatMap((name) => named(name, 3000))
    await acceptRegistry(store, await published(store, signer, models, 1), { source: SOURCE, trusted })
    await store.gc()
    expect((await readRegistry(store, 'them')).models).toHaveLength(models.length)
    for (const name of ['a/first', 'org/m1', 'org/m2', 'z/last']) {
      expect((await readRegistry(store, 'them', { name })).models).toHaveLength(3000)
      expect(await findInRegistries(store, { name })).toMatchObject({ name, version: '102999' })
      expect(await findInRegistries(store, { name, version: '100000' })).toMatchObject({ name, version: '100000' })
    }
    for (const name of ['a', 'b', 'org/m11', 'zz']) expect(await findInRegistries(store, { name })).toBeUndefined()
    await acceptRegistry(store, await published(store, signer, [], 2), { source: SOURCE })
    await store.gc()
    expect(await collect(store.blocks.list())).toHaveLength(1)
  })
})
