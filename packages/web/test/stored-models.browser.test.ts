import type { OpfsStore } from '@x/backend-opfs'
import type { DirectorySource } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { addModel, createStoredModels, openStorage } from '../src/index.ts'

const NAME = 'org/model'
const WEIGHTS = 200_000

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const version = (number: number): DirectorySource => ({
  type: 'directory',
  entries: () => [
    ['config.json', { type: 'file', open: () => once(new TextEncoder().encode(`{"version":${number}}`)) }],
    ['weights.bin', { type: 'file', open: () => once(new Uint8Array(WEIGHTS).fill(number)) }],
  ],
})

async function setup(): Promise<{ directory: string; store: OpfsStore }> {
  const directory = `web-${crypto.randomUUID()}`
  const store = await openStorage({ directory })
  onTestFinished(() => store.close())
  return { directory, store }
}

it('finds what a name has become, when what it was is removed', async () => {
  const { directory, store } = await setup()
  const models = createStoredModels({ directory })
  const configOf = async (): Promise<string | undefined> =>
    (await (await models.open(NAME))?.file('config.json'))?.text()
  expect(await configOf()).toBeUndefined()
  const { cid } = await addModel(store, version(1), { name: NAME })
  const old = await models.open(NAME)
  expect(await configOf()).toBe('{"version":1}')
  await addModel(store, version(2), { name: NAME })
  // All of a model is of one version.
  expect(await configOf()).toBe('{"version":1}')
  await store.remove(cid)
  await store.gc()
  expect(await configOf()).toBe('{"version":2}')
  expect((await (await models.open(NAME))?.file('weights.bin'))?.size).toBe(WEIGHTS)
  // What was opened is that, or nothing.
  await expect(old?.file('weights.bin')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await store.names.delete(NAME)
  expect(await configOf()).toBe('{"version":2}')
})

it('reads the index once for everybody, and again when it was written', async () => {
  const { directory, store } = await setup()
  await addModel(store, version(1), { name: NAME })
  const reading = vi.spyOn(File.prototype, 'arrayBuffer')
  onTestFinished(() => reading.mockRestore())
  const reads = (): number =>
    reading.mock.contexts.filter((file) => file instanceof File && file.name.startsWith('index.')).length
  const models = createStoredModels({ directory })
  await Promise.all([NAME, NAME, 'org/none', 'org/other'].map((repo) => models.open(repo)))
  for (let time = 0; time < 5; time++) await models.open('org/none')
  expect(reads()).toBe(1)
  await addModel(store, version(2), { name: 'org/none' })
  await Promise.all([NAME, 'org/none'].map((repo) => models.open(repo)))
  expect(reads()).toBe(2)
})
