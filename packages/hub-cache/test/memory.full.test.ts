import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { checkSnapshot, exportToHubCache, openHubCache } from '../src/index.ts'
import { REPO, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const SIZE = 2048 * MIB

it('lays out and checks 2 GiB in the memory of some pieces', async () => {
  const directory = await tempDirectory()
  const localPath = join(directory, 'model.onnx')
  const handle = await open(localPath, 'wx')
  await handle.truncate(SIZE)
  await handle.close()
  const zeros = Buffer.alloc(MIB)
  const hash = createHash('sha256')
  for (let done = 0; done < SIZE; done += MIB) hash.update(zeros)
  const file = { path: 'model.onnx', localPath, size: SIZE, sha256: hash.digest() }
  const commit = 'a'.repeat(40)
  const before = process.memoryUsage().rss
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss - before)
  }, 20)
  try {
    const cache = join(directory, 'hub')
    const started = performance.now()
    await exportToHubCache([file], { directory: cache, repo: REPO, commit })
    const exported = performance.now()
    expect((await checkSnapshot(await (await openHubCache({ directory: cache })).snapshot(REPO))).good).toEqual([
      'model.onnx',
    ])
    const [toExport, toCheck] = [exported - started, performance.now() - exported].map((ms) => `${Math.round(ms)} ms`)
    console.info(`2 GiB: laid out in ${toExport}, checked in ${toCheck}, ${Math.round(most / MIB)} MiB more`)
  } finally {
    clearInterval(timer)
  }
  expect(most).toBeLessThan(150 * MIB)
})
