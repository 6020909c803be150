import { execFileSync } from 'node:child_process'
import {
  chmod,
  constants,
  copyFile,
  open,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'

import type { CID } from '@x/cid'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { mountReflinkDisk } from '../../../tooling/faults/reflink-disk.ts'
import { openFsStore, pathSource } from '../src/index.ts'
import { layoutOf } from '../src/layout.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

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

async function onReflinkDisk(context: TestContext): Promise<string | undefined> {
  const disk = await mountReflinkDisk()
  if ('reason' in disk) {
    context.skip(disk.reason)
    return undefined
  }
  onTestFinished(() => disk.unmount())
  return disk.directory
}

/** How much less space there is on the disk after the work. */
async function spaceTaken(disk: string, work: () => Promise<unknown>): Promise<number> {
  const free = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(disk)
    return bavail * bsize
  }
  const before = await free()
  await work()
  return before - (await free())
}

/** Leaves its size and inode as they are. */
async function spoil(path: string): Promise<void> {
  await chmod(path, 0o644)
  const handle = await open(path, 'r+')
  await handle.write('changed', MIB)
  await handle.close()
}

it('reflink takes no space, and a change of the original does not reach the store', async (context) => {
  const disk = await onReflinkDisk(context)
  if (disk === undefined) return
  const { store, directory } = await openTemp({ directory: join(disk, 'store') })
  const large = someBytes(16 * MIB + 7)
  const path = join(disk, 'model.bin')
  await writeFile(path, large, { flush: true })
  const source = await pathSource(path)
  let root: CID | undefined
  const addClone = async () => ({ cid: root } = await store.add(source, { mode: 'reflink' }))
  expect(await spaceTaken(disk, addClone)).toBeLessThan(MIB)
  expect(await spaceTaken(disk, () => store.add(someBytes(16 * MIB, 'copied')))).toBeGreaterThan(16 * MIB - 1)
  if (!root) throw new Error('nothing was added')
  await spoil(path)
  expect(await store.verify(root)).toBe(large.length)
  expect(isSame(await readFile(layoutOf(directory).fileOf(root.toString())), large)).toBe(true)
  await rm(path)
  expect(isSame(await bytesOf(store.cat(root)), large)).toBe(true)
})

it('a view is made of clones where there are reflinks: whoever changes one does not damage the store', async (context) => {
  const disk = await onReflinkDisk(context)
  if (disk === undefined) return
  const warnings: string[] = []
  const { store } = await openTemp({ directory: join(disk, 'store'), onWarning: (text) => warnings.push(text) })
  const large = someBytes(16 * MIB + 7)
  const { cid } = await store.add(directoryOf({ 'model.bin': large, 'config.json': someBytes(20) }))
  let view = ''
  expect(await spaceTaken(disk, async () => (view = await store.getPath(cid)))).toBeLessThan(MIB)
  const path = join(view, 'model.bin')
  expect((await stat(path)).nlink).toBe(1)
  await spoil(path)
  expect(await store.verify(cid)).toBe(large.length + 20)
  expect(warnings).toEqual([])
  expect(await store.getPath(cid)).toBe(view)
  expect(warnings).toEqual([expect.stringContaining('built anew')])
  expect(isSame(await readFile(path), large)).toBe(true)
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

it('a FIFO that took the place of a file that is referred to is refused, and blocks nobody', async () => {
  const { store } = await openTemp()
  const path = await userFile()
  const { cid } = await store.add(await pathSource(path), { mode: 'reference' })
  await rm(path)
  execFileSync('mkfifo', [path])
  const reads = Array.from({ length: 8 }, () => bytesOf(store.cat(cid)))
  for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'BACKEND' })
})
