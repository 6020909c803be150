import { expect, it } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { collect, openTemp, someBytes } from './support.ts'

it('shows a name that another open store set, at once', async () => {
  const { store, directory } = await openTemp()
  const other = await openFsStore({ directory })
  const { cid } = await store.add(someBytes(10), { name: 'org/model' })
  expect(await other.names.get('org/model')).toMatchObject({ cid })
  await other.names.delete('org/model', { expected: cid })
  expect(await store.names.get('org/model')).toBeUndefined()
  expect(await collect(store.roots())).toMatchObject([{ cid, names: [] }])
})
