import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished, type TestContext } from 'vitest'

import type { Disk, NoDisk } from '../../../tooling/faults/disk.ts'
import { mountReflinkDisk } from '../../../tooling/faults/reflink-disk.ts'
import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { checkSnapshot, exportToHubCache, openHubCache } from '../src/index.ts'
import { allPaths, filesToExport, model, REPO } from './support.ts'
import { writeFiles } from './write-files.ts'

const { commit } = model

async function diskOrSkip(context: TestContext, mounting: Promise<Disk | NoDisk>): Promise<Disk> {
  const disk = await mounting
  if ('reason' in disk) return context.skip(disk.reason)
  onTestFinished(() => disk.unmount())
  return disk
}

it('a full disk is NO_SPACE, leaves nothing half, and space makes it work', async (context) => {
  const { directory } = await diskOrSkip(context, mountSmallDisk({ sizeBytes: 200_000 }))
  const files = await filesToExport()
  await expect(exportToHubCache(files, { directory, repo: REPO, commit })).rejects.toMatchObject({ code: 'NO_SPACE' })
  const left = await allPaths(directory)
  expect(left.filter((path) => path.includes('incomplete') || path.includes('refs/'))).toEqual([])
  const small = files.filter(({ size }) => size < 1000)
  await exportToHubCache(small, { directory, repo: REPO, commit })
  expect((await checkSnapshot(await (await openHubCache({ directory })).snapshot(REPO))).good).toHaveLength(3)
})

it('a disk that is read-only is read, and not written to', async (context) => {
  const disk = await diskOrSkip(context, mountSmallDisk({ sizeBytes: 4_000_000 }))
  const { directory } = disk
  const files = await filesToExport()
  // From another disk: no link can be made.
  expect((await exportToHubCache(files, { directory, repo: REPO, commit })).placed).toMatchObject({ copy: 4 })
  await disk.makeReadOnly()
  expect((await checkSnapshot(await (await openHubCache({ directory })).snapshot(REPO))).good).toHaveLength(5)
  // What is there needs no writing.
  expect((await exportToHubCache(files, { directory, repo: REPO, commit })).placed).toMatchObject({ kept: 4 })
  const refs = ['another']
  await expect(exportToHubCache(files, { directory, repo: REPO, commit, refs })).rejects.toMatchObject({
    code: 'BACKEND',
  })
})

it('a disk with reflinks shares the bytes', async (context) => {
  const { directory } = await diskOrSkip(context, mountReflinkDisk())
  const content = model.files.get('onnx/model.onnx')
  const file = (await filesToExport()).find(({ path }) => path === 'onnx/model.onnx')
  if (!content || !file) throw new Error('no file')
  await writeFiles(directory, { 'source.onnx': content.bytes })
  const source = { ...file, localPath: join(directory, 'source.onnx') }
  const cache = join(directory, 'hub')
  const { placed, snapshot } = await exportToHubCache([source], { directory: cache, repo: REPO, commit })
  expect(placed).toEqual({ kept: 0, reflink: 1, 'hard-link': 0, copy: 0 })
  expect((await stat(join(snapshot, 'onnx', 'model.onnx'))).ino).not.toBe((await stat(source.localPath)).ino)
  expect((await checkSnapshot(await (await openHubCache({ directory: cache })).snapshot(REPO))).good).toHaveLength(1)
})
