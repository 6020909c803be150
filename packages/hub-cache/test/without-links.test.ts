import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, vi } from 'vitest'

import { checkSnapshot, exportToHubCache, openHubCache } from '../src/index.ts'
import { pythonOrSkip } from './python-or-skip.ts'
import { filesToExport, model, REPO, tempDirectory } from './support.ts'

// MOCK of Windows for who may not make links: no disk here is without them.
vi.mock('node:fs/promises', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:fs/promises')>()),
  symlink: () =>
    Promise.reject(Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM', syscall: 'symlink' })),
}))

it('where no link can be made the files are there themselves', async (context) => {
  const directory = await tempDirectory()
  const options = { directory, repo: REPO, commit: model.commit, omitted: [] }
  const { snapshot, placed } = await exportToHubCache(await filesToExport(), options)
  expect(placed.kept).toBe(0)
  for (const [path, { bytes }] of model.files) {
    expect((await lstat(join(snapshot, path))).isFile()).toBe(true)
    expect((await readFile(join(snapshot, path))).equals(bytes)).toBe(true)
  }
  expect((await exportToHubCache(await filesToExport(), options)).placed).toMatchObject({ kept: 4 })
  const cached = await (await openHubCache({ directory })).snapshot(REPO)
  expect(cached.problems).toEqual([])
  expect((await checkSnapshot(cached)).good).toHaveLength(5)

  const run = pythonOrSkip(context, 2)
  const script = `
import json
from huggingface_hub import snapshot_download
print(json.dumps(snapshot_download("${REPO}")))
`
  expect(await run(script, { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: directory })).toBe(snapshot)
})
