import { readdir } from 'node:fs/promises'
import path from 'node:path'

import { pathSource } from '@x/backend-fs'
import { gitBlobOid, isLfs } from '@x/hub-server'
import {
  addModel,
  createManifest,
  forgetSidecars,
  keepManifest,
  openModel,
  packModel,
  unpackModel,
  type ManifestInput,
} from '@x/model-loader'
import { createSigner } from '@x/model-signing'
import {
  checkSignatures,
  createModelRepositories,
  exportModelToHubCache,
  openModel as openChecked,
  sbomOf,
  signingSettings,
  signStoredModel,
  type Storage,
} from '@x/node'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import type { Files } from './hook-support.ts'
import { directoryOf, keysIn, signedFiles, tinyBert } from './signing-support.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

const REPO = 'google-bert/bert-base-uncased'
const COMMIT = '86b5e0934494bd15c9632b12f734a8a67f723594'

/** A pack whose only manifest says of its files what a stranger wants. */
async function packOf(files: Files, claims: Partial<ManifestInput>, name?: string): Promise<Uint8Array[]> {
  const from = await openMemoryStore()
  await keepAlone(from, files, claims)
  const car: Uint8Array[] = []
  for await (const { cid } of from.roots()) {
    for await (const piece of packModel(from, `${cid}`, { name })) car.push(piece)
  }
  return car
}

/** Adds a model whose only manifest says more than its files do. */
async function keepAlone(store: ContentStore, files: Files, claims: Partial<ManifestInput>): Promise<string> {
  const source = await pathSource(await directoryOf(files))
  if (source.type !== 'directory') throw new Error('no directory')
  const { cid } = await addModel(store, source)
  const { manifest } = await openModel(store, `${cid}`)
  await forgetSidecars(store, cid, { kinds: ['manifests'] })
  await keepManifest(store, createManifest({ ...manifest, ...claims }))
  return cid.toString()
}

async function unpacked(files: Files, claims: Partial<ManifestInput>, name?: string): Promise<[Storage, string]> {
  const storage = await openTemporary()
  const { cid } = await unpackModel(storage, await packOf(files, claims, name))
  return [storage, cid.toString()]
}

it('what is said to have been left out of a signed model is missing, unless that is known', async () => {
  const keys = await keysIn(await temporaryDirectory(), 'ours')
  const { 'tokenizer.json': dropped, ...less } = await signedFiles(tinyBert(), keys)
  const omitted = [{ path: 'tokenizer.json', size: dropped?.length ?? 0 }]
  const environment = { IPFS_ACCELERATE_UNSIGNED: 'refuse', IPFS_ACCELERATE_TRUSTED_KEYS: keys.file }
  const policy = signingSettings(environment)
  if (!policy) throw new Error('no policy')
  for (const claims of [{ omitted }, { omitted, origin: { repo: REPO, revision: COMMIT } }]) {
    const [storage, reference] = await unpacked(less, claims)
    const model = await openModel(storage, reference)
    expect(model).toMatchObject({ manifestClaimed: true, manifest: { omitted } })
    expect(await checkSignatures(storage, model, policy)).toMatchObject({ verdict: 'refused' })
    await expect(openChecked(async () => storage, reference, { policy })).rejects.toMatchObject({ reason: 'mismatch' })
  }
  const storage = await openTemporary()
  const known = await openModel(storage, await keepAlone(storage, less, { omitted }))
  expect(await checkSignatures(storage, known, policy)).toMatchObject({
    verdict: 'trusted',
    missing: ['tokenizer.json'],
  })
})

it('a repository that a key counts for is not one that a pack names', async () => {
  const keys = await keysIn(await temporaryDirectory(), 'theirs')
  const [storage, reference] = await unpacked(await signedFiles(tinyBert(), keys), {
    origin: { repo: REPO, revision: COMMIT },
  })
  const policy = signingSettings({ IPFS_ACCELERATE_TRUSTED_KEYS: `google-bert/*=${keys.file}` })
  if (!policy) throw new Error('no policy')
  const model = await openModel(storage, reference)
  expect(await checkSignatures(storage, model, policy)).toMatchObject({ verdict: 'refused' })
  expect(await checkSignatures(storage, model, policy, { repo: REPO })).toMatchObject({ verdict: 'trusted' })
})

it('where a pack says that it is from is no place in a cache, no origin in a bill, and no name in a signature', async () => {
  const [storage, reference] = await unpacked(tinyBert(), { origin: { repo: REPO, revision: COMMIT } })
  const directory = path.join(await temporaryDirectory(), 'hub')
  const environment = {}
  await expect(exportModelToHubCache(storage, reference, { directory, environment })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('name a repository'),
  })
  await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' })
  const exported = await exportModelToHubCache(storage, reference, { directory, environment, repo: REPO })
  expect(exported.commit).not.toBe(COMMIT)
  const bill = await sbomOf(storage, reference)
  expect(bill).not.toContain(REPO)
  expect(bill).not.toContain(COMMIT)
  const { privateKey } = await keysIn(await temporaryDirectory(), 'ours')
  const { bundle } = await signStoredModel(storage, reference, await createSigner(privateKey))
  const { dsseEnvelope } = JSON.parse(new TextDecoder().decode(bundle))
  expect(Buffer.from(dsseEnvelope.payload, 'base64').toString()).not.toContain(REPO)
})

it('a pack that calls itself a repository does not answer for its commits', async () => {
  const [storage] = await unpacked(tinyBert(), { origin: { repo: REPO, revision: COMMIT } }, REPO)
  const repositories = createModelRepositories(storage, { gitBlobOid, isLfs })
  await expect(repositories.open(REPO, COMMIT, {})).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const main = await repositories.open(REPO, 'main', {})
  expect(main?.commit).toMatch(/^[\da-f]{40}$/)
  expect(main?.commit).not.toBe(COMMIT)
  expect(main).not.toHaveProperty('omitted')
  // Once it is known, it does.
  const { manifest } = await openModel(storage, REPO)
  await keepManifest(storage, manifest)
  expect((await repositories.open(REPO, COMMIT, {}))?.commit).toBe(COMMIT)
})
