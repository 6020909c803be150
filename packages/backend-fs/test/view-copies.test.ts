import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { expect, it, vi } from 'vitest'

import { layoutOf } from '../src/layout.ts'
import { directoryOf, filesBelow, isSame, openTemp, someBytes } from './support.ts'

// A file system such as exFAT: no links, no clones, and `A` is `a`.

function fail(code: string, syscall: string): never {
  throw Object.assign(new Error(code), { code, syscall })
}
function found(path: string): string {
  return join(dirname(path), basename(path).toLowerCase())
}

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>()
  return {
    ...original,
    link: async () => fail('EPERM', 'link'),
    copyFile: async (from: string, to: string, mode = 0) => {
      if (mode & original.constants.COPYFILE_FICLONE_FORCE) fail('ENOTSUP', 'copyfile')
      await original.copyFile(from, found(to), mode)
    },
    chmod: (path: string, mode: number) => original.chmod(found(path), mode),
  }
})

it('a view there holds copies', async () => {
  const { store } = await openTemp()
  const bytes = someBytes(100_000)
  const { cid } = await store.add(directoryOf({ a: bytes, b: someBytes(10) }))
  expect(isSame(await readFile(join(await store.getPath(cid), 'a')), bytes)).toBe(true)
})

it('two entries that are one there are an error, not the bytes of the other one', async () => {
  const { store, directory } = await openTemp()
  const { cid } = await store.add(directoryOf({ A: someBytes(100_000, 'A'), a: someBytes(100_000, 'a') }))
  await expect(store.getPath(cid)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/"[Aa]": EEXIST/),
  })
  const { temp, views } = layoutOf(directory)
  expect([await filesBelow(temp), await filesBelow(views)]).toEqual([[], []])
})
