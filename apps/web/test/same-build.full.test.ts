import { pathSource } from '@x/backend-fs'
import { openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { buildForTest } from './build-page.ts'

it('is built to the same bytes each time', async () => {
  const store = await openMemoryStore()
  const [first, second] = [await buildForTest(), await buildForTest()]
  const { cid } = await store.add(await pathSource(first))
  expect((await store.add(await pathSource(second))).cid.toString()).toBe(cid.toString())
  expect(cid.toString()).not.toBe((await store.add(await pathSource(import.meta.dirname))).cid.toString())
})
