import { link, readFile, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { toSourceNode, type SourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { layoutOf } from '../src/layout.ts'
import { directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024
const linkTo = (target: string): SourceNode => ({ type: 'symlink', target })
const directory = (entries: Record<string, SourceNode>): SourceNode => ({
  type: 'directory',
  entries: () => Object.entries(entries),
})
const file = (text: string): SourceNode => toSourceNode(new TextEncoder().encode(text))

it('shows a symlink as what it points to inside, and leaves out every other', async () => {
  const warnings: string[] = []
  const { store } = await openTemp({ onWarning: (message) => warnings.push(message) })
  const { cid } = await store.add(
    directory({
      sub: directory({ file: file('sub/file'), up: linkTo('../top'), self: linkTo('.'), out: linkTo('../../x') }),
      top: file('top'),
      chain: linkTo('sub/up'),
      dir: linkTo('./sub/'),
      through: linkTo('dir/file'),
      loop: linkTo('loop'),
      ping: linkTo('pong'),
      pong: linkTo('ping'),
      gone: linkTo('nowhere'),
      absolute: linkTo('/etc/passwd'),
    }),
  )
  const view = await store.getPath(cid)
  const shown = await filesBelow(view)
  expect(shown.map((path) => path.slice(view.length + 1))).toEqual([
    'chain',
    'dir/file',
    'dir/up',
    'sub/file',
    'sub/up',
    'through',
    'top',
  ])
  for (const path of shown) expect((await stat(path)).isFile()).toBe(true)
  expect(await readFile(join(view, 'chain'), 'utf8')).toBe('top')
  expect(await readFile(join(view, 'through'), 'utf8')).toBe('sub/file')
  const leftOut = warnings.map((warning) => warning.replace(/.*symlink (.*) ->.*/, '$1')).toSorted()
  expect(leftOut).toEqual(['absolute', 'dir/out', 'dir/self', 'gone', 'loop', 'ping', 'pong', 'sub/out', 'sub/self'])
})

it('is links to the stored files, and is built anew after the file was replaced', async () => {
  const { store, directory: at } = await openTemp()
  const layout = layoutOf(at)
  const bytes = someBytes(MIB + 3)
  const { cid } = await store.add(directoryOf({ model: bytes }))
  const { cid: fileCid } = await store.add(bytes)
  const path = await store.getPath(cid, { path: 'model' })
  expect((await stat(path)).ino).toBe((await stat(layout.fileOf(fileCid.toString()))).ino)
  await rm(layout.fileOf(fileCid.toString()))
  await expect(store.getPath(cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await store.add(bytes)
  // The old link holds the same bytes, so it may stay; what is opened was hashed.
  expect(isSame(await readFile(await store.getPath(cid, { path: 'model' })), bytes)).toBe(true)
})

it('does not take a symlink in its place for the file', async () => {
  const { store } = await openTemp()
  const { cid } = await store.add(directoryOf({ a: someBytes(10), b: someBytes(10, 'b') }))
  const view = await store.getPath(cid)
  await rm(join(view, 'a'))
  await symlink('b', join(view, 'a'))
  expect(isSame(await readFile(join(await store.getPath(cid), 'a')), someBytes(10))).toBe(true)
  await rm(join(view, 'a'))
  await link(join(view, 'b'), join(view, 'a'))
  expect(isSame(await readFile(join(await store.getPath(cid), 'a')), someBytes(10))).toBe(true)
})

it('says which entry the file system cannot hold', async () => {
  const { store } = await openTemp()
  const { cid } = await store.add(directory({ ['x'.repeat(300)]: file('a') }))
  await expect(store.getPath(cid)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/x{300}/),
  })
  expect(await store.verify(cid)).toBe(1)
})

it('is built once by many who ask at the same time', async () => {
  const { store, directory: at } = await openTemp()
  const { cid } = await store.add(directoryOf({ a: someBytes(10), b: someBytes(MIB) }))
  const paths = await Promise.all(Array.from({ length: 8 }, () => store.getPath(cid)))
  expect(new Set(paths).size).toBe(1)
  expect(await filesBelow(layoutOf(at).temp)).toEqual([])
  expect(await filesBelow(paths[0] ?? '')).toHaveLength(2)
})
