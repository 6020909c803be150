import path from 'node:path'

import { beforeAll, describe, expect, it } from 'vitest'

import {
  fixtureFiles,
  fixtureRepos,
  libraryCacheOf,
  networkCutOrSkip,
  NO_NETWORK,
  OFFLINE,
  runApp,
  storeOf,
  transformersOf,
} from './hook-support.ts'
import { temporaryDirectory } from './support.ts'

describe('a request that no provider answers', () => {
  const strict = { IPFS_ACCELERATE_NETWORK: 'off' }
  it.each<[string, Record<string, string>]>([
    ['the network is off', strict],
    ['HF_HUB_OFFLINE', { HF_HUB_OFFLINE: '1' }],
    ['the gate patch requires it', { IPFS_ACCELERATE_PATCH: 'require' }],
  ])('is an error that names its URL where %s', async (_why, environment) => {
    const cache = await libraryCacheOf('fix/other', fixtureFiles('tiny-bert'))
    const { json } = await runApp('answer-or-error.mjs', {
      store: await storeOf({}),
      environment: { ...environment, REPO: 'fix/other', LIBRARY_CACHE: cache },
    })
    expect(json).toMatchObject({
      code: 'GATED',
      error: expect.stringContaining('https://huggingface.co/fix/other/resolve/main/config.json was refused'),
    })
  })

  it('goes on to the library otherwise: its cache on disk answers', async (context) => {
    networkCutOrSkip(context)
    const cache = await libraryCacheOf('fix/other', fixtureFiles('tiny-bert'))
    const environment = { REPO: 'fix/other', LIBRARY_CACHE: cache, IPFS_ACCELERATE_HUB: 'prefer' }
    const { json } = await runApp('answer-or-error.mjs', { store: await storeOf({}), environment, wrap: NO_NETWORK })
    // What it lacks would be asked for over the network: the probe of tokenizer_config.json is answered by the cache.
    expect(json).toEqual({ dims: [1, 16] })
  })

  it('is an error where there is no store at all', async () => {
    const store = path.join(await temporaryDirectory(), 'none')
    const { json } = await runApp('answer-or-error.mjs', { store, environment: strict })
    expect(json).toMatchObject({ code: 'GATED', error: expect.stringContaining('there is no fix/tiny-bert at main') })
  })
})

describe('the gate', () => {
  it('leaves everything alone where TRANSFORMERS_PATCH_DISABLE says so, without a word', async () => {
    const { json, stderr } = await runApp('only-load.mjs', { environment: { TRANSFORMERS_PATCH_DISABLE: '1' } })
    expect(json).toMatchObject({ useCustomCache: false })
    expect(stderr).toBe('')
  })

  it('is off in CI, which is said once and only where it matters', async () => {
    const { json, stderr } = await runApp('only-load.mjs', { environment: { CI: 'true' } })
    expect(json).toMatchObject({ useCustomCache: false })
    expect(stderr.match(/transformers\.js is left as it is/g)).toHaveLength(1)
    expect(stderr).toContain('IPFS_ACCELERATE_PATCH=prefer')
    const { stderr: silent } = await runApp('nothing.mjs', { environment: { CI: 'true' } })
    expect(silent).toBe('')
  })

  it('is on in CI where it is asked for', async () => {
    const { json } = await runApp('only-load.mjs', { environment: { CI: 'true', IPFS_ACCELERATE_PATCH: 'prefer' } })
    expect(json).toMatchObject({ useCustomCache: true })
  })

  it('says of a variable with a value that means nothing', async () => {
    const { code, stderr } = await runApp('only-load.mjs', { environment: { IPFS_ACCELERATE_MEMORY: 'heap' } })
    expect(code).not.toBe(0)
    expect(stderr).toContain('IPFS_ACCELERATE_MEMORY: "heap" is none of auto, mmap, packed, original')
  })
})

describe('disable, apply and restore', () => {
  it('put back every property that was touched, to what it was', async () => {
    const environment = { ...OFFLINE, REGISTER: new URL('../src/register.ts', import.meta.url).href }
    const { json, stderr } = await runApp('restored.mjs', { store: await storeOf(fixtureRepos()), environment })
    expect(stderr).toBe('')
    const touched = ['customCache', 'fetch', 'useCustomCache', 'create']
    expect(json).toMatchObject({
      whenDisabled: expect.arrayContaining(touched),
      whenAppliedAgain: expect.arrayContaining(touched),
      whenRestored: [],
      defaults: [false, null, 'bound fetch'],
      visitor: false,
      status: {
        applied: false,
        copies: [],
        sources: [
          { name: 'store', hits: expect.any(Number), errors: 0 },
          { name: 'hub-cache', hits: 0 },
        ],
      },
    })
  })
})

describe('a version without env.fetch', () => {
  let library: string | undefined
  beforeAll(() => {
    library = transformersOf('3.8.1')
  })

  it('is refused where nothing else may be asked, by file and version', async ({ skip }) => {
    if (library === undefined) skip('transformers.js 3.8.1 is not prepared')
    const { code, stderr } = await runApp('only-load.mjs', { library, environment: OFFLINE })
    expect(code).not.toBe(0)
    expect(stderr).toMatch(
      /@huggingface\/transformers 3\.8\.1 at \/.*\/dist\/transformers\.node\.mjs has no env\.fetch/,
    )
  })

  it('is left as it is otherwise, and a person is told', async ({ skip }) => {
    if (library === undefined) skip('transformers.js 3.8.1 is not prepared')
    const { json, stderr } = await runApp('only-load.mjs', { library })
    expect(json).toMatchObject({ version: '3.8.1', useCustomCache: false })
    expect(stderr).toContain('@huggingface/transformers 3.8.1 at')
  })
})
