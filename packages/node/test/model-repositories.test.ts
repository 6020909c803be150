import { fixtureModel } from '@x/fixtures'
import { gitBlobOid, isLfs } from '@x/hub-server'
import { addModel, registerVersion } from '@x/model-loader'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { filesSource } from '../../model-loader/test/support.ts'
import { createModelRepositories } from '../src/hub/model-repositories.ts'

it('a look at the names of a store ends when it has found one', async () => {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const { cid } = await addModel(store, filesSource(fixtureModel('tiny-bert').files))
  await registerVersion(store, 'org/name', '1', cid)
  let [begun, ended] = [0, 0]
  const names: typeof store.names = {
    ...store.names,
    async *list(options) {
      begun += 1
      try {
        yield* store.names.list(options)
      } finally {
        ended += 1
      }
    },
  }
  const repositories = createModelRepositories({ ...store, names }, { gitBlobOid, isLfs })
  await expect(repositories.open('org/name', 'other', {})).rejects.toMatchObject({ code: 'NOT_FOUND', what: 'other' })
  expect(begun).toBeGreaterThan(0)
  expect(ended).toBe(begun)
})
