import { getEventListeners } from 'node:events'

import { createHubClient } from '@x/hub-client'
import { createStoreKeep, type HubRepositories, type HubSnapshot, type PullThrough } from '@x/hub-server'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { createUpstreamRepositories } from '../src/hub/upstream-repositories.ts'

const snapshot: HubSnapshot = {
  repo: 'org/part',
  commit: 'c'.repeat(40),
  files: [],
  omitted: ['weights'],
  read: async function* () {},
}

/** A store that has a part of one model, before an upstream that is asked for the rest. */
async function repositories(open: PullThrough['open']): Promise<PullThrough> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const own: HubRepositories = { open: async () => snapshot }
  const hub = createHubClient({ endpoint: 'http://127.0.0.1:9' })
  const further: PullThrough = { open, close: async () => undefined }
  return createUpstreamRepositories(own, store, { hub }, { createPullThrough: () => further, createStoreKeep })
}

it('a look-up at the upstream hears the abort of who asks, and leaves nothing on its signal', async () => {
  const { signal } = new AbortController()
  const found = await repositories(async () => ({ ...snapshot, omitted: undefined }))
  expect((await found.open('org/part', 'main', { signal }))?.omitted).toBeUndefined()
  expect(getEventListeners(signal, 'abort')).toEqual([])

  const controller = new AbortController()
  const reason = new Error('the caller gave up')
  const asked = await repositories(async (_repo, _revision, options) => {
    controller.abort(reason)
    options.signal?.throwIfAborted()
    throw new Error('nobody gave up')
  })
  await expect(asked.open('org/part', 'main', { signal: controller.signal })).rejects.toBe(reason)
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
})
