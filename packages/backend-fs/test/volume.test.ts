import { openVolume } from '@x/storage-core/fs'
import { expect, it } from 'vitest'

import { bytesOf, collect, isSame, openTemp, someBytes, startChild } from './support.ts'

it('keeps a volume with its older states over a collection, and finds it again after it was closed', async () => {
  const { store, directory } = await openTemp()
  const volume = openVolume(store, 'tree')
  const large = someBytes(3_000_000)
  const first = await volume.writeFile('a/large', large, { metadata: { kind: 'first' } })
  await volume.writeFile('a/large', someBytes(2_500_000, 'other'))
  await store.gc()
  await store.close()
  const { store: again } = await openTemp({ directory })
  const opened = openVolume(again, 'tree')
  expect(isSame(await opened.at(first.root).readFile('a/large'), large)).toBe(true)
  const piece = opened.at(first.root).createReadStream('a/large', { offset: 1_500_000, length: 100 })
  expect(isSame(await bytesOf(piece), large.subarray(1_500_000, 1_500_100))).toBe(true)
  expect((await opened.stat('a/large')).size).toBe(2_500_000)
  expect((await opened.at(1).stat('a/large')).metadata).toEqual({ kind: 'first' })
  const added = await again.add({
    type: 'directory',
    entries: () => [
      [
        'a',
        { type: 'directory', entries: () => [['large', { type: 'file', open: () => pieces(large) }] as const] },
      ] as const,
    ],
  })
  expect(added.cid.toString()).toBe(first.root.toString())
})

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

it('loses nothing when two processes write into one volume', async () => {
  const { store, directory } = await openTemp()
  const children = ['one', 'two'].map((writer) => startChild('write-volume', directory, writer, '6'))
  for (const child of children) expect(await child.ended).toEqual({ code: 0, errors: '' })
  const volume = openVolume(store, 'tree')
  const names = (await collect(volume.list('shared'))).map(({ path }) => path)
  const expected = ['one', 'two'].flatMap((writer) => Array.from({ length: 6 }, (_, n) => `shared/${writer}-${n}`))
  expect(names).toEqual(expected)
  expect((await volume.version())?.sequence).toBe(12)
})
