import { chmod, copyFile, constants, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { openFsStore, pathSource } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { bytesOf, collect, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const content = someBytes(3 * MIB + 7)

async function userFile(bytes: Uint8Array = content): Promise<string> {
  const path = join(await tempDirectory(), 'model.bin')
  await writeFile(path, bytes)
  return path
}

it('reference leaves the file where it is, and reads it from there', async () => {
  const { store, directory } = await openTemp()
  const path = await userFile()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  expect(cid).toEqual((await (await openTemp()).store.add(content)).cid)
  const held = await Promise.all((await filesBelow(directory)).map(async (file) => (await stat(file)).size))
  expect(held.reduce((sum, size) => sum + size, 0)).toBeLessThan(content.length)
  expect(isSame(await bytesOf(store.cat(cid)), content)).toBe(true)
  expect(isSame(await bytesOf(store.cat(cid, { verify: 'stored', offset: 5, length: 9 })), content.slice(5, 14))).toBe(
    true,
  )
  expect(await store.getPath(cid)).toBe(path)
  expect(await store.has(cid)).toBe(true)
  await store.rebuild()
  expect(await store.verify(cid)).toBe(content.length)
  await store.remove(cid)
  expect(await store.has(cid)).toBe(false)
  expect(await filesBelow(join(directory, 'references'))).toEqual([])
  expect(isSame(await readFile(path), content)).toBe(true)
})

it.each([
  ['written to', (path: string) => writeFile(path, someBytes(content.length, 'other'))],
  ['cut short', (path: string) => writeFile(path, content.subarray(0, MIB))],
  [
    'replaced by another',
    async (path: string) => {
      await writeFile(`${path}.new`, someBytes(content.length, 'other'))
      await rename(`${path}.new`, path)
    },
  ],
  [
    'written to, with its time set back',
    async (path: string) => {
      const { atime, mtime } = await stat(path)
      await writeFile(path, someBytes(content.length, 'other'))
      await utimes(path, atime, mtime)
    },
  ],
])('a referenced file that was %s is refused, and stays as it is', async (_what, change) => {
  const { store, directory } = await openTemp()
  const path = await userFile()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  await change(path)
  const changed = await readFile(path)
  for (let round = 0; round < 2; round++) {
    for (const read of [() => bytesOf(store.cat(cid)), () => store.verify(cid), () => store.getPath(cid)]) {
      await expect(read()).rejects.toMatchObject({ code: 'INTEGRITY', message: expect.stringContaining(path) })
    }
  }
  expect(isSame(await readFile(path), changed)).toBe(true)
  expect(await filesBelow(layoutOf(directory).quarantine)).toEqual([])
  // Where the bytes come again, they are kept.
  await store.add(content)
  expect(await store.verify(cid)).toBe(content.length)
  expect(isSame(await readFile(path), changed)).toBe(true)
})

it('a referenced file that is gone is absent, and its place is named', async () => {
  const { store } = await openTemp()
  const path = await userFile()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  await rm(path)
  await expect(store.verify(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining(path) })
  expect(await store.has(cid)).toBe(false)
  await expect(store.pin(cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

it('a copy takes the place of a reference, and a reference not that of a copy', async () => {
  const { store, directory } = await openTemp()
  const path = await userFile()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  await store.add(await pathSource(path))
  expect(await filesBelow(join(directory, 'references'))).toEqual([])
  await store.add(await pathSource(path), { mode: 'reference' })
  await rm(path)
  expect(await store.verify(cid)).toBe(content.length)
})

it('a directory can be referenced; its small files are copied', async () => {
  const { store } = await openTemp()
  const folder = await tempDirectory()
  await writeFile(join(folder, 'config.json'), '{}')
  await writeFile(join(folder, 'weights.bin'), content)
  const { cid } = await store.add(await pathSource(folder), { mode: 'reference' })
  const view = await store.getPath(cid)
  expect(isSame(await readFile(join(view, 'weights.bin')), content)).toBe(true)
  expect(await readFile(join(view, 'config.json'), 'utf8')).toBe('{}')
  await rm(join(folder, 'config.json'))
  expect(await store.verify(cid)).toBe(content.length + 2)
})

async function canShareBytes(path: string): Promise<boolean> {
  try {
    await copyFile(path, `${path}.clone`, constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    return false
  }
}

it('reflink is refused where the file system has no such thing', async (context) => {
  const { store, directory } = await openTemp()
  const path = await userFile()
  if (await canShareBytes(path)) context.skip('this file system has reflinks')
  const refused = store.add(await pathSource(path), { mode: 'reflink' })
  await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(path) })
  expect(await collect(store.roots())).toEqual([])
  expect(await filesBelow(join(directory, 'tmp'))).toEqual([])
})

it('reflink shares the bytes where the file system can', async (context) => {
  const { store } = await openTemp()
  const path = await userFile()
  const canClone = await canShareBytes(path)
  if (!canClone) context.skip('this file system has no reflinks; the next test asks for the refusal')
  const { cid } = await store.add(await pathSource(path), { mode: 'reflink' })
  await chmod(path, 0o644)
  await writeFile(path, 'changed')
  expect(await store.verify(cid)).toBe(content.length)
})

it('stored trusts a file that nobody wrote to since, and no other', async () => {
  const { store, directory } = await openTemp()
  const layout = layoutOf(directory)
  const { cid } = await store.add(content)
  const path = layout.fileOf(cid.toString())
  const receipts: string[] = []
  const readStored = () =>
    bytesOf(
      store.cat(cid, {
        verify: 'stored',
        offset: 3,
        length: 100,
        onReceipt: ({ verified }) => receipts.push(verified),
      }),
    )
  expect(isSame(await readStored(), content.slice(3, 103))).toBe(true)
  const { atime, mtime } = await stat(path)
  await chmod(path, 0o644)
  const bad = new Uint8Array(content)
  bad[50] = (bad[50] ?? 0) ^ 1
  await writeFile(path, bad)
  await expect(readStored()).rejects.toMatchObject({ code: 'INTEGRITY', offset: 0 })
  expect(receipts).toEqual(['stored'])
  // What it rests on: a writer who sets the time back goes unnoticed, by `stored` alone.
  await store.add(content)
  await chmod(path, 0o644)
  await writeFile(path, bad)
  await utimes(path, atime, mtime)
  expect(await store.getPath(cid, { verify: 'stored' }).catch((error: unknown) => error)).toMatchObject({
    code: 'INTEGRITY',
  })
  await expect(store.verify(cid)).rejects.toMatchObject({ code: 'INTEGRITY' })
})

it('a store that was copied elsewhere trusts nothing until it was hashed again', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(content)
  await store.close()
  const moved = `${directory}-moved`
  const { cp } = await import('node:fs/promises')
  await cp(directory, moved, { recursive: true })
  const copy = await openFsStore({ directory: moved })
  const verified: string[] = []
  await bytesOf(copy.cat(cid, { verify: 'stored', onReceipt: (receipt) => verified.push(receipt.verified) }))
  expect(verified).toEqual(['each-leaf'])
  await copy.close()
})
