import { constants } from 'node:fs'
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished } from 'vitest'

import { mountReflinkDisk } from '../reflink-disk.ts'
import { mountSmallDisk } from '../small-disk.ts'

it('a small disk is full when its bytes are used up', async ({ skip }) => {
  const disk = await mountSmallDisk({ sizeBytes: 65_536 })
  if ('reason' in disk) {
    skip(disk.reason)
    return
  }
  onTestFinished(() => disk.unmount())
  await writeFile(join(disk.directory, 'fits'), new Uint8Array(40_000))
  await expect(writeFile(join(disk.directory, 'does not'), new Uint8Array(40_000))).rejects.toMatchObject({
    code: 'ENOSPC',
  })
})

it('a small disk is full when its files are used up', async ({ skip }) => {
  const disk = await mountSmallDisk({ sizeBytes: 1_000_000, maxFiles: 3 })
  if ('reason' in disk) {
    skip(disk.reason)
    return
  }
  onTestFinished(() => disk.unmount())
  await writeFile(join(disk.directory, 'a'), '')
  await mkdir(join(disk.directory, 'b'))
  await expect(writeFile(join(disk.directory, 'c'), '')).rejects.toMatchObject({ code: 'ENOSPC' })
})

it('a disk becomes read-only, and goes with its directory', async ({ skip }) => {
  const disk = await mountSmallDisk({ sizeBytes: 65_536 })
  if ('reason' in disk) {
    skip(disk.reason)
    return
  }
  await writeFile(join(disk.directory, 'a'), 'a')
  await disk.makeReadOnly()
  await expect(writeFile(join(disk.directory, 'b'), '')).rejects.toMatchObject({ code: 'EROFS' })
  expect(await readFile(join(disk.directory, 'a'), 'utf8')).toBe('a')
  await disk.unmount()
  await expect(stat(disk.directory)).rejects.toMatchObject({ code: 'ENOENT' })
})

it.for(['xfs', 'btrfs'] as const)('files share their bytes on %s', async (type, { skip }) => {
  const disk = await mountReflinkDisk({ types: [type] })
  if ('reason' in disk) {
    skip(disk.reason)
    return
  }
  onTestFinished(() => disk.unmount())
  const [first, second] = [join(disk.directory, 'first'), join(disk.directory, 'second')]
  await writeFile(first, new Uint8Array(1_000_000).fill(7))
  await copyFile(first, second, constants.COPYFILE_FICLONE_FORCE)
  expect(disk.type).toBe(type)
  expect((await readFile(second)).equals(await readFile(first))).toBe(true)
})
