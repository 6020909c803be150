import { writeFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'

import { isRequired } from '../../required.ts'
import { makeCached } from '../../tool-cache.ts'
import { describeKubo, findKubo, kuboFolder } from '../find-kubo.ts'
import { kuboOrSkip } from '../kubo-or-skip.ts'
import { CURRENT_VERSION, isSupported, OLDEST_VERSION } from '../versions.ts'

let folder: string

beforeEach(async (context) => {
  if (process.platform === 'win32') context.skip('the programs that stand in for ipfs are shell scripts')
  folder = await mkdtemp(join(tmpdir(), 'find-kubo-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
})

/** A program that answers `ipfs version --number`, and nothing else. */
async function fakeKubo(directory: string, version: string): Promise<string> {
  const path = join(directory, 'ipfs')
  await mkdir(directory, { recursive: true })
  await writeFile(path, `#!/bin/sh\n[ "$*" = "version --number" ] && echo '${version}'\n`)
  await chmod(path, 0o755)
  return path
}

const skip = (): never => {
  throw new Error('skipped')
}

const environment = (given: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  XDG_CACHE_HOME: folder,
  PATH: '',
  ...given,
})

it('prefers the one that is named, then the PATH, then the cache', async () => {
  expect(findKubo('current', environment())).toBe(undefined)
  const cached = await fakeKubo(kuboFolder(CURRENT_VERSION, environment()), CURRENT_VERSION)
  expect(findKubo('current', environment())).toEqual({ path: cached, version: CURRENT_VERSION, from: 'cached' })
  await writeFile(join(cached, '../origin'), 'built\n')
  expect(findKubo('current', environment())).toMatchObject({ from: 'built, cached' })
  const PATH = `/nowhere:${join(folder, 'bin')}`
  const path = await fakeKubo(join(folder, 'bin'), '0.41.0')
  expect(findKubo('current', environment({ PATH }))).toEqual({ path, version: '0.41.0', from: 'PATH' })
  const named = await fakeKubo(join(folder, 'named'), '0.20.0')
  const found = findKubo('current', environment({ PATH, IPFS_ACCELERATE_TEST_KUBO: named }))
  expect(found).toEqual({ path: named, version: '0.20.0', from: 'IPFS_ACCELERATE_TEST_KUBO' })
  expect(found && describeKubo(found)).toBe('Kubo 0.20.0 (IPFS_ACCELERATE_TEST_KUBO)')
})

it('passes over a Kubo on the PATH that is too old', async () => {
  await fakeKubo(join(folder, 'bin'), '0.20.0')
  expect(findKubo('current', environment({ PATH: join(folder, 'bin') }))).toBe(undefined)
})

it('takes the oldest from its own variable and from the cache alone', async () => {
  await fakeKubo(join(folder, 'bin'), '0.41.0')
  const PATH = join(folder, 'bin')
  expect(findKubo('oldest', environment({ PATH, IPFS_ACCELERATE_TEST_KUBO: join(folder, 'bin/ipfs') }))).toBe(undefined)
  const cached = await fakeKubo(kuboFolder(OLDEST_VERSION, environment()), OLDEST_VERSION)
  expect(findKubo('oldest', environment({ PATH }))).toMatchObject({ path: cached, version: OLDEST_VERSION })
  const named = await fakeKubo(join(folder, 'named'), '0.39.0')
  expect(findKubo('oldest', environment({ IPFS_ACCELERATE_TEST_KUBO_OLD: named }))).toMatchObject({ path: named })
})

it('says so when the one that is named is not Kubo', async () => {
  expect(() => findKubo('current', environment({ IPFS_ACCELERATE_TEST_KUBO: join(folder, 'absent') }))).toThrow(
    /^IPFS_ACCELERATE_TEST_KUBO: .*ENOENT/,
  )
  const other = await fakeKubo(folder, 'hello')
  expect(() => findKubo('current', environment({ IPFS_ACCELERATE_TEST_KUBO: other }))).toThrow(
    'IPFS_ACCELERATE_TEST_KUBO: ',
  )
})

it('knows the range', () => {
  expect(['0.37.9', OLDEST_VERSION, '0.40.0-rc1', CURRENT_VERSION, '0.100.0', '1.0.0'].map(isSupported)).toEqual([
    false,
    true,
    true,
    true,
    true,
    true,
  ])
  expect(() => isSupported('kubo')).toThrow("'kubo' is not a version")
})

it('fills a folder of the cache all at once, and leaves nothing of what failed', async () => {
  const target = join(folder, 'cache', 'tool-1')
  expect(() =>
    makeCached(target, () => {
      throw new Error('no network')
    }),
  ).toThrow('no network')
  expect(await readdir(join(folder, 'cache'))).toEqual([])
  makeCached(target, (slower) => {
    writeFileSync(join(slower, 'slower'), '')
    makeCached(target, (faster) => writeFileSync(join(faster, 'faster'), ''))
  })
  expect(await readdir(join(folder, 'cache'))).toEqual(['tool-1'])
  expect(await readdir(target)).toEqual(['faster'])
})

it('requires what the variable names, and knows its words', () => {
  expect(isRequired('kubo', {})).toBe(false)
  expect(isRequired('kubo', { IPFS_ACCELERATE_TEST_REQUIRE: 'chromium, kubo' })).toBe(true)
  expect(isRequired('kubo', { IPFS_ACCELERATE_TEST_REQUIRE: 'kubo-oldest' })).toBe(false)
  const wrong = { IPFS_ACCELERATE_TEST_REQUIRE: 'cubo' }
  expect(() => isRequired('kubo', wrong)).toThrow("IPFS_ACCELERATE_TEST_REQUIRE: 'cubo' is none of kubo,")
})

it('is skipped where there is none, or fails where it is required', () => {
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('XDG_CACHE_HOME', folder)
  vi.stubEnv('PATH', '')
  vi.stubEnv('IPFS_ACCELERATE_TEST_KUBO', '')
  vi.stubEnv('IPFS_ACCELERATE_TEST_REQUIRE', '')
  expect(() => kuboOrSkip({ skip })).toThrow('skipped')
  vi.stubEnv('IPFS_ACCELERATE_TEST_REQUIRE', 'kubo')
  expect(() => kuboOrSkip({ skip })).toThrow('no Kubo: `npm run setup:kubo`')
})
