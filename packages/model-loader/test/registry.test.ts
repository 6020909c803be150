import { isStorageError, NotFoundError } from '@x/storage-core'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import {
  acceptRegistry,
  addModel,
  buildRegistry,
  createManifest,
  findInRegistries,
  forgetRegistry,
  forgetSidecars,
  keepHubRevision,
  keepManifest,
  listModels,
  listRegistries,
  openModel,
  promoteVersion,
  readRegistry,
  registryFromJson,
  registryToJson,
  resolveReference,
  searchModels,
  signRegistry,
} from '../src/index.ts'
import { CID_TEXT, keyPair, published, row, SOURCE } from './registry-support.ts'
import { collect, filesSource, stores, text, tinyBert } from './support.ts'

const variant = (note: string) => filesSource({ ...tinyBert(), 'README.md': text(`---\nlicense: mit\n---\n${note}`) })

describe.each(stores)('in the %s store', (_kind, open) => {
  it('says what names and versions are, which another store follows', async () => {
    const [ours, theirs] = [await open(), await open()]
    const one = await addModel(ours, variant('1'), { name: 'org/tiny', version: '1.0' })
    const two = await addModel(ours, variant('2'), { name: 'org/tiny', version: '2.0' })
    await addModel(ours, variant('3'), { name: 'else/where' })
    await addModel(ours, variant('4'), { name: 'org/plain' })
    // A store's own names; they are not what a registry has.
    await addModel(ours, variant('5'), { name: 'org/team/tiny', version: '1' })
    await addModel(ours, variant('6'), { name: 'org' })
    await promoteVersion(ours, 'org/tiny', '1.0')
    const { signer, trusted } = await keyPair()
    const signed = await signRegistry(ours, signer, { name: 'models.example.org', prefix: 'org/' })
    expect(signed).toMatchObject({ models: 3, omitted: ['org/team/tiny', 'org/team/tiny@1'] })
    expect((await buildRegistry(ours)).omitted).toContain('org')

    const accepted = await acceptRegistry(theirs, signed.bytes, { source: SOURCE, trusted })
    expect(accepted).toMatchObject({ name: 'models.example.org', source: SOURCE, models: 3, change: 'new' })
    expect((await readRegistry(theirs, 'models.example.org')).models).toEqual(
      (await buildRegistry(ours, { prefix: 'org/' })).models,
    )
    expect(await findInRegistries(theirs, { name: 'org/tiny' })).toMatchObject({
      cid: one.cid,
      version: '1.0',
      registry: 'models.example.org',
      manifest: one.manifest,
      licence: 'mit',
      dtypes: ['fp32'],
    })
    expect(await findInRegistries(theirs, { name: 'org/tiny', version: '2.0' })).toMatchObject({ cid: two.cid })
    expect(await findInRegistries(theirs, { name: 'org/tiny', version: '3' })).toBeUndefined()
    const unheld = resolveReference(theirs, 'org/tiny')
    await expect(unheld).rejects.toThrow(NotFoundError)
    await expect(unheld).rejects.toMatchObject({ cid: one.cid, message: expect.stringContaining('pull it') })
    expect((await resolveReference(ours, 'org/tiny')).cid).toEqual(one.cid)
    // Nothing of it is a root, and a collection leaves it.
    expect(await collect(theirs.roots())).toEqual([])
    expect(await collect(listModels(theirs))).toEqual([])
    await theirs.gc()
    expect((await readRegistry(theirs, 'models.example.org')).models).toHaveLength(3)
    await forgetRegistry(theirs, 'models.example.org')
    await expect(forgetRegistry(theirs, 'models.example.org')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await findInRegistries(theirs, { name: 'org/tiny' })).toBeUndefined()
    await theirs.gc()
    expect(await collect(theirs.blocks.list())).toEqual([])
  })

  it('what somebody claims of a model is not said', async () => {
    const store = await open()
    const { cid, manifest } = await addModel(store, variant('1'), { name: 'me/mine' })
    const own = (await openModel(store, 'me/mine')).manifest
    const origin = { repo: 'org/famous', revision: 'c0ffee'.padEnd(40, '0') }
    await keepManifest(store, createManifest({ ...own, origin }), { claimed: true })
    const [model] = (await buildRegistry(store)).models
    expect(model).toMatchObject({ name: 'me/mine', cid, manifest, licence: 'mit' })
    expect(model).not.toHaveProperty('origin')
    // Nor where nothing else is known.
    await forgetSidecars(store, cid, { kinds: ['manifests'] })
    const claimed = await keepManifest(store, createManifest({ ...own, origin }), { claimed: true })
    const [alone] = (await buildRegistry(store)).models
    expect(alone).toMatchObject({ name: 'me/mine', cid, licence: 'mit' })
    expect(alone).not.toHaveProperty('origin')
    expect(alone).not.toHaveProperty('manifest')
    await keepManifest(store, createManifest({ ...own, origin }))
    expect((await buildRegistry(store)).models).toMatchObject([{ origin, manifest: claimed }])
  })

  it("the store's own names win, and what is held is opened by the registry's name", async () => {
    const [ours, theirs] = [await open(), await open()]
    const mine = await addModel(theirs, variant('mine'), { name: 'org/tiny' })
    await addModel(ours, variant('other'), { name: 'org/tiny' })
    const held = await addModel(ours, variant('held'), { name: 'org/held' })
    await addModel(theirs, variant('held'))
    const { signer, trusted } = await keyPair()
    const { bytes } = await signRegistry(ours, signer, { name: 'r' })
    await acceptRegistry(theirs, bytes, { source: SOURCE, trusted })
    expect((await resolveReference(theirs, 'org/tiny')).cid).toEqual(mine.cid)
    expect(await resolveReference(theirs, 'org/held')).toEqual({ cid: held.cid, name: 'org/held' })
    const search = async (wanted: string) => collect(searchModels(theirs, { text: wanted }))
    expect(await search('HELD')).toMatchObject([
      { cid: held.cid, names: [], registryNames: [{ name: 'org/held', registry: 'r' }] },
    ])
    expect(await search('tiny')).toMatchObject([{ cid: mine.cid, names: ['org/tiny'], registryNames: [] }])
    expect(await search('nothing')).toEqual([])
  })

  it('what was fetched from the hub before is there until the model of the registry is', async () => {
    const [ours, theirs] = [await open(), await open()]
    const fetched = await addModel(theirs, variant('of the hub'))
    const commit = '0123456789'.repeat(4)
    const revision = { manifest: fetched.manifest, root: fetched.cid, commit }
    await keepHubRevision(theirs, { repo: 'org/tiny' }, revision)
    const { cid } = await addModel(ours, variant('of the registry'), { name: 'org/tiny' })
    const { signer, trusted } = await keyPair()
    const { bytes } = await signRegistry(ours, signer, { name: 'r' })
    await acceptRegistry(theirs, bytes, { source: SOURCE, trusted })
    expect(await resolveReference(theirs, 'org/tiny')).toEqual({ cid: fetched.cid })
    await addModel(theirs, variant('of the registry'))
    expect(await resolveReference(theirs, 'org/tiny')).toEqual({ cid, name: 'org/tiny' })
    expect(await resolveReference(theirs, 'hf://org/tiny')).toEqual({ cid: fetched.cid })
  })

  it('only moves forward, by one signer, under one name', async () => {
    const store = await open()
    const [us, others] = [await keyPair(), await keyPair()]
    const both = [...us.trusted, ...others.trusted]
    const accept = (bytes: Uint8Array, options: object = {}) =>
      acceptRegistry(store, bytes, { source: SOURCE, ...options })
    const refused = async (bytes: Promise<Uint8Array>, reason: string, options: object = {}): Promise<void> => {
      await expect(accept(await bytes, options)).rejects.toMatchObject({ code: 'SIGNATURE', reason })
    }
    const seven = await published(store, us.signer, [row(CID_TEXT)], 7)
    await expect(accept(seven)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await refused(Promise.resolve(seven), 'unknown-key', { trusted: others.trusted })
    await refused(Promise.resolve(seven), 'mismatch', { trusted: us.trusted, name: 'other' })
    expect(await collect(listRegistries(store))).toEqual([])
    expect(await accept(seven, { trusted: both })).toMatchObject({ change: 'new', sequence: 7 })
    expect(await accept(seven)).toMatchObject({ change: 'same' })
    await refused(published(store, us.signer, [], 6), 'backwards')
    await refused(published(store, us.signer, [], 7), 'backwards')
    await refused(published(store, others.signer, [], 8), 'unknown-key')
    await refused(published(store, us.signer, [], 8, 'elsewhere'), 'mismatch')
    // From anywhere else as well.
    await refused(published(store, others.signer, [], 8), 'unknown-key', { source: './file', trusted: both })
    await refused(published(store, us.signer, [], 6), 'backwards', { source: './file', trusted: both })
    expect(await findInRegistries(store, { name: 'org/tiny' })).toMatchObject({ registry: 'them' })
    expect(await accept(await published(store, us.signer, [], 8))).toMatchObject({ change: 'newer', models: 0 })
    expect(await findInRegistries(store, { name: 'org/tiny' })).toBeUndefined()
  })

  it('two registries that say another thing each are not chosen from', async () => {
    const store = await open()
    const { signer, trusted } = await keyPair()
    const { cid } = await addModel(store, variant('1'))
    for (const [name, model] of [
      ['a', cid],
      ['b', CID_TEXT],
    ]) {
      const bytes = await published(store, signer, [row(model)], 1, String(name))
      await acceptRegistry(store, bytes, { source: `./${name}`, trusted })
    }
    await expect(resolveReference(store, 'org/tiny')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await forgetRegistry(store, 'b')
    expect((await resolveReference(store, 'org/tiny')).cid).toEqual(cid)
  })

  it('the numbers of a publisher only grow', async () => {
    const store = await open()
    const { signer } = await keyPair()
    const sign = (sequence?: number) => signRegistry(store, signer, { name: 'r', sequence, empty: 'allow' })
    const far = Date.now() + 1e9
    expect((await sign()).sequence).toBeLessThanOrEqual(Date.now())
    expect((await sign(far)).sequence).toBe(far)
    expect((await sign()).sequence).toBe(far + 1)
    await expect(sign(far)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(signRegistry(store, signer, { name: '../r' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('one without a model is signed only when that is meant, and else uses up no number', async () => {
    const store = await open()
    const { signer } = await keyPair()
    const unnamed = signRegistry(store, signer, { name: 'r' })
    await expect(unnamed).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('no model') })
    const elsewhere = signRegistry(store, signer, { name: 'r', prefix: 'acme/' })
    await expect(elsewhere).rejects.toMatchObject({ message: expect.stringContaining('begins with "acme/"') })
    expect(await collect(store.names.list())).toEqual([])
    expect(await signRegistry(store, signer, { name: 'r', empty: 'allow' })).toMatchObject({ models: 0 })
  })
})

it.each([
  ['no map', []],
  ['another schema', { schema: 2, models: [] }],
  ['no schema', { models: [] }],
  ['an unknown field', { schema: 1, models: [], more: 1 }],
  ['no list', { schema: 1, models: {} }],
  ['a name that leaves', { schema: 1, models: [row(CID_TEXT, { name: '../x' })] }],
  ['a name without an org', { schema: 1, models: [row(CID_TEXT, { name: 'foo' })] }],
  ['a name of three parts', { schema: 1, models: [row(CID_TEXT, { name: 'a/b/c' })] }],
  ['a hidden name', { schema: 1, models: [row(CID_TEXT, { name: '.hub/x' })] }],
  ['a name that is a CID', { schema: 1, models: [row(CID_TEXT, { name: CID_TEXT })] }],
  ['a name with a version in it', { schema: 1, models: [row(CID_TEXT, { name: 'org/x@1' })] }],
  ['a version that is none', { schema: 1, models: [row(CID_TEXT, { version: '../1' })] }],
  ['no CID', { schema: 1, models: [row('x')] }],
  ['a CID with a path', { schema: 1, models: [row(`${CID_TEXT}/x`)] }],
  ['a manifest that is no CID', { schema: 1, models: [row(CID_TEXT, { manifest: 'x' })] }],
  ['a size that lies', { schema: 1, models: [row(CID_TEXT, { size: -1 })] }],
  ['a count of half', { schema: 1, models: [row(CID_TEXT, { files: 0.5 })] }],
  ['a fact that is a list', { schema: 1, models: [row(CID_TEXT, { task: [] })] }],
  ['an empty list', { schema: 1, models: [row(CID_TEXT, { tags: [] })] }],
  ['a tag of a MiB', { schema: 1, models: [row(CID_TEXT, { tags: ['x'.repeat(2 ** 20)] })] }],
  [
    'lists that fill a block',
    { schema: 1, models: [row(CID_TEXT, { tags: Array.from({ length: 300 }, () => 'x'.repeat(900)) })] },
  ],
  ['an origin that is none', { schema: 1, models: [row(CID_TEXT, { origin: { repo: 'a/b', revision: 'main' } })] }],
  ['a name twice', { schema: 1, models: [row(CID_TEXT), row(CID_TEXT)] }],
  ['two that are current', { schema: 1, models: [row(CID_TEXT), row(CID_TEXT, { version: '1' })] }],
  ['a name without version that is not current', { schema: 1, models: [row(CID_TEXT, { current: undefined })] }],
  ['current that is false', { schema: 1, models: [row(CID_TEXT, { version: '1', current: false })] }],
  ['another order', { schema: 1, models: [row(CID_TEXT, { name: 'o/b' }), row(CID_TEXT, { name: 'o/a' })] }],
])('refuses %s', (_what, value) => {
  expect(() => registryFromJson(JSON.parse(JSON.stringify(value)))).toThrow(
    expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining('not a registry: ') }),
  )
})

it('whatever is read is read or refused, and written again as it was', () => {
  const model = fc.record(
    {
      name: fc.oneof(fc.constantFrom('a/a', 'org/tiny', 'z/z'), fc.string()),
      version: fc.oneof(fc.constantFrom('1', '2'), fc.string()),
      current: fc.constantFrom(true),
      cid: fc.oneof({ weight: 9, arbitrary: fc.constant(CID_TEXT) }, fc.string()),
      files: fc.oneof({ weight: 9, arbitrary: fc.nat() }, fc.anything()),
      size: fc.nat(),
      task: fc.string(),
      tags: fc.array(fc.string(), { minLength: 1 }),
    },
    { requiredKeys: ['name', 'cid', 'files', 'size'] },
  )
  const outcomes = { read: 0, refused: 0 }
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: model }, fc.anything()), { maxLength: 3 }), (models) => {
      const value: unknown = { schema: 1, models }
      const again = rewritten(value)
      outcomes[again === REFUSED ? 'refused' : 'read']++
      return again === REFUSED || again === JSON.stringify(sorted(JSON.parse(JSON.stringify(value))))
    }),
    { numRuns: 500 },
  )
  expect(outcomes.read).toBeGreaterThan(20)
  expect(outcomes.refused).toBeGreaterThan(20)
})

const REFUSED = Symbol('refused')

function rewritten(value: unknown): string | typeof REFUSED {
  try {
    return JSON.stringify(sorted(JSON.parse(JSON.stringify(registryToJson(registryFromJson(value))))))
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return REFUSED
    throw error
  }
}

/** With the fields of objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => sorted(item))
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).map(([key, item]): [string, unknown] => [key, sorted(item)])
  return Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
