import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { exportStaticDirectory } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

const big = new Uint8Array(5_000_000).map((_, index) => (index * 7919) >> 8)

async function setup() {
  const store = await openTemporary()
  const { cid } = await store.add(big)
  return { store, cid, folder: path.join(await temporaryDirectory(), 'a', 'folder') }
}

const filesIn = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).toSorted()
}

it('writes a file whole, beside what is there, and nothing twice', async () => {
  const { store, cid, folder } = await setup()
  expect(await exportStaticDirectory(store, cid, folder)).toMatchObject({ cid, objects: 3 })
  const data = path.join(folder, 'roots', `${cid}`, 'data')
  expect((await readFile(data)).equals(big)).toBe(true)
  expect(await filesIn(folder)).toEqual(['ipfs-accelerate-static.json', `roots/${cid}/data`, `roots/${cid}/outboard`])
  expect(JSON.parse(await readFile(path.join(folder, 'ipfs-accelerate-static.json'), 'utf8'))).toEqual({
    format: 'ipfs-accelerate-static',
    version: 1,
  })
  await utimes(data, 1, 1)
  const other = await store.add(new TextEncoder().encode('other'))
  await exportStaticDirectory(store, other.cid, folder)
  expect(await exportStaticDirectory(store, cid, folder)).toMatchObject({ objects: 0, bytes: 0 })
  expect((await stat(data)).mtimeMs).toBe(1000)
  expect((await filesIn(folder)).length).toBe(4)
})

it('leaves nothing half done when it is stopped, and goes on', async () => {
  const { store, cid, folder } = await setup()
  const caller = new AbortController()
  const reason = new Error('the caller gave up')
  const onProgress = (written: number): void => {
    if (written > 2_000_000) caller.abort(reason)
  }
  const stopped = exportStaticDirectory(store, cid, folder, { signal: caller.signal, onProgress })
  await expect(stopped).rejects.toBe(reason)
  expect(await filesIn(folder)).toEqual(['ipfs-accelerate-static.json'])
  expect(await exportStaticDirectory(store, cid, folder)).toMatchObject({ objects: 2 })
})

it('says that the disk is full, and goes on when it is not', async (context) => {
  const { store, cid } = await setup()
  const disk = await mountSmallDisk({ sizeBytes: 6_000_000 })
  if ('reason' in disk) {
    context.skip(disk.reason)
    return
  }
  onTestFinished(() => disk.unmount())
  const folder = path.join(disk.directory, 'folder')
  await exportStaticDirectory(store, cid, folder)
  const { cid: second } = await store.add(big.toReversed())
  await expect(exportStaticDirectory(store, second, folder)).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect((await filesIn(folder)).filter((file) => file.includes(`${second}`) || file.includes('partial'))).toEqual([])
  await writeFile(path.join(folder, 'roots', `${cid}`, 'data'), '')
  expect(await exportStaticDirectory(store, second, folder)).toMatchObject({ objects: 2 })
})

it('refuses what is in the way', async () => {
  const { store, cid, folder } = await setup()
  await mkdir(path.dirname(folder), { recursive: true })
  await writeFile(folder, 'a file')
  await expect(exportStaticDirectory(store, cid, folder)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  const other = path.join(await temporaryDirectory(), 'other')
  await mkdir(path.join(other, 'roots', `${cid}`, 'data'), { recursive: true })
  await expect(exportStaticDirectory(store, cid, other)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('adds nothing to a folder of something else, and makes none for a root that is not there', async () => {
  const { store, cid, folder } = await setup()
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'ipfs-accelerate-static.json'), 'hi')
  await expect(exportStaticDirectory(store, cid, folder)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(await readdir(folder)).toEqual(['ipfs-accelerate-static.json'])
  const other = path.join(await temporaryDirectory(), 'other')
  const empty = await openTemporary()
  await expect(exportStaticDirectory(empty, cid, other)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(readdir(other)).rejects.toMatchObject({ code: 'ENOENT' })
})

it('ends where no directory can be made', async (context) => {
  if (process.platform !== 'linux') context.skip('there is no /proc')
  const { store, cid } = await setup()
  await expect(exportStaticDirectory(store, cid, '/proc/nope')).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
