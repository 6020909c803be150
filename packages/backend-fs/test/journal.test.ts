import { open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import { buildFile } from '@x/cid'
import type { RecordChange } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { appendToJournal, readJournal, replaceJournal, UndecidedCommit } from '../src/catalogue/journal.ts'
import { someBytes, tempDirectory } from './support.ts'

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  return { ...real, open: vi.fn<typeof real.open>(real.open), rm: vi.fn<typeof real.rm>(real.rm) }
})

async function begun(): Promise<{ path: string; end: number; change: RecordChange }> {
  const directory = await tempDirectory()
  const path = join(directory, 'journal')
  const { cid } = await buildFile([someBytes(3)])
  const change: RecordChange = { type: 'put-pin', record: { cid, pinnedAt: new Date().toISOString() } }
  const { end } = await replaceJournal(path, join(directory, 'temp'), [change], { isLost: false })
  return { path, end, change }
}

/** The next file that is opened is this one. */
async function nextHandle(path: string): Promise<FileHandle> {
  const handle = await open(path, 'r+')
  vi.mocked(open).mockResolvedValueOnce(handle)
  return handle
}

const failure = (): Error => Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'fdatasync' })

it('a commit that cannot be synced is taken back, and that is synced', async () => {
  const { path, end, change } = await begun()
  const before = await readFile(path)
  const handle = await nextHandle(path)
  const sync = vi.spyOn(handle, 'datasync').mockRejectedValueOnce(failure())
  const cut = vi.spyOn(handle, 'truncate')
  await expect(appendToJournal(path, end, [change])).rejects.toMatchObject({ code: 'BACKEND' })
  expect(sync).toHaveBeenCalledTimes(2)
  expect(sync.mock.invocationCallOrder[1]).toBeGreaterThan(cut.mock.invocationCallOrder[0] ?? Infinity)
  expect(await readFile(path)).toEqual(before)
})

it('a commit that cannot be taken back for good is undecided', async () => {
  const { path, end, change } = await begun()
  vi.spyOn(await nextHandle(path), 'datasync').mockRejectedValue(failure())
  await expect(appendToJournal(path, end, [change])).rejects.toBeInstanceOf(UndecidedCommit)
})

it('a commit that was synced is one, however the file closes', async () => {
  const { path, end, change } = await begun()
  const handle = await nextHandle(path)
  const close = handle.close.bind(handle)
  handle.close = () => close().then(() => Promise.reject(failure()))
  const next = await appendToJournal(path, end, [change])
  expect(await readJournal(path)).toMatchObject({ end: next, commits: [[change], [change]] })
})

it('a journal that has its name is in force, whatever else cannot be done', async () => {
  const { path, change } = await begun()
  onTestFinished(() => void vi.mocked(rm).mockReset())
  vi.mocked(rm).mockRejectedValueOnce(failure())
  const { id, end } = await replaceJournal(path, `${path}-temp`, [change], { isLost: false })
  expect(await readJournal(path)).toMatchObject({ id, end, damaged: 0 })
})

it('a whole last line that does not match may have been acknowledged, unless all before it was read already', async () => {
  const { path, end, change } = await begun()
  await appendToJournal(path, end, [change])
  const bytes = await readFile(path)
  bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1
  await writeFile(path, bytes)
  const id = (await readJournal(path))?.id ?? ''
  expect((await readJournal(path))?.damaged).toBe(1)
  expect((await readJournal(path, { id: 'another', end }))?.damaged).toBe(1)
  expect((await readJournal(path, { id, end }))?.damaged).toBe(0)
})
