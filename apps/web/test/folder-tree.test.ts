import { openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { directoryOf } from '../src/folder/folder-tree.ts'

const files = ['config.json', 'onnx/model.onnx', 'onnx/deep/er.txt', 'a'].map((path) => ({
  path,
  blob: new Blob([path]),
}))

it('gives the files of a folder as they lay in it, whatever their order', async () => {
  const store = await openMemoryStore()
  const { cid } = await store.add(directoryOf(files))
  expect((await store.add(directoryOf(files.toReversed()))).cid.toString()).toBe(cid.toString())
  for (const { path } of files) {
    const pieces: Uint8Array[] = []
    for await (const piece of store.cat(cid, { path })) pieces.push(piece)
    expect(await new Blob(pieces.map((piece) => piece.slice())).text()).toBe(path)
  }
})
