import { leafCid, PROFILES } from '@x/cid'
import { openMemoryPartials, openMemoryStore, type ContentStore, type PartialStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { download, type WantedFile } from '../src/index.ts'
import { holds, memorySource, MIB, openTemp, quick, rooted, sha256, someBytes } from './support.ts'

const good = someBytes(3 * MIB, 'good')
const evil = someBytes(3 * MIB, 'evil')

const stores: [string, () => Promise<{ store: ContentStore; partials: PartialStore }>][] = [
  ['on disk', () => openTemp()],
  [
    'in memory',
    async () => {
      const store = await openMemoryStore()
      return { store, partials: openMemoryPartials(store) }
    },
  ],
]

it.each(stores)('a root with the SHA-256 of another file is refused, and spoils nothing, %s', async (_name, open) => {
  const { store, partials } = await open()
  const { file, blocks } = await rooted('model', evil)
  const wanted: WantedFile = { ...file, sha256: sha256(good) }
  const attacker = memorySource('attacker', { model: evil })
  const refused = { code: 'INTEGRITY', message: 'model: its root and its SHA-256 are those of two files' }
  await expect(download(partials, [wanted], [attacker, blocks], quick)).rejects.toMatchObject(refused)
  const honest = memorySource('honest', { model: good })
  const known: WantedFile = { path: 'model', size: good.length, sha256: sha256(good) }
  const { files } = await download(partials, [known], [honest], quick)
  expect(files[0]?.resumedBytes).toBe(0)
  expect(await holds(store, files[0]!.root, good)).toBe(true)
  // Held is each of the two by now, but not as the other one.
  await store.add(evil)
  await expect(download(partials, [wanted], [attacker, blocks], quick)).rejects.toMatchObject(refused)
})

it.each(stores)('a file of which both are known is held when both are known to be right, %s', async (_name, open) => {
  const { store, partials } = await open()
  const { file, blocks } = await rooted('model', good, 'kubo-v1')
  const wanted: WantedFile = { ...file, sha256: sha256(good) }
  const source = memorySource('a', { model: good })
  await download(partials, [{ ...wanted, root: undefined }], [source], quick)
  const { files } = await download(partials, [wanted], [source, blocks], quick)
  expect(files).toMatchObject([{ check: 'each-leaf' }])
  expect(files[0]?.root.toString()).toBe(file.root?.toString())
  expect(await holds(store, files[0]!.root, good)).toBe(true)
  for (const again of [wanted, file, { ...wanted, root: undefined }]) {
    expect((await download(partials, [again], [], quick)).files).toMatchObject([{ check: 'held' }])
  }
})

it('a raw root that is another digest than the SHA-256 is refused before anything is asked', async () => {
  const { partials } = await openTemp()
  const root = leafCid(PROFILES['unixfs-v1-2025'], sha256(evil))
  const source = memorySource('a', { model: evil })
  const wanted: WantedFile = { path: 'model', size: good.length, root, sha256: sha256(good) }
  await expect(download(partials, [wanted], [source], quick)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(source.requests).toBe(0)
})
