import { spawnSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished, type TestContext } from 'vitest'

import type { Disk } from '../../../tooling/faults/disk.ts'
import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { openFsStore } from '../src/index.ts'
import { collect, filesBelow, someBytes } from './support.ts'

const MIB = 1024 * 1024

async function mountSmall(context: TestContext): Promise<Disk | undefined> {
  const disk = await mountSmallDisk({ sizeBytes: 6 * MIB })
  if ('reason' in disk) {
    context.skip(disk.reason)
    return undefined
  }
  onTestFinished(() => disk.unmount())
  return disk
}

it('a full disk leaves the store as it was, and space makes it work again', async (context) => {
  const disk = await mountSmall(context)
  if (!disk) return
  const { directory } = disk
  const store = await openFsStore({ directory: join(directory, 'store') })
  const first = await store.add(someBytes(2 * MIB, 'first'))
  const before = await filesBelow(directory)
  await expect(store.add(someBytes(8 * MIB, 'second'), { name: 'second' })).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await collect(store.roots())).toHaveLength(1)
  expect(await collect(store.names.list())).toEqual([])
  expect((await filesBelow(directory)).filter((path) => !before.includes(path) && !path.includes('/locks/'))).toEqual(
    [],
  )
  expect(await store.verify(first.cid)).toBe(2 * MIB)

  // Full to the last byte, even the small files fail, and removing still works.
  spawnSync('dd', ['if=/dev/zero', `of=${join(directory, 'ballast')}`, 'bs=4096'])
  await expect(store.names.set('a', first.cid)).rejects.toMatchObject({ code: 'NO_SPACE' })
  await expect(store.add(someBytes(10))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await store.status()).toMatchObject({ available: false, reason: expect.stringMatching(/full/) })
  // What frees space works all the same.
  await store.remove(first.cid)
  expect(await store.has(first.cid)).toBe(false)
  expect(await store.gc()).toMatchObject({ roots: [] })
  expect(await filesBelow(join(directory, 'store', 'files'))).toEqual([])
  await rm(join(directory, 'ballast'))
  const again = await store.add(someBytes(2 * MIB, 'first'))
  expect(again.cid).toEqual(first.cid)
  await store.names.set('a', first.cid)
  expect(await store.verify((await store.add(someBytes(10))).cid)).toBe(10)
})

it('a medium that became read-only is a failure, not an absence, and is still read', async (context) => {
  const disk = await mountSmall(context)
  if (!disk) return
  const { directory } = disk
  const writer = await openFsStore({ directory: join(directory, 'store') })
  const { cid } = await writer.add(someBytes(MIB))
  await writer.close()
  await disk.makeReadOnly()
  const warnings: string[] = []
  const store = await openFsStore({ directory: join(directory, 'store'), onWarning: (text) => warnings.push(text) })
  expect(warnings).toEqual([expect.stringContaining('read-only medium')])
  await expect(store.add(someBytes(5))).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  await expect(store.unpin(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(await store.verify(cid)).toBe(MIB)
  expect(await (await openFsStore({ directory: join(directory, 'store'), readOnly: true })).has(cid)).toBe(true)
})
