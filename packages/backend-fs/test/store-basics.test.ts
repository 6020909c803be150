import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { parseCid, type ProfileName } from '@x/cid'
import { buildSource, toSourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openFsStore, pathSource } from '../src/index.ts'
import { bytesOf, collect, directoryOf, filesBelow, isSame, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const profiles: ProfileName[] = ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1']
const sizes = [0, 1, 256 * 1024, 256 * 1024 + 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 17]

it.each(profiles.flatMap((profile) => sizes.map((size) => [profile, size] as const)))(
  'keeps a file of %s and %d bytes whole and gives back it and each of its blocks',
  async (profile, size) => {
    const { store, directory } = await openTemp()
    const bytes = someBytes(size)
    const added = await store.add(bytes, { profile, name: 'org/thing', metadata: { a: [1, null] } })
    expect(added).toEqual({ cid: (await buildSource(toSourceNode(bytes), { profile })).cid, type: 'file', size })
    expect(isSame(await bytesOf(store.cat(added.cid)), bytes)).toBe(true)
    expect(await store.stat(added.cid)).toEqual({ cid: added.cid, type: 'file', size })
    expect(await store.has(added.cid)).toBe(true)
    expect(await store.verify(added.cid)).toBe(size)
    const path = await store.getPath(added.cid)
    expect(path.startsWith(directory)).toBe(true)
    expect(isSame(await readFile(path), bytes)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o444)
    const blocks = await collect(store.blocks.list())
    expect(blocks.map(String)).toContain(added.cid.toV1().toString())
    for (const cid of blocks) {
      const block = await store.blocks.get(cid)
      await expect(store.blocks.put(cid, block)).resolves.toBeUndefined()
      expect(await store.blocks.has(cid)).toBe(true)
    }
    const again = await openFsStore({ directory })
    for (const cid of blocks) expect((await again.blocks.get(cid)).length).toBeGreaterThanOrEqual(0)
    expect(await collect(again.roots())).toMatchObject([
      { cid: added.cid, type: 'file', size, pinned: true, names: ['org/thing'], metadata: { a: [1, null] } },
    ])
    expect(await filesBelow(join(directory, 'tmp'))).toEqual([])
  },
)

it('reads any range and exactly its leaves', async () => {
  const { store } = await openTemp()
  const bytes = someBytes(2 * MIB + 100)
  for (const profile of profiles) {
    const { cid } = await store.add(bytes, { profile })
    for (const [offset, length] of [
      [0, 0],
      [0, 1],
      [MIB - 1, 2],
      [MIB, MIB],
      [2 * MIB, 1000],
      [2 * MIB + 100, 5],
      [2 * MIB + 99, undefined],
      [9 * MIB, 1],
      [256 * 1024 - 1, 256 * 1024 + 2],
    ] as const) {
      const read = await bytesOf(store.cat(cid, { offset, length }))
      expect(isSame(read, bytes.slice(offset, length === undefined ? undefined : offset + length))).toBe(true)
    }
  }
})

it('keeps a directory with symlinks and empty directories, and shows it as a view', async () => {
  const source = join(await tempDirectory(), 'model')
  await mkdir(join(source, 'onnx', 'empty'), { recursive: true })
  await writeFile(join(source, 'config.json'), '{}')
  await writeFile(join(source, '.hidden'), 'x')
  await writeFile(join(source, 'onnx', 'model.onnx'), someBytes(2 * MIB))
  await symlink('../config.json', join(source, 'onnx', 'link.json'))
  await symlink('/etc/passwd', join(source, 'outside'))
  const warnings: string[] = []
  const { store } = await openTemp({ onWarning: (message) => warnings.push(message) })
  const { cid, size } = await store.add(await pathSource(source), { name: 'm' })
  expect(size).toBe(2 * MIB + 2)
  expect((await collect(store.ls(cid))).map(({ name, type, size: bytes }) => [name, type, bytes])).toEqual([
    ['config.json', 'file', 2],
    ['onnx', 'directory', 2 * MIB],
    ['outside', 'symlink', 11],
  ])
  const view = await store.getPath(cid)
  expect(await readFile(join(view, 'onnx/link.json'), 'utf8')).toBe('{}')
  expect((await filesBelow(view)).map((path) => path.slice(view.length + 1))).toEqual([
    'config.json',
    'onnx/link.json',
    'onnx/model.onnx',
  ])
  expect(warnings).toEqual([expect.stringContaining('outside -> /etc/passwd')])
  expect(await store.getPath(cid, { path: '/onnx//model.onnx' })).toBe(join(view, 'onnx/model.onnx'))
  await expect(store.getPath(cid, { path: 'nope' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(store.getPath(cid, { path: 'outside' })).rejects.toMatchObject({ code: 'NOT_FOUND' })

  // A view that someone meddled with is built anew.
  await chmod(join(view, 'config.json'), 0o644)
  await writeFile(join(view, 'extra'), 'x')
  expect(await store.getPath(cid)).toBe(view)
  expect(await filesBelow(view)).toHaveLength(3)
})

it('says what is absent', async () => {
  const { store } = await openTemp()
  const cid = parseCid('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  for (const call of [
    () => store.stat(cid),
    () => store.pin(cid),
    () => store.verify(cid),
    () => store.getPath(cid),
    () => collect(store.cat(cid)),
    () => collect(store.ls(cid)),
    () => store.blocks.get(cid),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  }
  expect(await store.has(cid)).toBe(false)
  await expect(store.remove(cid)).resolves.toBeUndefined()
  await expect(store.unpin(cid)).resolves.toBeUndefined()
  expect(await store.status()).toMatchObject({ available: true, name: 'fs', details: { roots: 0, format: 3 } })
})

it('removes, unpins and collects only what nothing else needs', async () => {
  const { store, directory } = await openTemp()
  const shared = someBytes(MIB + 5, 'shared')
  const a = await store.add(directoryOf({ shared, a: someBytes(9, 'a') }))
  const b = await store.add(directoryOf({ shared }), { name: 'b', pin: false })
  const c = await store.add(someBytes(20, 'c'), { pin: false })
  await store.getPath(a.cid)
  const dry = await store.gc({ dryRun: true })
  expect(dry.roots.map(String)).toEqual([c.cid.toString()])
  expect(dry).toMatchObject({ blocks: 1, freedBytes: 20 })
  expect(await store.gc()).toEqual(dry)
  expect(await store.has(c.cid)).toBe(false)
  await store.remove(a.cid)
  expect(await store.has(a.cid)).toBe(false)
  expect(await store.has(b.cid)).toBe(true)
  expect(isSame(await bytesOf(store.cat(b.cid, { path: 'shared' })), shared)).toBe(true)
  await store.remove(b.cid)
  for (const area of ['files', 'blocks', 'packs', 'references', 'views', 'quarantine', 'leases', 'tmp']) {
    expect(await filesBelow(join(directory, area))).toEqual([])
  }
})
