import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { wideBert } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import {
  copyLibrary,
  fixtureRepos,
  linkPackage,
  networkCutOrSkip,
  NO_NETWORK,
  OFFLINE,
  runApp,
  storeOf,
  transformersOf,
} from './hook-support.ts'

async function installTwice(modules: string): Promise<void> {
  await linkPackage(modules, '@huggingface/transformers', transformersOf() ?? '')
  const again = await copyLibrary(path.join(modules, '..', 'other', 'node_modules'))
  await linkPackage(modules, 'transformers-again', again)
}

describe('an unmodified program', () => {
  it.for<[string, object]>([
    ['embed.mjs', { dims: [1, 16], progress: 100 }],
    ['classify.cjs', { label: 'POSITIVE' }],
    ['generate-dynamic.mjs', { text: 'the quick brown fox' }],
    [
      'in-workers.mjs',
      [
        [1, 16],
        [1, 16],
      ],
    ],
  ])('%s gets its model from the store, with the network cut', async ([app, expected], context) => {
    networkCutOrSkip(context)
    const { json, stderr } = await runApp(app, {
      store: await storeOf(fixtureRepos()),
      environment: OFFLINE,
      wrap: NO_NETWORK,
    })
    expect(stderr).toBe('')
    expect(json).toMatchObject(expected)
  })

  it('does so by NODE_OPTIONS too, with external data', async () => {
    const environment = { ...OFFLINE, REPO: 'fix/tiny-bert-external' }
    const { json } = await runApp('embed.mjs', { hook: 'options', store: await storeOf(fixtureRepos()), environment })
    expect(json).toMatchObject({ dims: [1, 16] })
  })

  it('loads on its way out what it may, and nothing else', async () => {
    const environment = { IPFS_ACCELERATE_PATCH: 'require' }
    const { json, stderr } = await runApp('before-exit.mjs', { store: await storeOf(fixtureRepos()), environment })
    expect(stderr).toBe('')
    expect(json).toEqual({ before: [1, 16], after: [[1, 16], expect.stringContaining('fix/absent')] })
  })

  it('may have several copies of the library, each with its own env', async () => {
    const { json, stderr } = await runApp('two-copies.mjs', {
      store: await storeOf(fixtureRepos()),
      environment: OFFLINE,
      install: installTwice,
    })
    expect(stderr).toBe('')
    expect(json).toEqual({
      dims: [
        [1, 16],
        [1, 16],
      ],
      isOneEnv: false,
      isPatched: [true, true],
    })
  })

  it('may have a runner of its own, whose sessions hold weights as its receipts say', async () => {
    const { json, stderr } = await runApp('beside-a-runner.mjs', {
      store: await storeOf({ 'fix/wide': wideBert(512, 2) }),
      environment: { ...OFFLINE, REGISTER: new URL('../src/register.ts', import.meta.url).href },
      async install(modules) {
        await linkPackage(modules, '@huggingface/transformers', transformersOf() ?? '')
        for (const name of ['node', 'infer-node'])
          await linkPackage(modules, `@x/${name}`, fileURLToPath(new URL(`../../${name}`, import.meta.url)))
      },
    })
    expect(stderr).toBe('')
    expect(json).toEqual({
      modes: ['mmap', 'original', 'original'],
      classes: [expect.stringMatching(/-prepacked$/)],
    })
  })

  it('has `pipeline` under its name', async () => {
    const { json } = await runApp('only-load.mjs', { environment: OFFLINE })
    expect(json).toMatchObject({ name: 'pipeline', useCustomCache: true })
  })
})
