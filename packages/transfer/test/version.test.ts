import { createHash } from 'node:crypto'

import { BackendError } from '@x/storage-core'
import { expect, it } from 'vitest'

import { download, type ByteSource, type DownloadOptions } from '../src/index.ts'
import { bytesOf, isSame, memorySource, MIB, openTemp, outboardOf, sha256, someBytes } from './support.ts'

const quick: DownloadOptions = { backoffMs: 1, createHasher: (name) => createHash(name) }
const version = sha256(someBytes(10, 'an address and an ETag'))

it('brings a file of which nothing is known but its state, and says that nothing was checked', async () => {
  for (const size of [0, 10, MIB, 3 * MIB + 7]) {
    const { store, partials } = await openTemp()
    const bytes = someBytes(size)
    const file = { path: 'model', size, version }
    const { files } = await download(partials, [file], [memorySource('a', { model: bytes })], quick)
    const { root } = await outboardOf(bytes)
    expect(files).toMatchObject([{ check: 'none' }])
    expect(files[0]?.root.toString()).toBe(root.toString())
    expect(isSame(await bytesOf(store.cat(root)), bytes)).toBe(true)
    // The same state is not fetched again.
    expect(await download(partials, [file], [], quick)).toMatchObject({ files: [{ check: 'held' }] })
  }
})

it('goes on where it was, for the same state alone', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(4 * MIB)
  const whole = memorySource('a', { model: bytes })
  const broken: ByteSource = {
    name: 'a',
    async *read(file, { offset, length }, options) {
      yield* whole.read(file, { offset, length: Math.min(length, Math.max(0, 2 * MIB - offset)) }, options)
      throw new BackendError('the source is gone', { retryable: false })
    },
  }
  const file = { path: 'model', size: bytes.length, version }
  await expect(download(partials, [file], [broken], quick)).rejects.toMatchObject({ code: 'BACKEND' })
  const other = { ...file, version: sha256(version) }
  expect((await download(partials, [other], [whole], quick)).files).toMatchObject([{ resumedBytes: 0 }])
  const { files } = await download(partials, [file], [whole], quick)
  expect(files).toMatchObject([{ check: 'none', resumedBytes: 2 * MIB }])
})

it('does not mix what two sources give where nothing could tell them apart', async () => {
  const { partials } = await openTemp()
  const sources = ['a', 'b'].map((name) => memorySource(name, { model: someBytes(10, name) }))
  const wanted = [{ path: 'model', size: 10, version }]
  await expect(download(partials, wanted, sources, quick)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  const short = [{ path: 'model', size: 10, version: version.subarray(1) }]
  await expect(download(partials, short, sources, quick)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})
