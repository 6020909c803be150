import { openMemoryStore, type DirectorySource } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openCheckpoint, toFloat32 } from '../src/index.ts'

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
const directoryOf = (name: string, bytes: Uint8Array): DirectorySource => ({
  type: 'directory',
  entries: () => [[name, { type: 'file', open: () => once(bytes) }]],
})

it('streams a checkpoint in a browser, and refuses pickle', async () => {
  const header = new TextEncoder().encode('{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}')
  const bytes = Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0, ...header, 0x80, 0x3f, 0x00, 0xc0)
  const store = await openMemoryStore()
  const { cid } = await store.add(directoryOf('model.safetensors', bytes))
  const checkpoint = await openCheckpoint(store, cid)
  const widened: number[] = []
  await checkpoint.forEach((tensor) => {
    if (tensor.dtype === 'bfloat16') widened.push(...toFloat32(tensor))
  })
  expect(widened).toEqual([1, -2])
  const pickled = await store.add(directoryOf('model.pt', bytes))
  await expect(openCheckpoint(store, pickled.cid)).rejects.toMatchObject({ code: 'UNSUPPORTED', files: ['model.pt'] })
})
