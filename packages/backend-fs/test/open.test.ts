import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

import { parseCid } from '@x/cid'
import { expect, it } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { asNobody, collect, filesBelow, openTemp, someBytes, tempDirectory } from './support.ts'

const someCid = parseCid('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')

it('makes a store of a missing and of an empty directory, and says which format it has', async () => {
  const directory = join(await tempDirectory(), 'deep', 'store')
  await openFsStore({ directory })
  expect(await readFile(join(directory, 'format'), 'utf8')).toBe('ipfs-accelerate-store 3\n')
  const empty = join(await tempDirectory(), 'empty')
  await mkdir(empty)
  // Left by a process that was killed while it made the store.
  await writeFile(join(empty, 'format.123-00000000-0000'), 'ipfs-acc')
  const { store } = await openTemp({ directory: empty })
  expect(await store.status()).toMatchObject({ available: true })
})

it('leaves a directory that holds something else as it is', async () => {
  const directory = await tempDirectory()
  await writeFile(join(directory, 'thesis.txt'), 'x')
  await expect(openFsStore({ directory })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/thesis\.txt/),
  })
  expect(await filesBelow(directory)).toEqual([join(directory, 'thesis.txt')])
  await writeFile(join(directory, 'format'), 'PNG')
  await expect(openFsStore({ directory })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it.each(['1', '2', '4', '3.1'])('refuses format %s and names both', async (version) => {
  const directory = await tempDirectory()
  await writeFile(join(directory, 'format'), `ipfs-accelerate-store ${version}\n`)
  await expect(openFsStore({ directory })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(`format "${version}"; this version of the program reads format 3`),
  })
  expect(await filesBelow(directory)).toHaveLength(1)
})

it('cannot tell about a file in its place, or a directory that may not be read', async () => {
  const directory = await tempDirectory()
  await writeFile(join(directory, 'file'), 'x')
  await expect(openFsStore({ directory: join(directory, 'file') })).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(openFsStore({ directory: join(directory, 'file', 'deeper') })).rejects.toMatchObject({ code: 'BACKEND' })
  await asNobody(async () => {
    await expect(openFsStore({ directory: join(directory, 'store') })).rejects.toMatchObject({ code: 'BACKEND' })
  })
  await expect(openFsStore({ directory: '' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('read-only, a missing store is absent and a present one is only read', async () => {
  const directory = join(await tempDirectory(), 'store')
  await expect(openFsStore({ directory, readOnly: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const { store } = await openTemp({ directory })
  const { cid } = await store.add(someBytes(100_000))
  const inPack = await store.add(someBytes(10))
  const before = await filesBelow(directory)
  const reader = await openFsStore({ directory, readOnly: true })
  expect(await reader.verify(cid)).toBe(100_000)
  expect(await readFile(await reader.getPath(cid))).toHaveLength(100_000)
  expect(await reader.verify(inPack.cid)).toBe(10)
  await expect(reader.getPath(inPack.cid)).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/read-only/),
  })
  expect((await collect(reader.roots())).length).toBe(2)
  expect(await filesBelow(directory)).toEqual(before)
  expect(await reader.gc({ dryRun: true })).toEqual({ roots: [], blocks: 0, freedBytes: 0 })
  await expect(reader.gc()).rejects.toMatchObject({ code: 'BACKEND' })
})

it('a store whose directory has gone, or became a file, knows nothing to be absent', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(someBytes(10))
  const broken = async (): Promise<void> => {
    for (const call of [
      () => store.has(cid),
      () => store.stat(cid),
      () => collect(store.cat(cid)),
      () => store.blocks.has(someCid),
      () => store.blocks.get(someCid),
      () => store.blocks.delete(someCid),
      () => store.blocks.put(someCid, someBytes(1), { verified: true }),
      () => collect(store.blocks.list()),
      () => store.add(someBytes(10)),
      () => store.remove(cid),
      () => store.pin(cid),
      () => store.unpin(cid),
      () => collect(store.pins()),
      () => collect(store.roots()),
      () => store.gc(),
      () => store.verify(cid),
      () => store.getPath(cid),
      () => store.names.get('a'),
      () => store.names.set('a', cid),
      () => store.names.delete('a'),
      () => collect(store.names.list()),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'BACKEND' })
    }
    expect(await store.status()).toMatchObject({ available: false, reason: expect.any(String) })
  }
  await rename(directory, `${directory}.away`)
  await broken()
  await writeFile(directory, 'a file')
  await broken()
  await rm(directory)
  await rename(`${directory}.away`, directory)
  expect(await store.verify(cid)).toBe(10)
})

it('sweeps what dead processes left and nothing of those that run', async () => {
  const { directory } = await openTemp()
  const temp = join(directory, 'tmp')
  const { thisProcess, uniqueName } = await import('../src/process-identity.ts')
  const mine = uniqueName(thisProcess())
  // 4194305 is over the largest id that Linux gives to a process.
  const dead = uniqueName({ ...thisProcess(), pid: 4_194_305 })
  const elsewhere = uniqueName({ ...thisProcess(), machine: `not ${hostname()}` })
  const long = uniqueName({ ...thisProcess(), machine: 'long gone' })
  for (const name of [mine, dead, elsewhere, long]) await writeFile(join(temp, name), 'x')
  await mkdir(join(temp, `${dead}-view`))
  await utimes(join(temp, long), 1, 1)
  const warnings: string[] = []
  await openFsStore({ directory, onWarning: (message) => warnings.push(message) })
  expect(await filesBelow(temp)).toEqual([mine, elsewhere].map((name) => join(temp, name)).toSorted())
  expect(warnings).toHaveLength(3)
})

it('closed, it does nothing more', async () => {
  const { store } = await openTemp()
  const { cid } = await store.add(someBytes(10))
  await store.close()
  for (const call of [
    () => store.has(cid),
    () => collect(store.cat(cid)),
    () => store.add(someBytes(1)),
    () => store.blocks.get(cid),
    () => store.names.get('a'),
    () => store.gc(),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'BACKEND', message: expect.stringMatching(/closed/) })
  }
  await expect(store.status()).rejects.toMatchObject({ code: 'BACKEND' })
})

it('holds a file once, however often and by whatever CID version it is added', async () => {
  const { store, directory } = await openTemp()
  const bytes = someBytes(300_000)
  const { cid } = await store.add(bytes, { profile: 'unixfs-v0-2015' })
  const files = await filesBelow(join(directory, 'files'))
  const inodes = await Promise.all(files.map(async (path) => (await stat(path)).ino))
  await store.add(bytes, { profile: 'unixfs-v0-2015', name: 'again', metadata: { b: 2 } })
  expect(await filesBelow(join(directory, 'files'))).toEqual(files)
  expect(await Promise.all(files.map(async (path) => (await stat(path)).ino))).toEqual(inodes)
  expect(cid.version).toBe(0)
  expect(await store.verify(cid.toV1())).toBe(bytes.length)
  expect(await collect(store.roots())).toMatchObject([{ cid, names: ['again'], metadata: { b: 2 } }])
})
