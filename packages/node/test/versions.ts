import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

import { fixtureModel, wideBert } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { makeCached } from '../../../tooling/tool-cache.ts'
import { libraryCacheOf, runApp, storeOf, transformersOf, versionFolder } from './hook-support.ts'

/** Every 4.x that was published; what the workspace has is the last. */
export const VERSIONS: readonly string[] = ['4.0.0', '4.0.1', '4.1.0', '4.2.0', '4.3.0', '4.3.1']
/** Without `env.fetch`. */
export const TOO_OLD = '3.8.1'

/** Installs a version where tests find it. Nothing of it runs: the install script of its runtime fetches from elsewhere. */
export function prepareVersion(version: string): void {
  if (existsSync(versionFolder(version))) return
  makeCached(versionFolder(version), (folder) => {
    const what = `@huggingface/transformers@${version}`
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', folder]
    execFileSync('npm', ['install', ...flags, what], { stdio: 'pipe', timeout: 600_000 })
  })
}

const REVISION = '0123456789012345678901234567890123456789'
const OFF = { IPFS_ACCELERATE_NETWORK: 'off', REGISTER: new URL('../src/register.ts', import.meta.url).href }

function libraryOf(version: string, skip: (why: string) => never): string {
  return transformersOf(version) ?? skip(`transformers.js ${version} is not prepared; the full tests do that`)
}

/** What the hook relies on in a version of transformers.js and the onnxruntime-node that comes with it. */
export function versionContract(version: string): void {
  describe(`transformers.js ${version}`, () => {
    it('has the properties that are replaced, and they have these values', async ({ skip }) => {
      const { json } = await runApp('only-load.mjs', { hook: 'none', library: libraryOf(version, skip) })
      expect(json).toMatchObject({
        version,
        useCustomCache: false,
        customCache: null,
        fetch: 'bound fetch',
        remoteHost: 'https://huggingface.co/',
        remotePathTemplate: '{model}/resolve/{revision}/',
        useFSCache: true,
      })
    })

    it.for([
      ['embed.mjs', 'tiny-bert', { dims: [1, 16], progress: 100 }],
      ['classify.cjs', 'tiny-sentiment', { label: 'POSITIVE' }],
      ['generate-dynamic.mjs', 'tiny-gpt', { text: 'the quick brown fox' }],
    ] as const)('loads in %s', async ([app, model, expected], { skip }) => {
      const store = await storeOf({ [`fix/${model}`]: fixtureModel(model).files })
      const { json, stderr } = await runApp(app, { library: libraryOf(version, skip), store, environment: OFF })
      expect(stderr).toBe('')
      expect(json).toMatchObject(expected)
    })

    it('takes external data, a pinned revision, and 404 for what a model lacks', async ({ skip }) => {
      const { 'generation_config.json': _, ...files } = fixtureModel('tiny-bert-external').files
      const store = await storeOf({ [`fix/tiny-bert@${REVISION}`]: files })
      const { json } = await runApp('embed.mjs', {
        library: libraryOf(version, skip),
        store,
        environment: { ...OFF, REVISION },
      })
      expect(json).toMatchObject({ dims: [1, 16] })
    })

    it('fails with what fetch throws', async ({ skip }) => {
      const store = await storeOf({})
      const { json } = await runApp('answer-or-error.mjs', {
        library: libraryOf(version, skip),
        store,
        environment: OFF,
      })
      expect(json).toMatchObject({
        code: 'GATED',
        error: expect.stringContaining('https://huggingface.co/fix/tiny-bert/'),
      })
    })

    it('has its cache on disk where it is looked for', async ({ skip }) => {
      const cache = await libraryCacheOf('fix/tiny-bert', fixtureModel('tiny-bert').files)
      const environment = { LIBRARY_CACHE: cache, OFFLINE: '1' }
      for (const hook of ['none', 'import'] as const) {
        const { json } = await runApp('answer-or-error.mjs', { hook, library: libraryOf(version, skip), environment })
        expect(json).toEqual({ dims: [1, 16] })
      }
    })

    it('makes sessions by InferenceSession.create: mapped, and prepacked with the same bits', async ({ skip }) => {
      const store = await storeOf({ 'fix/wide': wideBert(1536, 8) })
      const outcome = async (memory: string): Promise<{ data: number[]; sessions: unknown; privateKB: number }> => {
        const environment = { ...OFF, IPFS_ACCELERATE_MEMORY: memory }
        const { json, stderr } = await runApp('embed-status.mjs', {
          library: libraryOf(version, skip),
          store,
          environment,
        })
        if (typeof json !== 'object' || json === null || !('data' in json) || !('sessions' in json))
          throw new Error(stderr)
        const privateKB = 'privateKB' in json ? Number(json.privateKB) : Number.NaN
        return { data: Array.isArray(json.data) ? json.data.map(Number) : [], sessions: json.sessions, privateKB }
      }
      const original = await outcome('original')
      expect(original.sessions).toMatchObject([{ mode: 'original', why: 'as asked' }])
      const packed = await outcome('packed')
      expect(packed.sessions).toMatchObject([{ mode: 'packed', why: 'as asked; prepacked now' }])
      expect(packed.data).toEqual(original.data)
      const mapped = await outcome('mmap')
      expect(mapped.sessions).toMatchObject([{ mode: 'mmap', why: 'as asked' }])
      // Of 72 MiB of weights: an option that ONNX Runtime no longer knows would change nothing. Only Linux tells.
      const gained = process.platform === 'linux' ? original.privateKB - mapped.privateKB : Number.POSITIVE_INFINITY
      expect(gained).toBeGreaterThan(36_000)
      for (const [index, value] of mapped.data.entries())
        expect(value).toBeCloseTo(original.data[index] ?? Number.NaN, 4)
    })
  })
}
