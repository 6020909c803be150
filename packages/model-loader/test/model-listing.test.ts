import { fixtureCommit, startFixtureHub } from '@x/fixtures/hub'
import { createHubClient } from '@x/hub-client'
import type { ContentStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import {
  addModel,
  isModel,
  isModelListing,
  listModels,
  openModel,
  openModelDirectory,
  pullHubModel,
  selectFiles,
} from '../src/index.ts'
import { createSha256, filesSource, openWithPartials, stores, text, visible } from './support.ts'

/** Version 3, no tensors, no keys. */
const gguf = (): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(24)
  bytes.set(text('GGUF'))
  bytes[4] = 3
  return bytes
}

const roots = async (store: ContentStore): Promise<string[]> => {
  const found: string[] = []
  for await (const { cid } of listModels(store)) found.push(cid.toString())
  return found
}

it.each([
  [['config.json'], true],
  [['tiny.Q4_K_M.gguf', 'README.md'], true],
  [['TINY.GGUF'], true],
  [['mnist.onnx'], true],
  [['onnx/mnist.onnx'], false],
  [['weights/tiny.gguf'], false],
  [['text/config.json'], false],
  [['tiny.gguf.txt', 'gguf'], false],
  [[], false],
])('the files %j are a model: %j', (paths, expected) => {
  expect(isModelListing(paths)).toBe(expected)
})

it.each(stores)('a directory with a GGUF file and no config.json is a model in the %s store', async (_, open) => {
  const store = await open()
  const files = { 'README.md': text('# tiny'), 'tiny.gguf': gguf() }
  const { cid } = await addModel(store, filesSource(files), { name: 'org/tiny-gguf' })
  expect(await isModel(store, cid)).toBe(true)
  expect(await roots(store)).toEqual([cid.toString()])
  const model = await openModel(store, 'org/tiny-gguf')
  expect(await model.read('tiny.gguf')).toEqual(gguf())
  const inPlace = await openModelDirectory(filesSource(files), '/models/tiny')
  expect(inPlace.cid).toEqual(cid)
})

it.each(stores)('one with GGUF files below its top alone is none in the %s store', async (_, open) => {
  const store = await open()
  const files = filesSource({ 'README.md': text('# tiny'), 'weights/tiny.gguf': gguf() })
  const message = 'no config.json, and no .gguf or .onnx file'
  await expect(addModel(store, files)).rejects.toThrow(message)
  expect(await visible(store)).toMatchObject({ roots: [] })
  const { cid } = await store.add(files)
  expect(await isModel(store, cid)).toBe(false)
  expect(await roots(store)).toEqual([])
  await expect(openModel(store, cid.toString())).rejects.toThrow(message)
})

it('is pulled from a hub; what is no model is refused before it is downloaded', async () => {
  const whole = fixtureCommit({ 'README.md': text('# tiny'), 'tiny.gguf': gguf(), 'model.sig': text('{}') })
  const data = fixtureCommit({ 'README.md': text('# rows'), 'rows.csv': text('1,2') })
  const hub = await startFixtureHub({
    repositories: {
      'org/tiny-gguf': { commits: [whole], refs: { main: whole.commit } },
      'org/rows': { commits: [data], refs: { main: data.commit } },
    },
  })
  onTestFinished(() => hub.close())
  const { store, partials } = await openWithPartials()
  const client = createHubClient({ endpoint: hub.url })
  const partly = { repo: 'org/tiny-gguf', hub: client, weights: 'none' } as const
  await expect(pullHubModel(store, partials, partly)).rejects.toThrow('what was selected of it is no model')
  const { cid } = await pullHubModel(store, partials, { repo: 'org/tiny-gguf', hub: client, createSha256 })
  expect((await openModel(store, cid.toString())).files.map(({ path }) => path)).toContain('tiny.gguf')
  hub.requests.length = 0
  await expect(pullHubModel(store, partials, { repo: 'org/rows', hub: client })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('org/rows: it is no model'),
  })
  expect(hub.requests.filter(({ url }) => url.includes('/resolve/'))).toEqual([])
})

it('a signature is always selected', () => {
  const paths = ['config.json', 'model.sig', 'onnx/model.onnx', 'other.sig'].map((path) => ({ path }))
  const { files } = selectFiles(paths, { weights: 'none' })
  expect(files.map(({ path }) => path)).toEqual(['config.json', 'model.sig'])
})
