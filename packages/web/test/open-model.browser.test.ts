import type { DirectorySource } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { addModel, openModel, openStorage } from '../src/index.ts'

const config = new TextEncoder().encode('{"model_type":"bert"}')
const weights = new Uint8Array(2_500_000).map((_, index) => index % 251)

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const source: DirectorySource = {
  type: 'directory',
  entries: () => [
    ['config.json', { type: 'file', open: () => once(config) }],
    ['weights.bin', { type: 'file', open: () => once(weights) }],
  ],
}

async function openFresh() {
  const directory = `web-${crypto.randomUUID()}`
  const storage = await openStorage({ directory })
  onTestFinished(() => storage.close())
  return { directory, storage }
}

it('opens a model of the storage, whose files are those on the disk', async () => {
  const { storage } = await openFresh()
  const { cid } = await addModel(storage, source, { name: 'org/model' })
  for (const reference of ['org/model', `ipfs://${cid}`]) {
    const model = await openModel(storage, reference, { verify: 'each-open' })
    expect(model.cid).toEqual(cid)
    const file = await model.file('weights.bin')
    expect(new Uint8Array(await file.arrayBuffer()).every((byte, index) => byte === weights[index])).toBe(true)
    expect(await model.read('config.json')).toEqual(config)
    await expect(model.file('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }
  await expect(openModel(storage, 'org/other')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

it('opens a model that another tab has added, with it or to read', async () => {
  const { directory, storage } = await openFresh()
  await addModel(storage, source, { name: 'org/model' })
  for (const readOnly of [false, true]) {
    const other = await openStorage({ directory, readOnly })
    expect((await openModel(other, 'org/model')).files.map(({ path }) => path)).toEqual(['config.json', 'weights.bin'])
    await other.close()
  }
})

it('hashes what is as it was stored when it is asked to, and only then', async () => {
  const { directory, storage } = await openFresh()
  await addModel(storage, source, { name: 'org/model' })
  await flipInPlace(directory)
  // The size stays, and in a private window so does the time: what `stored` trusts.
  await openModel(storage, 'org/model')
  await expect(openModel(storage, 'org/model', { verify: 'each-open' })).rejects.toMatchObject({
    code: 'INTEGRITY',
    file: 'weights.bin',
  })
})

it('says whether the browser may evict what is stored', async () => {
  const { storage } = await openFresh()
  expect((await storage.status()).details.persisted).toBeTypeOf('boolean')
})

/** A byte of the largest data file. */
async function flipInPlace(directory: string): Promise<void> {
  const root = await navigator.storage.getDirectory()
  const data = await (await root.getDirectoryHandle(directory)).getDirectoryHandle('data')
  for await (const handle of data.values()) {
    if (!(handle instanceof FileSystemFileHandle)) continue
    const file = await handle.getFile()
    if (file.size !== weights.length) continue
    const writable = await handle.createWritable({ keepExistingData: true })
    await writable.write({ type: 'write', position: 1_500_000, data: Uint8Array.of(255) })
    await writable.close()
  }
}
