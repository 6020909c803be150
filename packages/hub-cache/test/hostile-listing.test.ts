import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { exportToHubCache, openHubCache } from '../src/index.ts'
import { filesToExport, model, REPO, tempDirectory } from './support.ts'

it('any listing is understood, or is a problem and no failure', async () => {
  const directory = await tempDirectory()
  const files = await filesToExport()
  await exportToHubCache(files, { directory, repo: REPO, commit: model.commit })
  const trees = join(directory, 'models--org--model', 'trees')
  await mkdir(trees)
  const entry = fc.record(
    {
      size: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
      blob_id: fc.constantFrom('a'.repeat(40), '../x', null),
      lfs_sha256: fc.constantFrom('b'.repeat(64), 'b', 5),
      xet_hash: fc.constantFrom('c'.repeat(64), 'c', null),
    },
    { requiredKeys: ['size', 'blob_id'] },
  )
  const path = fc.oneof(fc.constantFrom('config.json', 'a/b', '../x', '/x', '__proto__', 'constructor'), fc.string())
  const listing = fc.record({ format_version: fc.constantFrom(1, 2), files: fc.dictionary(path, entry) })
  const cache = await openHubCache({ directory })
  await fc.assert(
    fc.asyncProperty(fc.oneof(listing, fc.jsonValue(), fc.string()), async (value) => {
      await writeFile(join(trees, `${model.commit}.json`), typeof value === 'string' ? value : JSON.stringify(value))
      const { files: found, omitted, problems } = await cache.snapshot(REPO)
      // Each is there, or is said to be another.
      expect(found.length + problems.filter(({ why }) => why === 'size').length).toBe(files.length)
      expect(omitted === undefined).toBe(problems.some(({ why }) => why === 'listing'))
    }),
  )
})
