import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { watch } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { expect, it, onTestFinished } from 'vitest'

import { checkSnapshot, exportToHubCache, openHubCache } from '../src/index.ts'
import { allPaths, filesToExport, model, REPO, tempDirectory } from './support.ts'

const { commit } = model
const BLOBS = join('models--org--model', 'blobs')

it('a program that is killed while it lays out leaves a cache that works', async () => {
  const directory = await tempDirectory()
  await exportToHubCache(await filesToExport(), { directory, repo: REPO, commit })
  const before = await allPaths(directory)

  const large = join(await tempDirectory(), 'large.onnx')
  const bytes = Buffer.alloc(64 * 1024 * 1024, 5)
  await writeFile(large, bytes)
  const sha256 = createHash('sha256').update(bytes).digest()
  const file = { path: 'large.onnx', localPath: large, size: bytes.length }
  const next = 'b'.repeat(40)

  await mkdir(join(directory, BLOBS), { recursive: true })
  const begun = Promise.withResolvers<void>()
  const watcher = watch(join(directory, BLOBS), (_event, name) => {
    if (name?.endsWith('.incomplete') === true) begun.resolve()
  })
  onTestFinished(() => watcher.close())
  const script = `
import { exportToHubCache } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../src/index.ts')).href)}
const file = { ...${JSON.stringify(file)}, sha256: Buffer.from('${sha256.toString('hex')}', 'hex') }
await exportToHubCache([file], { directory: ${JSON.stringify(directory)}, repo: '${REPO}', commit: '${next}', by: ['copy'] })
`
  const child = spawn(
    process.execPath,
    ['--conditions=@x/source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (text) => (said += String(text)))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await Promise.race([begun.promise, exited])
  child.kill('SIGKILL')
  await exited
  expect(said).toBe('')

  // It may have come further before it was killed.
  const whole = [join(BLOBS, sha256.toString('hex')), join('models--org--model', 'snapshots', next, 'large.onnx')]
  const left = (await allPaths(directory)).filter((path) => !before.includes(path) && !whole.includes(path))
  const isUnfinished = (path: string): boolean => path.startsWith(BLOBS) && path.endsWith('.incomplete')
  expect(left.filter((path) => !isUnfinished(path))).toEqual([])
  const cache = await openHubCache({ directory })
  const snapshot = await cache.snapshot(REPO)
  expect([commit, next]).toContain(snapshot.commit)
  expect(snapshot.problems).toEqual([])
  expect((await checkSnapshot(snapshot)).good).toHaveLength(snapshot.commit === commit ? 5 : 1)
  expect((await checkSnapshot(await cache.snapshot(REPO, commit))).good).toHaveLength(5)

  await exportToHubCache([{ ...file, sha256 }], { directory, repo: REPO, commit: next })
  expect((await checkSnapshot(await cache.snapshot(REPO))).good).toEqual(['large.onnx'])
})
