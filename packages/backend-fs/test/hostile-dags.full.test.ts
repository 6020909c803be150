import { readdir } from 'node:fs/promises'

import { buildDirectory, encodeSymlink, RAW, cidOf, type CID } from '@x/cid'
import { expect, it } from 'vitest'

import { flipStoredByte } from '../../../tooling/fixtures/src/flip-stored-byte.ts'
import type { FsStore } from '../src/index.ts'
import { collect, openTemp, someBytes } from './support.ts'

// Few blocks that make very many entries: without a limit none of these would end.

async function putDirectory(store: FsStore, entries: Record<string, CID>): Promise<CID> {
  const links = Object.entries(entries).map(([name, cid]) => ({ name, cid, dagBytes: 0 }))
  const { cid } = await buildDirectory(links, {
    onBlock: (block) => store.blocks.put(block.cid, block.bytes, { verified: true }),
  })
  return cid
}

async function putFile(store: FsStore, bytes: Uint8Array): Promise<CID> {
  const cid = await cidOf(RAW, bytes)
  await store.blocks.put(cid, bytes, { verified: true })
  return cid
}

async function putSymlink(store: FsStore, target: string): Promise<CID> {
  const { cid, bytes } = await encodeSymlink(1, target)
  await store.blocks.put(cid, bytes, { verified: true })
  return cid
}

/** Directories of two links each to the next one, with a file in the last. */
async function doubled(store: FsStore, levels: number, file: CID): Promise<CID> {
  let cid = await putDirectory(store, { file })
  for (let level = 0; level < levels; level++) cid = await putDirectory(store, { a: cid, b: cid })
  return cid
}

it('a directory that is linked over and over is verified once, and has no view without end', async () => {
  const { store } = await openTemp()
  const root = await doubled(store, 40, await putFile(store, someBytes(10)))
  expect(await store.verify(root)).toBe(10)
  expect(await store.stat(root)).toMatchObject({ type: 'directory', size: 10 * 2 ** 40 })
  expect(await collect(store.ls(root))).toHaveLength(2)
  expect(await store.has(root)).toBe(true)
  await expect(store.getPath(root)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/1000000 entries/),
  })
})

it('what is damaged in it is named by a path', async () => {
  const { store, directory } = await openTemp()
  const bytes = someBytes(100_000)
  const root = await doubled(store, 40, (await store.add(bytes)).cid)
  await flipStoredByte(directory, bytes)
  await expect(store.verify(root)).rejects.toMatchObject({
    code: 'INTEGRITY',
    file: expect.stringMatching(/^([ab]\/){40}file$/),
  })
})

it('a view shows a directory that is linked twice in both places', async () => {
  const { store } = await openTemp()
  const root = await doubled(store, 3, await putFile(store, someBytes(10)))
  const names = await readdir(await store.getPath(root), { recursive: true })
  expect(names.filter((name) => name.endsWith('file'))).toHaveLength(8)
  expect(await store.verify(root)).toBe(10)
})

it('a size that no number can tell is refused', async () => {
  const { store } = await openTemp()
  const root = await doubled(store, 60, await putFile(store, someBytes(10)))
  await expect(store.stat(root)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/2\^53/),
  })
})

it('a chain of symlinks makes no path that is too deep', async () => {
  const { store } = await openTemp()
  const entries: Record<string, CID> = {}
  for (let at = 0; at < 300; at++) {
    entries[`d${at}`] = await putDirectory(store, { n: await putSymlink(store, `../d${at + 1}`) })
  }
  const root = await putDirectory(store, entries)
  await expect(store.getPath(root)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/256 levels deep/),
  })
})

it('symlinks make no paths that are too long together', async () => {
  const { store } = await openTemp()
  const entries: Record<string, CID> = {}
  const [left, right] = ['l'.repeat(4000), 'r'.repeat(4000)]
  for (let at = 0; at < 40; at++) {
    const link = await putSymlink(store, `../d${at + 1}`)
    entries[`d${at}`] = await putDirectory(store, { [left]: link, [right]: link })
  }
  const root = await putDirectory(store, entries)
  await expect(store.getPath(root)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/characters in its paths/),
  })
})

it('symlinks with long targets, each through all of another one, are given up', async () => {
  const { store } = await openTemp()
  const entries: Record<string, CID> = { x: await putDirectory(store, {}) }
  const there = 'x/../'.repeat(700)
  for (let at = 0; at < 30; at++) entries[`s${at}`] = await putSymlink(store, `${there}s${at + 1}`)
  entries.s30 = await putSymlink(store, `${there}x`)
  const link = await putSymlink(store, '../s0')
  entries.many = await putDirectory(store, Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`${at}`, link])))
  const root = await putDirectory(store, entries)
  await expect(store.getPath(root)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/segments of symlinks/),
  })
})
