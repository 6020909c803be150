import { utimes } from 'node:fs/promises'
import path from 'node:path'

import { fixtureModel } from '@x/fixtures'
import { fixtureCommit, startFixtureHub, type FixtureHub, type FixtureHubOptions } from '@x/fixtures/hub'
import { exportToHubCache } from '@x/hub-cache'
import { createTransformersBinding, findHubRevision, resolveReference, type TransformersEnv } from '@x/model-loader'
import {
  exportModelToHubCache,
  findHubCache,
  importFromHubCache,
  openHub,
  openModel,
  openStorage,
  pullModel,
} from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { createHubCacheProvider, createHubProvider, type KeepingProvider } from '../src/hub/providers.ts'
import { createLocalStore } from '../src/transformers/local-store.ts'
import { temporaryDirectory } from './support.ts'

const REPO = 'org/tiny'
const graph = (): Uint8Array<ArrayBuffer> => fixtureModel('tiny-bert').files['onnx/model.onnx'] ?? new Uint8Array()
const files = () => ({ ...fixtureModel('tiny-bert').files, 'onnx/model_quantized.onnx': graph() })

interface Setup {
  hub: FixtureHub
  directory: string
  environment: Record<string, string>
  ask: (path: string, offline?: 'strict' | 'prefer') => Promise<number | string>
  statusOf: () => unknown
}

interface SetupOptions {
  strict?: boolean
  /** Default: one commit with `files()`. */
  repository?: FixtureHubOptions['repositories'][string]
  intercept?: FixtureHubOptions['intercept']
}

async function setup({ strict = false, repository, intercept }: SetupOptions = {}): Promise<Setup> {
  const made = fixtureCommit(files(), { lfs: ['onnx/model.onnx', 'onnx/model_quantized.onnx'] })
  const repositories = { [REPO]: repository ?? { commits: [made], refs: { main: made.commit } } }
  const hub = await startFixtureHub({ repositories, intercept })
  onTestFinished(() => hub.close())
  const folder = await temporaryDirectory()
  const directory = path.join(folder, 'store')
  const environment = { HF_ENDPOINT: hub.url, HF_HOME: path.join(folder, 'hf') }
  const further: KeepingProvider[] = [createHubCacheProvider({ directory, environment })]
  if (!strict) further.push(createHubProvider({ directory, environment }))
  const store = createLocalStore(directory)
  const binding = createTransformersBinding({ providers: [store.provider, ...further] })
  onTestFinished(async () => {
    await binding.close()
    await store.close()
    for (const provider of further) await provider.close()
  })
  const env: TransformersEnv = {
    remoteHost: 'https://huggingface.co/',
    remotePathTemplate: '{model}/resolve/{revision}/',
    useCustomCache: false,
    customCache: null,
    fetch: globalThis.fetch,
  }
  binding.install(env)
  const ask = async (file: string): Promise<number | string> => {
    try {
      return (await env.fetch(`https://huggingface.co/${REPO}/resolve/main/${file}`)).status
    } catch (error) {
      return String(error)
    }
  }
  return { hub, directory, environment, ask, statusOf: () => binding.status() }
}

it('what the store has not comes from the hub, the weights when they are asked for, and is kept', async () => {
  const { hub, ask, directory } = await setup()
  expect(await ask('config.json')).toBe(200)
  const asked = () => hub.requests.map(({ url }) => url).filter((url) => url.includes('.onnx'))
  expect(asked()).toEqual([])
  expect(await ask('onnx/model_quantized.onnx')).toBe(200)
  expect(asked()).toHaveLength(1)
  expect(await ask('onnx/model.onnx')).toBe(200)
  expect(await ask('vocab.txt')).toBe(404)
  expect(await ask('config.json')).toBe(200)
  // The next program finds it in the store.
  hub.requests.length = 0
  const store = createLocalStore(directory)
  const model = await store.provider.open(REPO, 'main', {})
  expect(model?.files.map(({ path: file }) => file)).toEqual(Object.keys(files()).toSorted())
  await store.close()
  expect(hub.requests).toEqual([])
})

it('a model that was pulled without a file is not said to lack it', async () => {
  const strict = await setup({ strict: true })
  const storage = await openStorage({ directory: strict.directory, environment: {} })
  await pullModel(storage, `hf://${REPO}`, { environment: strict.environment, dtype: 'q8' })
  await storage.close()
  expect(await strict.ask('onnx/model_quantized.onnx')).toBe(200)
  expect(await strict.ask('onnx/model.onnx')).toContain('is there without onnx/model.onnx')
  expect(await strict.ask('vocab.txt')).toBe(404)
})

it('what the Hugging Face cache has is read there, and needs no hub', async () => {
  const { hub, ask, environment, directory } = await setup({ strict: true })
  const elsewhere = await openStorage({ directory: `${directory}-other`, environment: {} })
  await pullModel(elsewhere, `hf://${REPO}`, { environment, all: true })
  await exportModelToHubCache(elsewhere, `hf://${REPO}`, { environment })
  await elsewhere.close()
  hub.requests.length = 0
  expect(await ask('config.json')).toBe(200)
  expect(await ask('onnx/model.onnx')).toBe(200)
  expect(await ask('vocab.txt')).toBe(404)
  expect(hub.requests).toEqual([])
})

it("what a cache lists and is left out is in nobody's way, and what cannot be one directory leaves nothing", async () => {
  const { environment, directory } = await setup({ strict: true })
  const storage = await openStorage({ directory: `${directory}-other`, environment: {} })
  onTestFinished(() => storage.close())
  const { cid } = await pullModel(storage, `hf://${REPO}`, { environment, dtype: 'q8' })
  const model = await openModel(async () => storage, `${cid}`)
  const commit = 'c0ffee0000000000000000000000000000000000'
  const source = model.files.find(({ path: name }) => name === 'config.json')
  if (!source) throw new Error('no config.json')
  const layOut = (more: readonly string[], omitted: readonly string[]) =>
    exportToHubCache(
      [...model.files, ...more.map((name) => ({ ...source, path: name }))].map((file) => ({
        ...file,
        localPath: model.path(more.includes(file.path) ? source.path : file.path) ?? '',
      })),
      {
        directory: path.join(environment.HF_HOME ?? '', 'hub'),
        repo: 'org/laid',
        commit,
        omitted: omitted.map((name) => ({ path: name, size: 1, gitOid: commit })),
      },
    )
  const taken = async () => {
    const cache = await findHubCache({ environment })
    if (!cache) throw new Error('no cache')
    const own = await openStorage({ directory: path.join(await temporaryDirectory(), 'store'), environment: {} })
    onTestFinished(() => own.close())
    return { own, importing: importFromHubCache(own, cache, { repo: 'org/laid' }) }
  }
  // In whatever order they come.
  await layOut([], ['weights.bin', 'Weights.bin', 'a:b.bin'])
  const { own, importing } = await taken()
  const { manifest } = await openModel(async () => own, `${(await importing).cid}`)
  expect(manifest).toMatchObject({ origin: { repo: 'org/laid', revision: commit }, omitted: [{ path: 'Weights.bin' }] })
  // Whoever pulls more of it asks the hub.
  expect(await findHubRevision(own, { repo: 'org/laid', revision: commit })).toMatchObject({ isUnlisted: true })
  await layOut(['readme.md', 'README.md'], [])
  const second = await taken()
  await expect(second.importing).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  for await (const root of second.own.roots()) expect(root).toBe('none')
})

it('a repository that is nowhere is not answered, and a hub that may not be asked is not', async () => {
  const { hub, ask } = await setup()
  await hub.close()
  expect(await ask('config.json')).toContain('ECONNREFUSED')
  await expect(openHub({ environment: { HF_HUB_OFFLINE: '1' } })).rejects.toMatchObject({ code: 'GATED' })
  await expect(openHub({ environment: { IPFS_ACCELERATE_HUB: 'off' } })).rejects.toMatchObject({
    code: 'GATED',
    message: expect.stringContaining('IPFS_ACCELERATE_HUB=off'),
  })
  // What CI turns off by default was asked for by its name.
  await expect(openHub({ environment: { CI: 'true' } })).resolves.toBeDefined()
  await expect(openHub({ environment: { IPFS_ACCELERATE_NETWORK: 'off' } })).rejects.toMatchObject({ code: 'GATED' })
  await expect(openHub({ environment: { IPFS_ACCELERATE_NETWORK: 'local' } })).rejects.toMatchObject({ code: 'GATED' })
})

it('a repository that the hub keeps from us says nothing of another one; a hub that is away is away for all', async () => {
  const { hub, directory, environment } = await setup({
    intercept: (request, response) => {
      if (request.url?.includes('/org/gated/') !== true) return false
      response.writeHead(403, { 'x-error-code': 'GatedRepo' }).end()
      return true
    },
  })
  const provider = createHubProvider({ directory, environment })
  onTestFinished(() => provider.close())
  const ask = (repo: string) => provider.open(repo, 'main', { path: 'config.json' })
  await expect(ask('org/gated')).rejects.toThrow(/gated/)
  const asked = hub.requests.length
  await expect(ask('org/gated')).rejects.toThrow(/gated/)
  expect(hub.requests).toHaveLength(asked)
  expect((await ask(REPO))?.files.length).toBeGreaterThan(0)
  await hub.close()
  await expect(ask('org/other')).rejects.toThrow(/ECONNREFUSED/)
  await expect(ask('org/another')).rejects.toThrow(/ECONNREFUSED.*|org\/other/)
})

it('a CID that is not here is not looked for at the hub', async () => {
  const { hub, directory, environment } = await setup()
  const cid = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
  for (const create of [createHubCacheProvider, createHubProvider]) {
    const provider = create({ directory, environment })
    expect(await provider.open(`ipfs/${cid}`, 'main', { path: 'config.json' })).toBeUndefined()
    await provider.close()
  }
  const storage = await openStorage({ directory, environment: {} })
  onTestFinished(() => storage.close())
  await expect(pullModel(storage, `ipfs/${cid}`, { environment })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(hub.requests).toEqual([])
})

it('a cache with other files does not take from the store what that has of the same commit', async () => {
  const { ask, directory, environment } = await setup({ strict: true })
  const elsewhere = await openStorage({ directory: `${directory}-other`, environment: {} })
  await pullModel(elsewhere, `hf://${REPO}`, { environment, dtype: 'fp32' })
  await exportModelToHubCache(elsewhere, `hf://${REPO}`, { environment })
  await elsewhere.close()
  const storage = await openStorage({ directory, environment: {} })
  onTestFinished(() => storage.close())
  await pullModel(storage, `hf://${REPO}`, { environment, dtype: 'q8', hubCache: false })
  const held = await resolveReference(storage, `hf://${REPO}`)
  expect(await ask('config.json')).toBe(200)
  // The cache has the one, nobody has the other.
  expect(await ask('onnx/model.onnx')).toBe(200)
  expect(await ask('onnx/model_fp16.onnx')).toBe(404)
  expect(await resolveReference(storage, `hf://${REPO}`)).toEqual(held)
})

it('a cache that knows an older commit does not take the branch back', async () => {
  const lfs = ['onnx/model.onnx', 'onnx/model_quantized.onnx']
  const older = fixtureCommit(files(), { lfs })
  const newer = fixtureCommit({ ...files(), 'README.md': new TextEncoder().encode('# Newer\n') }, { lfs })
  const repository = { commits: [older, newer], refs: { main: newer.commit } }
  const { directory, environment } = await setup({ strict: true, repository })
  const elsewhere = await openStorage({ directory: `${directory}-other`, environment: {} })
  await pullModel(elsewhere, `hf://${REPO}@${older.commit}`, { environment, all: true })
  await exportModelToHubCache(elsewhere, `hf://${REPO}@${older.commit}`, { environment, refs: ['main'] })
  await elsewhere.close()
  const storage = await openStorage({ directory, environment: {} })
  onTestFinished(() => storage.close())
  await pullModel(storage, `hf://${REPO}`, { environment, dtype: 'q8', hubCache: false })
  const held = await resolveReference(storage, `hf://${REPO}`)
  const cache = await findHubCache({ environment })
  if (!cache) throw new Error('there is no cache')
  const imported = await importFromHubCache(storage, cache, { repo: REPO })
  expect(imported).toMatchObject({ commit: older.commit, newer: newer.commit })
  expect(await resolveReference(storage, `hf://${REPO}`)).toEqual(held)
  expect((await resolveReference(storage, `hf://${REPO}@${older.commit}`)).cid).toEqual(imported.cid)
  // A client that asks the hub notes where the branch is now.
  const note = path.join(environment['HF_HOME'] ?? '', 'hub', 'models--org--tiny', 'refs', 'main')
  const later = new Date(Date.now() + 60_000)
  await utimes(note, later, later)
  expect(await importFromHubCache(storage, cache, { repo: REPO })).not.toHaveProperty('newer')
  expect((await resolveReference(storage, `hf://${REPO}`)).cid).toEqual(imported.cid)
})

it('what is being fetched when it is closed is stopped, and fetched when it is asked for again', async () => {
  const asked = Promise.withResolvers<void>()
  let isSilent = true
  const { directory, environment } = await setup({
    intercept: (request) => {
      if (!isSilent || request.url?.includes('model.onnx') !== true) return false
      asked.resolve()
      return true
    },
  })
  const provider = createHubProvider({ directory, environment })
  onTestFinished(() => provider.close())
  const ask = () => provider.open(REPO, 'main', { path: 'onnx/model.onnx' })
  const both = Promise.allSettled([ask(), ask()])
  await asked.promise
  await provider.close()
  const reason = expect.objectContaining({ message: 'hub was closed while it was asked' })
  expect(await both).toEqual(Array.from({ length: 2 }, () => ({ status: 'rejected', reason })))
  isSilent = false
  expect((await ask())?.files.map(({ path: file }) => file)).toContain('onnx/model.onnx')
})
