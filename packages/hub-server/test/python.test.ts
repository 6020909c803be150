import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { openFsStore } from '@x/backend-fs'
import { modelDirectory } from '@x/embedded-model'
import { openMemoryStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import { serveHandler } from '../../../tooling/serve-handler.ts'
import { toHex } from '../src/git-object.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import { createPullThrough } from '../src/pull-through.ts'
import { createStoreKeep } from '../src/store-keep.ts'
import { breakingOff } from './breaking-off.ts'
import { fetchUpstream } from './fetch-upstream.ts'
import { pythonOrSkip } from './find-python.ts'
import { describeFile, noise, sha256, small, storedRepositories } from './support.ts'

const script = fileURLToPath(new URL('clients/hub_client.py', import.meta.url))
const hex = (bytes: Uint8Array): string => toHex(sha256(bytes))
const hashes = Object.fromEntries(Object.entries(small.files).map(([path, bytes]) => [path, hex(bytes)]))
const MODEL = hex(noise(300_000))

async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hub-server-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Nothing of the machine's own settings, and no request to anywhere else. */
const environment = (home: string, endpoint: string): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: home,
  HF_HOME: join(home, 'hf'),
  HF_ENDPOINT: endpoint,
  HF_HUB_DISABLE_TELEMETRY: '1',
  HF_HUB_DISABLE_UPDATE_CHECK: '1',
  // By default it waits 10 s for a hub, which is in this process.
  HF_HUB_ETAG_TIMEOUT: '100',
  HF_HUB_DOWNLOAD_TIMEOUT: '100',
  HF_HUB_DISABLE_PROGRESS_BARS: '1',
  DO_NOT_TRACK: '1',
  USE_TORCH: '0',
})

describe.each(['hub-2', 'hub-1'] as const)('huggingface_hub of %s', (name) => {
  it('downloads, lists, verifies, resumes, tells errors apart and works offline', async (context) => {
    const python = pythonOrSkip(context, name)
    const home = await tempFolder()
    const store = name === 'hub-2' ? await openFsStore({ directory: join(home, 'store') }) : await openMemoryStore()
    onTestFinished(() => store.close())
    // The client writes 10 MiB at a time, and goes on from what it has written.
    const large = noise(12_500_000)
    const broken = { files: { 'onnx/model.onnx': large } }
    const repositories = await storedRepositories(store, { 'org/small': small, 'org/broken': broken, gpt2: small })
    const commit = repositories.commitOf('org/small')
    const handle = createHubHandler(repositories, { pageSize: 2 })
    const hub = await serveHandler(breakingOff(handle, '/org/broken/resolve/', 12_000_000))
    const locked = await serveHandler(
      createHubHandler(repositories, { tokens: [{ name: 'reader', token: 'hf_right' }] }),
    )
    const env = { ...environment(home, hub.url), TOKEN_ENDPOINT: locked.url }
    const steps = [
      'errors=org/small',
      'download=org/small',
      'listings=org/small',
      'resume=org/broken',
      'token=org/small',
    ]
    const { stdout: printed } = await python.run('python', [script, ...steps], { cwd: home, env })
    const found: unknown = JSON.parse(printed)
    const files = await Promise.all(Object.entries(small.files).map(([path, bytes]) => describeFile(path, bytes)))
    expect(found).toMatchObject({
      download: {
        file: MODEL,
        blob: MODEL,
        snapshot: hashes,
        tag: commit,
        'pull request': { pr: 1 },
        branch: {},
      },
      errors: {
        file: 'RemoteEntryNotFoundError',
        repository: 'RepositoryNotFoundError',
        revision: 'RevisionNotFoundError',
        model: 'RepositoryNotFoundError',
        dataset: 'RepositoryNotFoundError',
        folder: 'RemoteEntryNotFoundError',
        exists: [true, false],
        repositories: [true, false, false],
        no_exist: ['no.json'],
      },
      listings: {
        id: 'org/small',
        sha: commit,
        siblings: Object.fromEntries(
          files.map(({ path, size, gitOid, lfs }) => [path, [size, gitOid, lfs ? hashes[path] : null]]),
        ),
        expand: [commit, null],
        tree: ['README.md', 'config.json', 'empty.txt', 'onnx', 'onnx.md'],
        below: ['onnx/deep/er', 'onnx/deep/er/ünï cødé #1?.txt'],
        'last commit': commit,
        paths: ['config.json', 'onnx'],
        files: Object.keys(small.files).toSorted(),
        refs: [
          ['main', 'refs/heads/main'],
          ['feature/a', 'refs/heads/feature/a'],
          ['onnx', 'refs/convert/onnx'],
          ['v1.0', 'refs/tags/v1.0'],
          ['1', 'refs/pr/1'],
        ],
        metadata: MODEL,
        models: ['org/small'],
        'all models': ['gpt2', 'org/broken', 'org/small'],
        verified: [Object.keys(small.files).length, [], []],
        range: [...noise(300_000).subarray(5, 9)],
      },
      resume: { file: hex(large) },
      token: {
        without: 'HfHubHTTPError',
        wrong: 'HfHubHTTPError',
        right: 'org/small',
        file: hashes['config.json'],
        who: 'reader',
        nobody: 'HfHubHTTPError',
      },
    })
    // What was broken off is asked for from there.
    expect(hub.requests.filter((line) => line.startsWith('GET /org/broken/'))).toEqual([
      expect.not.stringContaining('['),
      expect.stringMatching(/\[bytes=10485760-\]$/),
    ])

    const target = join(home, 'by command')
    const offline = { ...env, HF_HUB_OFFLINE: '1', HF_ENDPOINT: 'http://127.0.0.1:1' }
    const [{ stdout: again }] = await Promise.all([
      python.run('python', [script, 'offline=org/small'], { cwd: home, env: offline }),
      python.run('hf', ['download', 'gpt2', 'onnx/model.onnx', '--local-dir', target], { cwd: home, env }),
    ])
    expect(hex(await readFile(join(target, 'onnx', 'model.onnx')))).toBe(MODEL)
    expect(JSON.parse(again)).toMatchObject({ offline: { snapshot: hashes } })
  })
})

it('transformers for Python loads a tokenizer and a config', async (context) => {
  const python = pythonOrSkip(context, 'hub-1')
  const home = await tempFolder()
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
  const files = await Promise.all(
    names.map(
      async (file) => [file, new Uint8Array(await readFile(new URL(file, `${modelDirectory.href}/`)))] as const,
    ),
  )
  const repositories = await storedRepositories(store, { 'org/embed': { files: Object.fromEntries(files) } })
  const hub = await serveHandler(createHubHandler(repositories))
  const env = environment(home, hub.url)
  const { stdout: printed } = await python.run('python', [script, 'transformers=org/embed'], { cwd: home, env })
  expect(JSON.parse(printed)).toMatchObject({ transformers: { type: 'bert', ids: [101, 7592, 2088, 102] } })
})

it('huggingface_hub is told when the upstream of a pull-through is gone', async (context) => {
  const python = pythonOrSkip(context, 'hub-2')
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const origin = await serveHandler(createHubHandler(await storedRepositories(store, { 'org/small': small })))
  const clock = { now: 1_000_000 }
  const kept = await openMemoryStore()
  onTestFinished(() => kept.close())
  const pullThrough = createPullThrough({
    upstream: fetchUpstream(origin.url),
    keep: createStoreKeep(kept),
    now: () => clock.now,
  })
  onTestFinished(() => pullThrough.close())
  const hub = await serveHandler(createHubHandler(pullThrough))
  const download = async (): Promise<{ stdout: string; stderr: string }> => {
    const home = await tempFolder()
    return python.run('python', [script, 'resume=org/small'], { cwd: home, env: environment(home, hub.url) })
  }
  const first = await download()
  expect(JSON.parse(first.stdout)).toMatchObject({ resume: { file: MODEL } })
  expect(first.stderr).not.toContain('looked up')
  await origin.close()
  clock.now += 60_000
  const second = await download()
  expect(JSON.parse(second.stdout)).toMatchObject({ resume: { file: MODEL } })
  expect(second.stderr).toContain('main could not be looked up now')
})
