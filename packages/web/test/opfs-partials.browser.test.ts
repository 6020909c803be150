import { buildOutboard } from '@x/cid'
import { partialKeyOf, type ContentStore, type PartialStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { collect } from '../../storage-core/src/conformance/sample.ts'
import { openStorage } from '../src/index.ts'
import { openOpfsPartials } from '../src/pull/opfs-partials.ts'

async function opened() {
  const directory = `partials-${crypto.randomUUID()}`
  const storage = await openStorage({ directory })
  onTestFinished(() => storage.close())
  const open = async (store: ContentStore = storage): Promise<PartialStore> => {
    const partials = await openOpfsPartials(store, { directory })
    onTestFinished(() => partials.close())
    return partials
  }
  return { storage, open }
}

async function fileOf(size: number) {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  const { outboard } = await buildOutboard([bytes])
  const { root } = outboard
  return { bytes, outboard, root, key: { ...partialKeyOf({ size, root }), root } }
}

type Sample = Awaited<ReturnType<typeof fileOf>>

/** As a download does that has all of it. */
async function bring(partials: PartialStore, { bytes, outboard, key }: Sample): Promise<void> {
  const partial = await partials.open(key)
  if ('held' in partial) return
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes.slice()))
  await partial.write({ offset: 0, length: bytes.length, sha256 }, bytes)
  await partial.commit(outboard)
}

const rootsOf = async (store: ContentStore): Promise<string[]> =>
  (await collect(store.roots())).map(({ cid }) => cid.toString())

it('two downloads that end at once leave no record of the file that they share', async () => {
  const { storage, open } = await opened()
  const file = await fileOf(200_000)
  const both = [await open(), await open()]
  for (const partials of both) await bring(partials, file)
  expect(await rootsOf(storage)).toEqual([file.root.toString()])
  await Promise.all(both.map((partials) => partials.release()))
  expect(await rootsOf(storage)).toEqual([])
  expect(await collect(storage.pins())).toEqual([])
})

it('takes back what a page brought that was killed before it could say so', async () => {
  const { storage, open } = await opened()
  const file = await fileOf(200_000)
  const added = Promise.withResolvers<void>()
  const killed = await open({
    ...storage,
    async add(source, options) {
      await storage.add(source, options)
      added.resolve()
      return new Promise(() => undefined)
    },
  })
  const partial = await killed.open(file.key)
  if ('held' in partial) throw new Error('it is not there yet')
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', file.bytes.slice()))
  await partial.write({ offset: 0, length: file.bytes.length, sha256 }, file.bytes)
  void partial.commit(file.outboard)
  await added.promise
  // Its locks are free, and it did nothing more.
  await partial.close()
  await killed.close()

  const partials = await open()
  expect(await partials.open(file.key)).toEqual({ held: file.root })
  expect(await collect(partials.list())).toEqual([])
  await partials.release()
  expect(await rootsOf(storage)).toEqual([])
})

it('leaves a file that got a name meanwhile', async () => {
  const { storage, open } = await opened()
  const file = await fileOf(200_000)
  const partials = await open()
  await bring(partials, file)
  await storage.names.set('mine', file.root)
  await partials.release()
  expect((await storage.names.get('mine'))?.cid.toString()).toBe(file.root.toString())
  expect(await rootsOf(storage)).toEqual([file.root.toString()])
})

it('asks for no room for files that are there', async () => {
  const { storage, open } = await opened()
  const file = await fileOf(4_000_000)
  const partials = await open()
  // Which fits, with the moment in which it lies twice, beside nothing that is larger than this.
  const spare = 2_000_000
  const { usage = 0, quota = 0 } = await navigator.storage.estimate()
  const large = { id: `version-${'0'.repeat(64)}`, size: Math.floor((quota - usage - file.key.size - spare) / 2) }
  await expect(partials.assertRoom([file.key, { ...large, size: large.size + spare }])).rejects.toMatchObject({
    code: 'NO_SPACE',
  })
  await bring(partials, file)
  expect(await rootsOf(storage)).toEqual([file.root.toString()])
  const after = await navigator.storage.estimate()
  const size = Math.floor(((after.quota ?? 0) - (after.usage ?? 0) - spare) / 2)
  await partials.assertRoom([file.key, { ...large, size }])
  await expect(partials.assertRoom([file.key, { ...large, size: size + spare }])).rejects.toMatchObject({
    code: 'NO_SPACE',
  })
})
