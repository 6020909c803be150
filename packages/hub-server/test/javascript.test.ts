import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as hub from '@huggingface/hub'
import { env, pipeline } from '@huggingface/transformers'
import { openFsStore } from '@x/backend-fs'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { serveHandler } from '../../../tooling/serve-handler.ts'
import { toHex } from '../src/git-object.ts'
import { createHubHandler } from '../src/hub-handler.ts'
import { embeddedModel } from './embedded-model.ts'
import { noise, sha256, small, storedRepositories } from './support.ts'

const MODEL = noise(300_000)

const bytesOfBlob = async (blob: Blob | null | undefined): Promise<Uint8Array> =>
  new Uint8Array((await blob?.arrayBuffer()) ?? new ArrayBuffer())

it('@huggingface/hub downloads, lists and takes snapshots', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hub-server-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const store = await openFsStore({ directory: join(home, 'store') })
  onTestFinished(() => store.close())
  const repositories = await storedRepositories(store, { 'org/small': small, gpt2: small })
  const commit = repositories.commitOf('org/small')
  const { url: hubUrl } = await serveHandler(createHubHandler(repositories, { pageSize: 2 }))
  const repo = 'org/small'

  const file = await hub.downloadFile({ repo, path: 'onnx/model.onnx', hubUrl })
  expect(Buffer.compare(await bytesOfBlob(file), MODEL)).toBe(0)
  const part = file?.slice(100, 200)
  expect(Buffer.compare(await bytesOfBlob(part), MODEL.subarray(100, 200))).toBe(0)
  expect((await hub.downloadFile({ repo, path: 'empty.txt', hubUrl }))?.size).toBe(0)
  expect(await hub.downloadFile({ repo, path: 'no.json', hubUrl })).toBeNull()
  const pointer = await hub.downloadFile({ repo, path: 'onnx/model.onnx', raw: true, hubUrl })
  expect(await pointer?.text()).toContain(`oid sha256:${toHex(sha256(MODEL))}`)
  expect(await (await hub.downloadFile({ repo, path: 'config.json', revision: 'refs/pr/1', hubUrl }))?.text()).toBe(
    '{"pr":1}',
  )

  const info = await hub.fileDownloadInfo({ repo, path: 'onnx/model.onnx', hubUrl })
  expect(info).toMatchObject({ size: MODEL.length, etag: `"${toHex(sha256(MODEL))}"`, xet: undefined })
  expect(await hub.fileExists({ repo, path: 'config.json', hubUrl })).toBe(true)
  expect(await hub.fileExists({ repo, path: 'no.json', hubUrl })).toBe(false)
  expect(await hub.repoExists({ repo, hubUrl })).toBe(true)
  expect(await hub.repoExists({ repo: 'org/none', hubUrl })).toBe(false)
  await hub.checkRepoAccess({ repo: 'gpt2', hubUrl })
  await expect(hub.checkRepoAccess({ repo: 'org/none', hubUrl })).rejects.toMatchObject({ statusCode: 401 })

  const listed: [string, string][] = []
  for await (const { type, path } of hub.listFiles({ repo, recursive: true, hubUrl })) listed.push([type, path])
  expect(listed.filter(([type]) => type === 'file').map(([, path]) => path)).toEqual(
    Object.keys(small.files).toSorted(),
  )
  const pull: string[] = []
  for await (const { path } of hub.listFiles({ repo, revision: 'refs/pr/1', hubUrl })) pull.push(path)
  expect(pull).toEqual(['config.json'])
  const paths = await hub.pathsInfo({ repo, paths: ['onnx/model.onnx', 'none'], expand: true, hubUrl })
  expect(paths.map(({ path, lastCommit }) => [path, lastCommit.id])).toEqual([['onnx/model.onnx', commit]])
  const model = await hub.modelInfo({ name: repo, additionalFields: ['sha', 'filePaths'], hubUrl })
  expect(model).toMatchObject({ name: repo, sha: commit, private: false, gated: false })
  expect(model.filePaths.toSorted()).toEqual(Object.keys(small.files).toSorted())
  const models: string[] = []
  for await (const { name } of hub.listModels({ hubUrl, search: { owner: 'org' } })) models.push(name)
  expect(models).toEqual(['org/small'])

  vi.spyOn(console, 'debug').mockReturnValue()
  // Its paths are not encoded, so that `#` would end them.
  const plain = await storedRepositories(store, {
    [repo]: { files: { 'config.json': small.files['config.json'] ?? MODEL, 'onnx/model.onnx': MODEL } },
  })
  const { url: plainUrl } = await serveHandler(createHubHandler(plain))
  const folder = await hub.snapshotDownload({ repo, hubUrl: plainUrl, cacheDir: join(home, 'cache') })
  expect(folder.endsWith(plain.commitOf(repo))).toBe(true)
  expect(Buffer.compare(await readFile(join(folder, 'onnx/model.onnx')), MODEL)).toBe(0)

  const tokens = [{ name: 'reader', token: 'hf_right' }]
  const { url: lockedUrl } = await serveHandler(createHubHandler(repositories, { tokens }))
  await expect(hub.fileDownloadInfo({ repo, path: 'config.json', hubUrl: lockedUrl })).rejects.toMatchObject({
    statusCode: 401,
  })
  const accessToken = 'hf_right'
  const opened = await hub.downloadFile({ repo, path: 'config.json', hubUrl: lockedUrl, accessToken })
  expect(await opened?.text()).toBe('{"model_type":"bert"}')
  expect(await hub.whoAmI({ hubUrl: lockedUrl, accessToken })).toMatchObject({ type: 'user', name: 'reader' })
})

it('transformers.js runs a model from it, by the revision that is asked for', async () => {
  const home = await mkdtemp(join(tmpdir(), 'hub-server-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const repositories = await storedRepositories(store, { 'org/embed': { files: await embeddedModel() } })
  const { url, requests } = await serveHandler(createHubHandler(repositories))
  const before = { ...env }
  onTestFinished(() => void Object.assign(env, before))
  env.remoteHost = url
  env.allowLocalModels = false
  // In Node it runs a model from its cache alone.
  env.cacheDir = home
  const revision = repositories.commitOf('org/embed')
  const embed = await pipeline('feature-extraction', 'org/embed', { dtype: 'q8', revision })
  onTestFinished(() => embed.dispose())
  const output = await embed('hello', { pooling: 'mean', normalize: true })
  expect(output.dims).toEqual([1, 384])
  const asked = new Set(
    requests.map((line) => line.replace(/ \[.*/, '').replace(`/org/embed/resolve/${revision}/`, '')),
  )
  expect(asked).toContain('GET onnx/model_quantized.onnx')
  await expect(pipeline('feature-extraction', 'org/none')).rejects.toThrow(/org\/none/)
})
