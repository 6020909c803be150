import { expect, it } from 'vitest'

import { openModelDirectory, type OpenedModel } from '../src/index.ts'
import { createSmallFiles } from '../src/small-files.ts'
import { filesSource, tinyBert } from './support.ts'

const MIB = 1024 * 1024

/** A model whose files say that they have `size` bytes, and what was read of it. */
async function counted(size: number): Promise<{ model: OpenedModel; read: string[] }> {
  const opened = await openModelDirectory(filesSource(tinyBert()), '/models/tiny')
  const read: string[] = []
  const model: OpenedModel = {
    ...opened,
    files: opened.files.map((file) => ({ ...file, size })),
    read: async (path) => {
      read.push(path)
      return opened.read(path)
    },
  }
  return { model, read }
}

it('a small file is read once, until it is cleared', async () => {
  const { model, read } = await counted(1)
  const small = createSmallFiles()
  const [first, second] = await Promise.all([small.read(model, 'config.json'), small.read(model, 'config.json')])
  expect(second.bytes).toBe(first.bytes)
  expect(first).toEqual({ bytes: tinyBert()['config.json'], isKept: true })
  await expect(small.read(model, 'other.json')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(read).toEqual(['config.json', 'other.json'])
  small.clear()
  await small.read(model, 'config.json')
  expect(read).toHaveLength(3)
})

it('no more than 64 MiB are kept of all, those that were asked for last; what is large is not kept', async () => {
  const { model, read } = await counted(30 * MIB)
  const small = createSmallFiles()
  const ask = async (...paths: string[]): Promise<string[]> => {
    read.length = 0
    for (const path of paths) await small.read(model, path)
    return [...read]
  }
  const [a = '', b = '', c = ''] = model.files.map(({ path }) => path)
  expect(await ask(a, b, a, b)).toEqual([a, b])
  expect(await ask(a, c, a, c)).toEqual([c])
  expect(await ask(b)).toEqual([b])
  const large = await counted(33 * MIB)
  expect(await small.read(large.model, 'config.json')).toMatchObject({ isKept: false })
  expect(await ask(c, b)).toEqual([])
})
