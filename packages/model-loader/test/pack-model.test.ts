import { cidOf, DAG_CBOR, encodeDagCbor, RAW, readCar, type CID } from '@x/cid'
import { exportCar, openMemoryStore, type ContentStore } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import {
  addModel,
  createManifest,
  encodeManifest,
  forgetSidecars,
  keepManifest,
  keepSidecar,
  listSidecars,
  openModel,
  packModel,
  resolveReference,
  showModel,
  unpackModel,
  type ManifestInput,
} from '../src/index.ts'
import { collect, createSha256, filesSource, stores, text, tinyBert, visible } from './support.ts'

const COMMIT = 'c0ffee0000000000000000000000000000000000'
const bundle = () => encodeDagCbor({ schema: 1, bundle: text('{}') })

describe.each(stores)('into the %s store', (_kind, open) => {
  it('a model is unpacked with all that was beside it, and opened', async () => {
    const from = await openMemoryStore()
    const { cid, manifest } = await addModel(from, filesSource(tinyBert()), { name: 'org/tiny', version: '1.0' })
    const model = await openModel(from, `${cid}`)
    const parents = [await cidOf(RAW, text('a model that is not here'))]
    const published = await encodeManifest(
      createManifest({ ...model.manifest, parents, origin: { repo: 'org/tiny', revision: COMMIT } }),
    )
    await keepSidecar(from, 'manifests', cid, published)
    await keepSidecar(from, 'signatures', cid, await bundle())
    const car = await collect(packModel(from, 'org/tiny@1.0'))
    expect(await collect(packModel(from, 'org/tiny@1.0'))).toEqual(car)

    const store = await open()
    const unpacked = await unpackModel(store, car)
    expect(unpacked).toMatchObject({ cid, name: 'org/tiny', version: '1.0' })
    const opened = await openModel(store, 'org/tiny')
    expect(opened).not.toHaveProperty('manifestRebuilt')
    // Where it was published is what the pack says.
    expect(opened.manifestCid).toEqual(manifest)
    for (const [path, bytes] of Object.entries(tinyBert())) expect(await opened.read(path)).toEqual(bytes)
    expect((await listSidecars(store, 'manifests', cid)).map((item) => `${item.cid}`).toSorted()).toEqual(
      [manifest, published.cid].map(String).toSorted(),
    )
    expect(await listSidecars(store, 'signatures', cid)).toHaveLength(1)
    expect(await collect(store.roots())).toHaveLength(1)
    // What was kept under raw CIDs in the CAR does not stay beside.
    await store.gc()
    expect(await openModel(store, 'org/tiny@1.0')).not.toHaveProperty('manifestRebuilt')
    // And again: nothing changes.
    const before = await visible(store)
    await unpackModel(store, car)
    expect(await visible(store)).toEqual(before)
  })

  it('its name may be another, or none', async () => {
    const from = await openMemoryStore()
    const { cid } = await addModel(from, filesSource(tinyBert()), { name: 'org/tiny', version: '1' })
    const store = await open()
    expect(await unpackModel(store, await collect(packModel(from, 'org/tiny@1')), { name: null })).not.toHaveProperty(
      'name',
    )
    await expect(resolveReference(store, 'org/tiny')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const other = await unpackModel(store, await collect(packModel(from, `${cid}`, { name: 'me/mine', version: '2' })))
    expect(other).toMatchObject({ name: 'me/mine', version: '2' })
    expect((await resolveReference(store, 'me/mine@2')).cid).toEqual(cid)
  })

  it('its files are hashed once, however many manifests it brings', async () => {
    const from = await openMemoryStore()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    const { manifest } = await openModel(from, `${cid}`)
    const hashesWith = async (): Promise<number> => {
      let hashes = 0
      const counting = () => {
        hashes++
        return createSha256()
      }
      await unpackModel(await open(), await collect(packModel(from, `${cid}`)), { createSha256: counting })
      return hashes
    }
    const once = await hashesWith()
    for (const repo of ['a/one', 'b/two', 'c/three']) {
      await keepManifest(from, { ...manifest, origin: { repo, revision: COMMIT } })
    }
    expect(once).toBeGreaterThan(0)
    expect(await hashesWith()).toBe(once)
  })

  it('what is known of a model that is here stays known', async () => {
    const [from, store] = [await openMemoryStore(), await open()]
    for (const each of [from, store]) {
      const { cid } = await addModel(each, filesSource(tinyBert()))
      const { manifest } = await openModel(each, `${cid}`)
      await keepManifest(each, createManifest({ ...manifest, origin: { repo: 'org/tiny', revision: COMMIT } }))
    }
    const [root] = await collect(store.roots())
    const before = await openModel(store, `${root?.cid}`)
    await unpackModel(store, await collect(packModel(from, `${root?.cid}`)))
    const after = await openModel(store, `${root?.cid}`)
    expect(after.manifestCid).toEqual(before.manifestCid)
    expect(after.manifest.origin).toEqual({ repo: 'org/tiny', revision: COMMIT })
    expect(after).not.toHaveProperty('manifestClaimed')
    expect((await showModel(store, `${root?.cid}`)).facts?.origin).toEqual(after.manifest.origin)
  })

  it('what a pack says beyond its files is its word, with an origin or without', async () => {
    const from = await openMemoryStore()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    const { manifest } = await openModel(from, `${cid}`)
    const claims: Partial<ManifestInput>[] = [
      { origin: { repo: 'org/tiny', revision: COMMIT } },
      { omitted: [{ path: 'model.safetensors', size: 1 }] },
      { absent: ['vocab.txt'] },
      { parents: [cid] },
      { files: manifest.files.map((file) => ({ ...file, gitOid: COMMIT })) },
    ]
    for (const claim of claims) {
      await forgetSidecars(from, cid, { kinds: ['manifests'] })
      await keepManifest(from, createManifest({ ...manifest, ...claim }))
      const store = await open()
      await unpackModel(store, await collect(packModel(from, `${cid}`)))
      expect(await openModel(store, `${cid}`)).toMatchObject({ manifestClaimed: true, manifest: claim })
      expect((await showModel(store, `${cid}`)).facts).not.toHaveProperty('origin')
      // What anybody makes of the files goes before it.
      await keepManifest(store, manifest)
      expect(await openModel(store, `${cid}`)).not.toHaveProperty('manifestClaimed')
    }
  })

  it('takes no name from another model unless it is told to', async () => {
    const from = await openMemoryStore()
    await addModel(from, filesSource(tinyBert()), { name: 'org/tiny', version: '1' })
    const store = await open()
    const mine = { ...tinyBert(), 'config.json': text('{"mine":true}') }
    const { cid } = await addModel(store, filesSource(mine), { name: 'org/tiny' })
    const before = await visible(store)
    for (const reference of ['org/tiny', 'org/tiny@1']) {
      const car = await collect(packModel(from, reference))
      await expect(unpackModel(store, car)).rejects.toMatchObject({ code: 'CONFLICT', current: cid })
      expect(await visible(store)).toEqual(before)
    }
    const car = await collect(packModel(from, 'org/tiny@1'))
    expect(await unpackModel(store, car, { name: 'org/tiny' })).toMatchObject({ name: 'org/tiny', version: '1' })
    // A version stays what it is, whoever asks.
    await addModel(from, filesSource(mine))
    const other = await collect(packModel(from, `${cid}`, { name: 'org/tiny', version: '1' }))
    const after = await visible(store)
    for (const name of [undefined, 'org/tiny']) {
      await expect(unpackModel(store, other, { name })).rejects.toMatchObject({ code: 'CONFLICT' })
      expect(await visible(store)).toEqual(after)
    }
  })

  it('more than can be unpacked is not packed', async () => {
    const from = await open()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    for (let index = 0; index < 65; index++) {
      await keepSidecar(from, 'signatures', cid, await encodeDagCbor({ schema: 1, bundle: text(`${index}`) }))
    }
    await expect(collect(packModel(from, `${cid}`))).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('65 signatures; a pack has 64 at most'),
    })
  })

  it.each([
    ['not dag-cbor', Uint8Array.of(0xff, 1, 2), 'is not dag-cbor'],
    ['no map', Uint8Array.of(0x80), 'is no map'],
    ['without a bundle', Uint8Array.of(0xa1, 0x66, ...text('schema'), 1), 'has no bundle'],
  ])('a signature that is %s is refused', async (_what, bytes, why) => {
    const from = await openMemoryStore()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    await keepSidecar(from, 'signatures', cid, { cid: await cidOf(DAG_CBOR, bytes), bytes })
    const store = await open()
    const unpacking = unpackModel(store, await collect(packModel(from, `${cid}`)))
    await expect(unpacking).rejects.toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(why) })
    expect(await visible(store)).toEqual({ roots: [], names: [] })
  })

  it('what is no pack, or not whole, leaves nothing visible', async () => {
    const from = await openMemoryStore()
    const { cid } = await addModel(from, filesSource(tinyBert()))
    const model = await openModel(from, `${cid}`)
    const { bytes } = await encodeManifest(createManifest({ ...model.manifest, files: model.files.slice(1) }))
    const wrong = await cidOf(RAW, bytes)
    await from.blocks.put(wrong, bytes)
    const whole = await collect(packModel(from, `${cid}`))
    const many = await Promise.all(
      Array.from({ length: 65 }, async (_, index) => {
        const block = await encodeDagCbor({ schema: 1, bundle: text(`${index}`) })
        const raw = await cidOf(RAW, block.bytes)
        await from.blocks.put(raw, block.bytes)
        return raw
      }),
    )
    const lacking = await packOf(
      from,
      { model: cid, sidecars: empty() },
      (block) => !block.equals(model.files[0]?.root),
    )
    const cases: [AsyncIterable<Uint8Array> | Uint8Array[], string, string][] = [
      [exportCar(from, cid), 'INVALID_INPUT', 'not dag-cbor'],
      [whole.slice(0, -1), 'NOT_FOUND', 'the CAR lacks'],
      [lacking, 'NOT_FOUND', 'the CAR lacks'],
      [
        await packOf(from, { model: cid, sidecars: { ...empty(), manifests: [wrong] } }),
        'INVALID_INPUT',
        'does not fit',
      ],
      [await packOf(from, { model: cid, sidecars: empty(), x: 1 }), 'INVALID_INPUT', 'unknown field "x"'],
      [await packOf(from, { schema: 2, model: cid, sidecars: empty() }), 'INVALID_INPUT', 'its schema is 2'],
      [await packOf(from, { model: cid, name: '../x', sidecars: empty() }), 'INVALID_INPUT', '../x'],
      [
        await packOf(from, { model: cid, name: '.manifests/x', sidecars: empty() }),
        'INVALID_INPUT',
        'begins with a dot',
      ],
      [await packOf(from, { model: cid, version: '1', sidecars: empty() }), 'INVALID_INPUT', 'has no name'],
      [await packOf(from, { model: cid, sidecars: { ...empty(), manifests: [cid] } }), 'INVALID_INPUT', 'no raw block'],
      [await packOf(from, { model: cid, sidecars: { ...empty(), manifests: 1 } }), 'INVALID_INPUT', 'are no list'],
      [
        await packOf(from, { model: cid, sidecars: { ...empty(), manifests: [wrong, wrong] } }),
        'INVALID_INPUT',
        'manifests is there twice',
      ],
      [
        await packOf(from, { model: cid, sidecars: { ...empty(), signatures: many } }),
        'INVALID_INPUT',
        'it has over 64 signatures',
      ],
      [await packOf(from, { model: 'x', sidecars: empty() }), 'INVALID_INPUT', 'names no model'],
    ]
    for (const [car, code, message] of cases) {
      const store = await open()
      const before = await visible(store)
      await expect(unpackModel(store, car)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
      expect(await visible(store)).toEqual(before)
    }
  })
})

const empty = () => ({ manifests: [], tensors: [], signatures: [] })

/** A CAR whose root says what it is told to. */
async function packOf(
  from: ContentStore,
  fields: Record<string, unknown>,
  keep: (cid: CID) => boolean = () => true,
): Promise<Uint8Array[]> {
  const block = await encodeDagCbor({ schema: 1, ...fields })
  await from.blocks.put(block.cid, block.bytes)
  const car = await collect(exportCar(from, block.cid))
  const [header] = car
  if (!header) throw new Error('an empty CAR')
  const cids: CID[] = []
  const { blocks } = await readCar(car)
  for await (const { cid } of blocks) cids.push(cid)
  return [header, ...car.slice(1).filter((_piece, index) => keep(cids[index] ?? block.cid))]
}
