import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { ProfileName } from '@x/cid'
import { buildSource } from '@x/storage-core'
import { expect, it } from 'vitest'

import { buildPath, pathSource } from '../src/index.ts'
import { someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024
const PROFILES: readonly ProfileName[] = ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1']

it.each(PROFILES)('gives the CID that the plain builder gives: %s', async (profile) => {
  const folder = await tempDirectory()
  await mkdir(join(folder, 'sub'))
  for (const size of [0, 1, 65_536, 65_537, 262_144, 262_145, MIB, 3 * MIB + 7]) {
    await writeFile(join(folder, 'sub', `${size}`), someBytes(size))
  }
  await symlink('sub/1', join(folder, 'link'))
  await writeFile(join(folder, '.hidden'), 'x')
  for (const options of [{}, { hidden: true }, { symlinks: 'follow' as const }]) {
    const expected = await buildSource(await pathSource(folder, options), { profile })
    expect(await buildPath(folder, { profile, ...options })).toEqual(expected)
  }
  let loaded = 0
  await buildPath(folder, { onProgress: (event) => (loaded = 'loaded' in event ? event.loaded : loaded) })
  expect(loaded).toBe(65_536 * 2 + 2 + 262_144 * 2 + 1 + MIB * 4 + 7)
})

it('stops, and says what is wrong', async () => {
  const folder = await tempDirectory()
  await writeFile(join(folder, 'a'), someBytes(3 * MIB))
  const reason = new Error('enough')
  await expect(buildPath(folder, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const stop = new AbortController()
  const stopped = buildPath(folder, { signal: stop.signal, onProgress: () => stop.abort(reason) })
  await expect(stopped).rejects.toBe(reason)
  await expect(buildPath(join(folder, 'b'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
