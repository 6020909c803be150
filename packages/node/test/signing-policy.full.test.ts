import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import { fixtureCommit, startFixtureHub } from '@x/fixtures/hub'
import { createSigner } from '@x/model-signing'
import {
  addModel,
  exportModelToHubCache,
  from,
  openModel,
  pullModel,
  signingSettings,
  signStoredModel,
  type Storage,
} from '@x/node'
import { describe, expect, it, onTestFinished } from 'vitest'

import { libraryCacheOf, runApp, storeOf, type Files } from './hook-support.ts'
import { directoryOf, keysIn, signedFiles, tinyBert, type Keys } from './signing-support.ts'
import { openTemporary, temporaryDirectory } from './support.ts'

const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value)
const changed = (files: Files): Files => ({ ...files, 'config.json': text('{"model_type":"bert","a":1}') })

async function two(): Promise<[ours: Keys, theirs: Keys]> {
  const folder = await temporaryDirectory()
  return [await keysIn(folder, 'ours'), await keysIn(folder, 'theirs')]
}

const refusing = ({ file }: Keys, scope = ''): Record<string, string> => ({
  IPFS_ACCELERATE_UNSIGNED: 'refuse',
  IPFS_ACCELERATE_TRUSTED_KEYS: `${scope}${file}`,
})

/** Gives the verdict on what it opened. */
const opener =
  (storage: Storage) =>
  async (reference: string, environment: Record<string, string>, warnings: string[] = []): Promise<string> => {
    const policy = signingSettings(environment)
    let verdict = 'not asked'
    const options = {
      policy,
      onAssessed: (assessment: { verdict: string }) => void (verdict = assessment.verdict),
      onWarning: (message: string) => void warnings.push(message),
    }
    await (await openModel(async () => storage, reference, options)).close()
    return verdict
  }

type Open = ReturnType<typeof opener>

/** A store with a model that we signed. */
async function signed(): Promise<{ storage: Storage; ours: Keys; theirs: Keys; open: Open }> {
  const [ours, theirs] = await two()
  const storage = await openTemporary()
  await addModel(storage, await directoryOf(tinyBert()), { name: 'acme/tiny' })
  await signStoredModel(storage, 'acme/tiny', await createSigner(ours.privateKey))
  return { storage, ours, theirs, open: opener(storage) }
}
describe('settings', () => {
  it('nothing is asked of models by default', () => {
    expect(signingSettings({})).toBeUndefined()
    expect(signingSettings({ IPFS_ACCELERATE_UNSIGNED: ' ', IPFS_ACCELERATE_TRUSTED_KEYS: '' })).toBeUndefined()
  })

  it('reads keys, scoped or not, and an option beats its variable', async () => {
    const [ours, theirs] = await two()
    const environment = {
      IPFS_ACCELERATE_UNSIGNED: 'warn',
      IPFS_ACCELERATE_TRUSTED_KEYS: [ours.file, `acme/*=${theirs.file}`, ''].join(path.delimiter),
      IPFS_ACCELERATE_PICKLE: 'refuse',
    }
    const trusted = [
      { name: ours.file, key: ours.publicKey },
      { name: theirs.file, key: theirs.publicKey, repos: ['acme/*'] },
    ]
    expect(signingSettings(environment)).toEqual({ unsigned: 'warn', pickle: 'refuse', trusted })
    expect(signingSettings(environment, { unsigned: 'allow', trusted: [] })).toEqual({
      unsigned: 'allow',
      pickle: 'refuse',
      trusted: [],
    })
    expect(signingSettings({ IPFS_ACCELERATE_PICKLE: 'list' })).toEqual({
      unsigned: 'allow',
      pickle: 'list',
      trusted: [],
    })
  })

  it.each([
    ['IPFS_ACCELERATE_UNSIGNED', 'deny', 'none of allow, warn, refuse'],
    ['IPFS_ACCELERATE_UNSIGNED', 'REFUSE', 'none of allow, warn, refuse'],
    ['IPFS_ACCELERATE_PICKLE', 'allow', 'none of list, refuse'],
    ['IPFS_ACCELERATE_TRUSTED_KEYS', '/nowhere/key.pub', '/nowhere/key.pub is not there'],
    ['IPFS_ACCELERATE_TRUSTED_KEYS', 'acme/*=/nowhere/key.pub', '/nowhere/key.pub is not there'],
  ])('%s=%s is one error that names it', (variable, value, why) => {
    expect(() => signingSettings({ [variable]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringMatching(`^${variable}: .*${why}`) }),
    )
  })

  it('a file without a key that can be checked with is refused before any model is', async () => {
    const [{ privateKey, publicKey }] = await two()
    const broken = publicKey.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')
    const file = path.join(await temporaryDirectory(), 'key')
    for (const [content, why] of [
      [privateKey, 'private key'],
      ['hello', 'no public key or certificate'],
      [broken, 'cannot be read'],
      ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'cannot be read'],
    ] as const) {
      await writeFile(file, content)
      expect(() => signingSettings({ IPFS_ACCELERATE_TRUSTED_KEYS: file })).toThrow(why)
    }
  })
})

describe('a model that is opened', () => {
  it('passes when it is signed by who is trusted, and by nobody else', async () => {
    const { open, ours, theirs } = await signed()
    expect(await open('acme/tiny', {})).toBe('not asked')
    expect(await open('acme/tiny', refusing(ours))).toBe('trusted')
    const anyOf = { ...refusing(ours), IPFS_ACCELERATE_TRUSTED_KEYS: [theirs.file, ours.file].join(path.delimiter) }
    expect(await open('acme/tiny', anyOf)).toBe('trusted')
    for (const unsigned of ['allow', 'warn', 'refuse']) {
      const environment = { ...refusing(theirs), IPFS_ACCELERATE_UNSIGNED: unsigned }
      await expect(open('acme/tiny', environment)).rejects.toMatchObject({
        code: 'SIGNATURE',
        reason: 'unknown-key',
        message: expect.stringMatching(/^acme\/tiny: /),
      })
    }
  })

  it('a key counts for the repositories it is for', async () => {
    const { open, ours, storage } = await signed()
    expect(await open('acme/tiny', refusing(ours, 'acme/*='))).toBe('trusted')
    await expect(open('acme/tiny', refusing(ours, 'evil/*='))).rejects.toThrow('evil/*')
    const { cid } = await openModel(async () => storage, 'acme/tiny')
    // A CID says nothing of where it is from.
    await expect(open(`ipfs://${cid}`, refusing(ours, 'acme/*='))).rejects.toMatchObject({ reason: 'unknown-key' })
  })

  it('unsigned is allowed, allowed with one warning, or refused', async () => {
    const storage = await openTemporary()
    await addModel(storage, await directoryOf(tinyBert()), { name: 'acme/tiny' })
    const open = opener(storage)
    const warnings: string[] = []
    expect(await open('acme/tiny', { IPFS_ACCELERATE_UNSIGNED: 'allow' }, warnings)).toBe('unsigned')
    expect(warnings).toEqual([])
    expect(await open('acme/tiny', { IPFS_ACCELERATE_UNSIGNED: 'warn' }, warnings)).toBe('unsigned')
    expect(warnings).toEqual(['acme/tiny: the model is not signed'])
    await expect(open('acme/tiny', { IPFS_ACCELERATE_UNSIGNED: 'refuse' })).rejects.toMatchObject({
      code: 'SIGNATURE',
      reason: 'unsigned',
      message: 'acme/tiny: the model is not signed',
    })
  })

  it('pickles are listed, or refused, signed or not', async () => {
    const [ours] = await two()
    const storage = await openTemporary()
    const files = { ...tinyBert(), 'pytorch_model.bin': text('x') }
    await addModel(storage, await directoryOf(await signedFiles(files, ours)), { name: 'acme/tiny' })
    const open = opener(storage)
    expect(await open('acme/tiny', refusing(ours))).toBe('trusted')
    // Nobody is trusted, so the signature is not asked for.
    expect(await open('acme/tiny', { IPFS_ACCELERATE_PICKLE: 'list' })).toBe('unsigned')
    for (const environment of [{}, refusing(ours)]) {
      await expect(open('acme/tiny', { ...environment, IPFS_ACCELERATE_PICKLE: 'refuse' })).rejects.toMatchObject({
        code: 'GATED',
        feature: 'pickle',
        message: expect.stringMatching(/^acme\/tiny: .*pytorch_model\.bin/),
      })
    }
  })

  it.each(['a store', 'a directory in place'])('a model.sig in it counts, in %s', async (where) => {
    const [ours, theirs] = await two()
    const storage = await openTemporary()
    const open = opener(storage)
    const referenceOf = async (files: Files): Promise<string> => {
      const directory = await directoryOf(files)
      return where === 'a store' ? `ipfs://${(await addModel(storage, directory)).cid}` : directory
    }
    const good = await signedFiles(tinyBert(), ours)
    expect(await open(await referenceOf(good), refusing(ours))).toBe('trusted')
    await expect(open(await referenceOf(good), refusing(theirs))).rejects.toMatchObject({ reason: 'unknown-key' })
    await expect(open(await referenceOf(tinyBert()), refusing(ours))).rejects.toMatchObject({ reason: 'unsigned' })
    const { 'tokenizer.json': _, ...less } = good
    const broken = { ...good, 'model.sig': (good['model.sig'] ?? text('')).slice(0, 100) }
    for (const [files, reason] of [
      [changed(good), 'mismatch'],
      [{ ...good, 'onnx/extra.onnx': tinyBert()['onnx/model.onnx'] ?? text('') }, 'mismatch'],
      [less, 'mismatch'],
      [broken, 'malformed'],
    ] as const) {
      // However lenient: what is there and wrong is never "unsigned".
      const environment = { ...refusing(ours), IPFS_ACCELERATE_UNSIGNED: 'allow' }
      await expect(open(await referenceOf(files), environment)).rejects.toMatchObject({ code: 'SIGNATURE', reason })
    }
  })

  it('from() asks the environment, and its options', async () => {
    const { storage, ours, theirs } = await signed()
    const { directory } = storage
    const model = await from('acme/tiny', { storage, environment: refusing(ours) })
    await model.close()
    await expect(from('acme/tiny', { directory, environment: refusing(theirs) })).rejects.toMatchObject({
      reason: 'unknown-key',
    })
    const trusted = [{ key: ours.publicKey }]
    await (await from('acme/tiny', { storage, environment: refusing(theirs), policy: { trusted } })).close()
  })
})

describe('an unmodified program', () => {
  const app = 'answer-or-error.mjs'
  const OFF = { IPFS_ACCELERATE_NETWORK: 'off' }
  const status = { REGISTER: new URL('../src/register.ts', import.meta.url).href, REPO: 'fix/tiny-bert' }

  it('runs what is signed by who is trusted, and status() says so', async () => {
    const [ours] = await two()
    const store = await storeOf({ 'fix/tiny-bert': await signedFiles(tinyBert(), ours) })
    const environment = { ...OFF, ...refusing(ours, 'fix/*='), ...status }
    const { json, stderr } = await runApp('signing-status.mjs', { store, environment })
    expect(stderr).toBe('')
    expect(json).toMatchObject({
      dims: [1, 16],
      signing: {
        unsigned: 'refuse',
        trusted: [{ name: ours.file, repos: ['fix/*'] }],
        models: [{ repo: 'fix/tiny-bert', provider: 'store', verdict: 'trusted', signer: ours.file }],
      },
    })
  })

  it('gets an error that names the model, where that is refused', async () => {
    const [ours, theirs] = await two()
    const store = await storeOf({ 'fix/tiny-bert': await signedFiles(tinyBert(), theirs) })
    const environment = { ...OFF, ...refusing(ours), ...status }
    const { json } = await runApp('signing-status.mjs', { store, environment })
    expect(json).toMatchObject({
      code: 'SIGNATURE',
      error: expect.stringContaining('fix/tiny-bert'),
      signing: { models: [{ repo: 'fix/tiny-bert', verdict: 'refused', reasons: [{ code: 'unknown-key' }] }] },
    })
  })

  it('asks nobody else for it', async () => {
    const [ours] = await two()
    const commit = fixtureCommit(tinyBert(), { lfs: ['onnx/model.onnx'] })
    const hub = await startFixtureHub({
      repositories: { 'fix/tiny-bert': { commits: [commit], refs: { main: commit.commit } } },
    })
    onTestFinished(() => hub.close())
    const store = await storeOf({ 'fix/tiny-bert': changed(await signedFiles(tinyBert(), ours)) })
    const cache = await libraryCacheOf('fix/tiny-bert', tinyBert())
    const environment = {
      ...refusing(ours),
      // Also where unsigned ones are allowed.
      IPFS_ACCELERATE_UNSIGNED: 'allow',
      HF_ENDPOINT: hub.url,
      HUB: hub.url,
      LIBRARY_CACHE: cache,
      LOCAL_MODELS: cache,
    }
    expect((await runApp(app, { store, environment })).json).toMatchObject({
      code: 'SIGNATURE',
      error: expect.stringMatching(/fix\/tiny-bert.*config\.json/),
    })
    expect(hub.requests).toEqual([])
  })

  it('is not given what the library has or would fetch by itself, where unsigned models are refused', async () => {
    const [ours] = await two()
    const commit = fixtureCommit(tinyBert(), { lfs: ['onnx/model.onnx'] })
    const hub = await startFixtureHub({
      repositories: { 'fix/tiny-bert': { commits: [commit], refs: { main: commit.commit } } },
    })
    onTestFinished(() => hub.close())
    const store = path.join(await temporaryDirectory(), 'store')
    const elsewhere = {
      ...refusing(ours),
      HUB: hub.url,
      LIBRARY_CACHE: await libraryCacheOf('fix/tiny-bert', tinyBert()),
    }
    // Nobody has it but the library: its cache, and its own fetch.
    const { json } = await runApp(app, { store, environment: { ...elsewhere, IPFS_ACCELERATE_HUB: 'prefer' } })
    expect(json).toMatchObject({ error: expect.stringContaining('was refused') })
    expect(hub.requests).toEqual([])
    // The hub has it, unsigned; from then on the store has it too.
    const unsigned = await runApp(app, { store, environment: { ...elsewhere, HF_ENDPOINT: hub.url } })
    expect(unsigned.json).toMatchObject({
      code: 'SIGNATURE',
      error: expect.stringContaining('the model is not signed'),
    })
  })

  it('runs what comes from the hub file by file with its model.sig', async () => {
    const [ours, theirs] = await two()
    const commit = fixtureCommit(await signedFiles(tinyBert(), ours), { lfs: ['onnx/model.onnx'] })
    const hub = await startFixtureHub({
      repositories: { 'fix/tiny-bert': { commits: [commit], refs: { main: commit.commit } } },
    })
    onTestFinished(() => hub.close())
    for (const [keys, expected] of [
      [theirs, { code: 'SIGNATURE' }],
      [ours, { dims: [1, 16] }],
    ] as const) {
      const store = path.join(await temporaryDirectory(), 'store')
      const environment = { ...refusing(keys, 'fix/tiny-bert='), HF_ENDPOINT: hub.url }
      expect((await runApp(app, { store, environment })).json).toMatchObject(expected)
    }
  })

  it('runs what the Hugging Face cache has with its model.sig, and nothing that has none', async () => {
    const [ours, theirs] = await two()
    const signedCommit = fixtureCommit(await signedFiles(tinyBert(), ours), { lfs: ['onnx/model.onnx'] })
    const plainCommit = fixtureCommit(tinyBert(), { lfs: ['onnx/model.onnx'] })
    const hub = await startFixtureHub({
      repositories: {
        'fix/signed': { commits: [signedCommit], refs: { main: signedCommit.commit } },
        'fix/plain': { commits: [plainCommit], refs: { main: plainCommit.commit } },
      },
    })
    const environment = { HF_ENDPOINT: hub.url, HF_HOME: path.join(await temporaryDirectory(), 'hf') }
    const storage = await openTemporary()
    for (const repo of ['fix/signed', 'fix/plain']) {
      await pullModel(storage, `hf://${repo}`, { environment, all: true })
      await exportModelToHubCache(storage, `hf://${repo}`, { environment })
    }
    await hub.close()
    for (const [REPO, keys, expected] of [
      ['fix/signed', ours, { dims: [1, 16] }],
      ['fix/signed', theirs, { code: 'SIGNATURE', error: expect.stringContaining('fix/signed (') }],
      ['fix/plain', ours, { code: 'SIGNATURE' }],
    ] as const) {
      const store = path.join(await temporaryDirectory(), 'store')
      const { json } = await runApp(app, { store, environment: { ...environment, ...OFF, ...refusing(keys), REPO } })
      expect(json).toMatchObject(expected)
    }
  })

  it('is warned once of a model that is not signed', async () => {
    const store = await storeOf({ 'fix/tiny-bert': tinyBert() })
    const { json, stderr } = await runApp(app, { store, environment: { ...OFF, IPFS_ACCELERATE_UNSIGNED: 'warn' } })
    expect(json).toMatchObject({ dims: [1, 16] })
    expect(stderr.trim()).toMatch(/^ipfs-accelerate: fix\/tiny-bert .*: the model is not signed$/)
  })

  it('does not start with a setting that means nothing', async () => {
    const { code, stderr } = await runApp(app, { environment: { IPFS_ACCELERATE_UNSIGNED: 'no' } })
    expect(code).not.toBe(0)
    expect(stderr).toContain('IPFS_ACCELERATE_UNSIGNED: "no" is none of allow, warn, refuse')
  })
})
