import { spawnSync } from 'node:child_process'
import { chmod, mkdir, open, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { buildSource, type SourceNode } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { pathSource } from '../src/index.ts'
import { asNobody, bytesOf, collect, openTemp, someBytes, tempDirectory } from './support.ts'

async function names(node: SourceNode): Promise<string[]> {
  if (node.type !== 'directory') return [node.type]
  const found: string[] = []
  for await (const [name, child] of node.entries({})) {
    const below = await names(child)
    found.push(...(child.type === 'directory' ? [name, ...below.map((inner) => `${name}/${inner}`)] : [name]))
  }
  return found
}

it('leaves hidden entries out and keeps symlinks, as Kubo does', async () => {
  const directory = await tempDirectory()
  await mkdir(join(directory, 'b', '.git'), { recursive: true })
  await writeFile(join(directory, 'a'), 'a')
  await writeFile(join(directory, '.env'), 'secret')
  await symlink('nowhere', join(directory, 'b', 'link'))
  expect(await names(await pathSource(directory))).toEqual(['a', 'b', 'b/link'])
  expect(await names(await pathSource(directory, { hidden: true }))).toEqual(['.env', 'a', 'b', 'b/.git', 'b/link'])
})

it('takes a hidden file, and the end of a symlink, when they are what was named', async () => {
  const directory = await tempDirectory()
  await writeFile(join(directory, '.env'), 'secret')
  await symlink('.env', join(directory, 'link'))
  for (const name of ['.env', 'link']) {
    const source = await pathSource(join(directory, name))
    expect(source).toMatchObject({ type: 'file', size: 6 })
    if (source.type !== 'file') throw new Error('not a file')
    expect(Buffer.from(await bytesOf(source.open({}))).toString()).toBe('secret')
  }
})

it('holds unusual names and gives them back as they are', async () => {
  const directory = await tempDirectory()
  const unusual = [
    '\u00e9-nfc',
    'e\u0301-nfd',
    'with space',
    'new\nline',
    '-dash',
    'x'.repeat(255),
    '\ud83e\udd16',
    '%2F',
    'a\\b',
    '*?"<>|',
  ]
  for (const name of unusual) await writeFile(join(directory, name), name)
  const { store } = await openTemp()
  const { cid } = await store.add(await pathSource(directory))
  const entries = await collect(store.ls(cid))
  expect(entries.map(({ name }) => name)).toEqual(
    unusual.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  for (const name of unusual) {
    expect(Buffer.from(await bytesOf(store.cat(cid, { path: name }))).toString()).toBe(name)
  }
  expect(await names(await pathSource(await store.getPath(cid)))).toEqual(entries.map(({ name }) => name))
})

it('refuses a name that is not UTF-8', async () => {
  const directory = await tempDirectory()
  await writeFile(Buffer.concat([Buffer.from(`${directory}/bad-`), Buffer.from([0xff, 0xfe])]), 'x')
  await expect(buildSource(await pathSource(directory))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('bad-\u00ff\u00fe'),
  })
})

it('follows links inside and refuses those that lead out, loop, or end nowhere', async () => {
  const directory = await tempDirectory()
  const model = join(directory, 'model')
  await mkdir(join(model, 'sub'), { recursive: true })
  await writeFile(join(model, 'a'), 'a')
  await writeFile(join(directory, 'outside'), 'x')
  await symlink('../a', join(model, 'sub', 'a'))
  await symlink('sub', join(model, 'again'))
  const follow = async () => buildSource(await pathSource(model, { symlinks: 'follow' }))
  expect(await names(await pathSource(model, { symlinks: 'follow' }))).toEqual([
    'a',
    'again',
    'again/a',
    'sub',
    'sub/a',
  ])
  expect(await follow()).toMatchObject({ type: 'directory', size: 3 })
  const link = join(model, 'sub', 'link')
  for (const [target, why] of [
    ['../../outside', 'leads out of'],
    ['/etc/passwd', 'leads out of'],
    ['..', 'leads back to itself'],
    ['link', 'leads back to itself'],
    ['nowhere', 'points to nothing'],
  ] as const) {
    await symlink(target, link)
    await expect(follow()).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(why) })
    await expect(follow()).rejects.toThrow(/(sub|again)\/link/)
    await rm(link)
  }
})

it('names what is missing or cannot be added', async () => {
  const directory = await tempDirectory()
  await expect(pathSource('')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(pathSource('a\0b')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(pathSource(join(directory, 'nope'))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    what: join(directory, 'nope'),
  })
  await writeFile(join(directory, 'file'), '')
  await expect(pathSource(join(directory, 'file', 'x'))).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(pathSource('/dev/null')).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('device'),
  })
  const server = createServer().listen(join(directory, 'socket'))
  onTestFinished(() => void server.close())
  await expect(buildSource(await pathSource(directory))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/socket is a socket/),
  })
  expect(spawnSync('mkfifo', [join(directory, 'fifo')]).status).toBe(0)
  await expect(pathSource(join(directory, 'fifo'))).rejects.toThrow('fifo is a FIFO')
})

it('cannot tell what it may not read', async () => {
  const directory = await tempDirectory()
  await writeFile(join(directory, 'secret'), 'x')
  await chmod(join(directory, 'secret'), 0)
  const source = await pathSource(directory)
  await asNobody(async () => {
    await expect(buildSource(source)).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
    await expect(pathSource(join(directory, 'secret'))).rejects.toMatchObject({ code: 'BACKEND' })
  })
})

const MIB = 1024 * 1024

it.each([
  ['grows', (path: string) => writeFile(path, 'more', { flag: 'a' })],
  ['is cut', (path: string) => writeFile(path, 'short')],
  [
    'is written to in place',
    async (path: string) => {
      const handle = await open(path, 'r+')
      await handle.write('x', 0)
      await handle.close()
    },
  ],
  [
    'is replaced',
    async (path: string) => {
      await writeFile(`${path}.new`, someBytes(5 * MIB, 'new'))
      await rename(`${path}.new`, path)
    },
  ],
  ['is removed', (path: string) => rm(path)],
])('a file that %s while it is added is refused, and nothing of it is visible', async (_how, change) => {
  const path = join(await tempDirectory(), 'model.onnx')
  await writeFile(path, someBytes(5 * MIB))
  // Clocks of file systems tick slowly; two writes in one tick have one time.
  await utimes(path, 1, 1)
  const { store } = await openTemp()
  const source = await pathSource(path)
  let changed: Promise<void> | undefined
  const touched: SourceNode = {
    type: 'file',
    open: async function* (options) {
      if (source.type !== 'file') return
      for await (const piece of source.open(options)) {
        changed ??= change(path)
        await changed
        yield piece
      }
    },
  }
  await expect(store.add(touched, { name: 'm' })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining(`${path} changed while it was read`),
  })
  expect(await collect(store.roots())).toEqual([])
  expect(await collect(store.names.list())).toEqual([])
  expect((await store.gc()).blocks).toBe(0)
  expect(await collect(store.blocks.list())).toEqual([])
})

it('a consumer may hold the pieces', async () => {
  const path = join(await tempDirectory(), 'file')
  const bytes = someBytes(3 * MIB + 1)
  await writeFile(path, bytes)
  const source = await pathSource(path)
  if (source.type !== 'file') throw new Error('not a file')
  expect(Buffer.compare(Buffer.concat(await collect(source.open({}))), bytes)).toBe(0)
})
