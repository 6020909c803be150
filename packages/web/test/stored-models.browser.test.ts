import type { OpfsStore } from '@x/backend-opfs'
import type { DirectorySource } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'
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

const isIndex = (file: unknown): file is File => file instanceof File && file.name.startsWith('index.')

it('reads the index once for everybody, and of it what was appended when it was written', async () => {
  const { directory, store } = await setup()
  await addModel(store, version(1), { name: NAME })
  const reading = vi.spyOn(File.prototype, 'arrayBuffer')
  const slicing = vi.spyOn(File.prototype, 'slice')
  onTestFinished(() => {
    reading.mockRestore()
    slicing.mockRestore()
  })
  const wholes = (): number => reading.mock.contexts.filter(isIndex).length
  /** Bytes of the others. The head says no more than that it is an index. */
  const parts = (): number[] =>
    slicing.mock.contexts.flatMap((file, at) => {
      const [start = 0, end = 0] = slicing.mock.calls[at] ?? []
      return isIndex(file) && start > 0 ? [(end || file.size) - start] : []
    })
  const models = createStoredModels({ directory })
  await Promise.all([NAME, NAME, 'org/none', 'org/other'].map((repo) => models.open(repo)))
  for (let time = 0; time < 5; time++) await models.open('org/none')
  expect([wholes(), parts()]).toEqual([1, []])
  const { size } = await indexFile(directory)
  await addModel(store, version(2), { name: 'org/none' })
  await Promise.all([NAME, 'org/none'].map((repo) => models.open(repo)))
  expect((await models.open('org/none'))?.files).toHaveLength(2)
  expect([wholes(), parts()]).toEqual([1, [(await indexFile(directory)).size - size]])
})

async function indexFile(directory: string): Promise<File> {
  const handle = await (await navigator.storage.getDirectory()).getDirectoryHandle(directory)
  return (await handle.getFileHandle('index.1')).getFile()
}

it('looks again for what a writer moves while it is read, a few times', async () => {
  const { directory, store } = await setup()
  const { cid } = await addModel(store, version(1), { name: NAME })
  const models = createStoredModels({ directory })
  const model = await models.open(NAME)
  /** Its data is in other files then. */
  const move = async (): Promise<void> => {
    await store.remove(cid)
    await addModel(store, version(1), { name: NAME })
  }
  for (const [times, expected] of [
    [3, WEIGHTS],
    [20, 'BACKEND'],
  ] as const) {
    let left = times as number
    // It is called with what it belongs to.
    // oxlint-disable-next-line typescript/unbound-method
    const { getFileHandle } = FileSystemDirectoryHandle.prototype
    const finding = vi.spyOn(FileSystemDirectoryHandle.prototype, 'getFileHandle')
    let isMoving = false
    finding.mockImplementation(async function (this: FileSystemDirectoryHandle, name, options) {
      if (left > 0 && !isMoving && !name.startsWith('index.')) {
        left -= 1
        isMoving = true
        await move()
        isMoving = false
      }
      return getFileHandle.call(this, name, options)
    })
    const got: unknown = await model?.file('weights.bin').then(({ size }) => size, codeOf)
    finding.mockRestore()
    expect([times, got]).toEqual([times, expected])
    expect(times - left).toBeLessThan(10)
  }
  expect((await model?.file('weights.bin'))?.size).toBe(WEIGHTS)
})
