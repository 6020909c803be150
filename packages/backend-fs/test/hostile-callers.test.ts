import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { exportCar, importCar, openMemoryStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { layoutOf } from '../src/layout.ts'
import { createSmallFileReader } from '../src/workers/read-small-files.ts'
import { bytesOf, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024

it('a path with a NUL is refused, and takes the place of no other', async () => {
  const directory = await tempDirectory()
  const files = { a: someBytes(10, 'a'), b: someBytes(20, 'b') }
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(directory, name), bytes)
  const reader = createSmallFileReader(1000)
  const read = (path: string): Promise<Uint8Array | undefined> => reader.read(path, async ({ bytes }) => bytes.slice())
  const [bad, b] = await Promise.allSettled([
    read(`${join(directory, 'a')}\0${join(directory, 'a')}`),
    read(join(directory, 'b')),
  ])
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'INVALID_INPUT' } })
  expect(b).toMatchObject({ status: 'fulfilled', value: files.b })
})

it('whoever moves a piece away that was lent gets the rest all the same', async () => {
  const { store } = await openTemp()
  const content = someBytes(12 * MIB + 5)
  const { cid } = await store.add(content)
  const moved: Uint8Array[] = []
  for await (const piece of store.cat(cid, { reuse: true })) {
    const { buffer } = piece
    if (!(buffer instanceof ArrayBuffer)) throw new Error('it is shared')
    moved.push(new Uint8Array(structuredClone(buffer, { transfer: [buffer] })))
  }
  expect(isSame(Buffer.concat(moved).subarray(0, content.length), content)).toBe(true)
})

it('a DAG of few blocks and very many bytes gets no path in a store that may not hold them', async () => {
  const memory = await openMemoryStore()
  const leaf = someBytes(MIB)
  const repeated = Array.from({ length: 64 }, () => leaf)
  const { cid } = await memory.add({ type: 'file', size: undefined, open: () => toAsync(repeated) })
  const { store, directory } = await openTemp({ maxBytes: 8 * MIB })
  await importCar(store, exportCar(memory, cid))
  await expect(store.getPath(cid)).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await filesBelow(layoutOf(directory).temp)).toEqual([])
  expect(isSame(await bytesOf(store.cat(cid, { offset: 63 * MIB })), leaf)).toBe(true)
})

async function* toAsync(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
}
