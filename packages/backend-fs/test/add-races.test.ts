import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { SourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { pathSource, type FsAddOptions, type FsStore } from '../src/index.ts'
import { keyOf, layoutOf } from '../src/layout.ts'
import { bytesOf, directoryOf, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const content = someBytes(3 * MIB + 7)

/** Adds a directory with that file, and does `work` when the file was taken and nothing is published yet. */
async function addWith(
  store: FsStore,
  file: SourceNode,
  work: () => Promise<unknown>,
  options: FsAddOptions = {},
): Promise<unknown> {
  const taken = Promise.withResolvers<void>()
  const source: SourceNode = {
    type: 'directory',
    entries: async function* () {
      yield ['a', file] as const
      await taken.promise
      await work()
    },
  }
  return store.add(source, {
    ...options,
    onProgress: ({ type }) => {
      if (type === 'file-added') taken.resolve()
    },
  })
}

it('a copy that came while the same file was being referred to stays the one that is held', async () => {
  const { store, directory } = await openTemp()
  const path = join(await tempDirectory(), 'model.bin')
  await writeFile(path, content)
  const { cid } = await (await openTemp()).store.add(content)
  const copy = (): Promise<unknown> => store.add(content)
  await addWith(store, await pathSource(path), copy, { mode: 'reference' })
  await rm(path)
  expect(isSame(await bytesOf(store.cat(cid)), content)).toBe(true)
  expect(await filesBelow(layoutOf(directory).references)).toEqual([])
  await store.rebuild()
  expect(await store.verify(cid)).toBe(content.length)
})

it.each([
  ['a file', content],
  ['a small file in a pack', content.subarray(0, 1000)],
])('%s that is found damaged while an add relies on it is not acknowledged', async (_, bytes) => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const { cid } = await store.add(bytes)
  const path = join(await tempDirectory(), 'same.bin')
  await writeFile(path, bytes)
  const damage = async (): Promise<void> => {
    const [pack = ''] = await filesBelow(layout.packs)
    const held = bytes.length > MIB ? layout.fileOf(keyOf(cid)) : pack
    const stored = await readFile(held)
    stored[stored.length - 1] = (stored.at(-1) ?? 0) ^ 1
    await chmod(held, 0o644)
    await writeFile(held, stored)
    await expect(bytesOf(store.cat(cid))).rejects.toMatchObject({ code: 'INTEGRITY' })
  }
  await expect(addWith(store, await pathSource(path), damage)).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
  })
  const again = await store.add(directoryOf({ a: bytes }))
  expect(isSame(await bytesOf(store.cat(again.cid, { path: 'a' })), bytes)).toBe(true)
})
