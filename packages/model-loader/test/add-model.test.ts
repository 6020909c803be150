import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { pathSource } from '@x/backend-fs'
import { cidOf, RAW, type CID } from '@x/cid'
import {
  buildSource,
  createContentSource,
  NotFoundError,
  openMemoryStore,
  type ContentStore,
  type DirectorySource,
} from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { addModel, addWhole, decodeManifest, isModel, listModels, openModel, showModel } from '../src/index.ts'
import {
  collect,
  createSha256,
  filesSource,
  safetensors,
  stores,
  tempDirectory,
  text,
  tinyBert,
  visible,
} from './support.ts'

const config = text('{}')

describe.each(stores)('in the %s store', (_name, open) => {
  it('a model is its directory: any UnixFS tool gives the same CID', async () => {
    const store = await open()
    const added = await addModel(store, filesSource(tinyBert()))
    expect(added).toMatchObject({ files: 4 })
    expect(added).not.toHaveProperty('name')
    expect(added.cid).toEqual((await buildSource(filesSource(tinyBert()))).cid)
    expect(await store.has(added.cid)).toBe(true)
  })

  it('each file is read once', async () => {
    const reads = new Map<string, number>()
    await addModel(await open(), filesSource(tinyBert(), reads))
    expect([...reads.values()]).toEqual([1, 1, 1, 1])
  })

  it('the manifest lists what was added, and is the same whoever hashes', async () => {
    const store = await open()
    const { manifest, cid, size } = await addModel(store, filesSource(tinyBert()), { createSha256 })
    const { files, root } = decodeManifest(await store.blocks.get(manifest))
    expect(root).toEqual(cid)
    expect(files.map((file) => file.path)).toEqual(Object.keys(tinyBert()).toSorted())
    expect(files.reduce((sum, file) => sum + file.size, 0)).toBe(size)
    for (const { path, raw } of files) expect(raw).toEqual(await cidOf(RAW, tinyBert()[path] ?? config))
    const elsewhere = await addModel(await open(), filesSource(tinyBert()))
    expect(elsewhere.manifest).toEqual(manifest)
  })

  it('is listed and shown once, with the names that users gave', async () => {
    const store = await open()
    await store.add(text('no model'))
    const { cid, size } = await addModel(store, filesSource(tinyBert()), { name: 'org/tiny' })
    await store.names.set('another', cid)
    const known = { cid, files: 4, size, pinned: true, names: ['another', 'org/tiny'] }
    expect(await collect(listModels(store))).toMatchObject([{ ...known, name: 'another' }])
    expect(await showModel(store, 'org/tiny')).toMatchObject({ ...known, name: 'org/tiny' })
    expect(await showModel(store, `ipfs://${cid}`)).toMatchObject({ ...known, name: 'another' })
    await expect(showModel(store, 'org/other')).rejects.toMatchObject({ code: 'NOT_FOUND', what: 'org/other' })
  })

  it('is listed wherever it came from, and what is no model is not', async () => {
    const store = await open()
    const { cid } = await store.add(filesSource(tinyBert()))
    const other = await store.add(filesSource({ 'readme.md': text('no model'), 'below/config.json': config }))
    const file = await store.add(text('no directory'))
    expect(await collect(listModels(store))).toMatchObject([{ cid, files: 4, pinned: true }])
    expect(await Promise.all([cid, other.cid, file.cid].map((root) => isModel(store, root)))).toEqual([
      true,
      false,
      false,
    ])
    const absent = (await buildSource(filesSource({ 'config.json': text('[]') }))).cid
    await expect(isModel(store, absent)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: absent })
  })

  it('is shown by its CID where there are no names', async () => {
    const store = await open()
    const { cid } = await store.add(filesSource(tinyBert()))
    const source = createContentSource({ blocks: store.blocks, probe: (options) => store.status(options) })
    expect(await showModel(source, `${cid}`)).toMatchObject({ cid, files: 4, pinned: false, names: [] })
    await expect(showModel(source, 'org/tiny')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('a manifest is no root, and does not keep a model from gc, but itself', async () => {
    const store = await open()
    const { cid, manifest } = await addModel(store, filesSource(tinyBert()), { pin: false })
    expect(await collect(store.roots())).toHaveLength(1)
    await store.gc()
    expect(await store.has(cid)).toBe(false)
    expect(await store.blocks.has(manifest)).toBe(true)
    const again = await addModel(store, filesSource(tinyBert()))
    expect(again.manifest).toEqual(manifest)
  })

  it('moves a name, and leaves it alone when the new model is refused', async () => {
    const store = await open()
    const name = 'org/tiny'
    const first = await addModel(store, filesSource(tinyBert()), { name })
    await expect(addModel(store, filesSource({ 'config.json': text('{') }), { name })).rejects.toThrowError('JSON')
    expect((await store.names.get(name))?.cid).toEqual(first.cid)
    const second = await addModel(store, filesSource({ 'config.json': config }), { name })
    expect((await store.names.get(name))?.cid).toEqual(second.cid)
    expect(await store.has(first.cid)).toBe(true)
  })

  it.each<[string, DirectorySource, string]>([
    ['nothing at all', filesSource({}), './m is no model: the directory is empty'],
    ['empty directories alone', { type: 'directory', entries: () => [['a', filesSource({})]] }, 'is empty'],
    ['no config.json', filesSource({ 'onnx/config.json': config }), './m is no model: it has no config.json'],
    [
      'config.json cut short',
      filesSource({ a: config, 'config.json': text('{"a":') }),
      './m: config.json is not a JSON',
    ],
    [
      'config.json a list',
      filesSource({ a: config, 'config.json': text('[]') }),
      './m: config.json is not a JSON object',
    ],
    ['config.json in Latin-1', filesSource({ 'config.json': Uint8Array.of(0x22, 0xe4, 0x22) }), 'config.json is not'],
    ['config.json a directory', filesSource({ 'config.json/a': config }), 'it has no config.json'],
    [
      'an ONNX file cut short',
      filesSource({ ...tinyBert(), 'onnx/model_q4.onnx': (tinyBert()['onnx/model.onnx'] ?? config).subarray(0, 9000) }),
      './m: onnx/model_q4.onnx is not a whole ONNX file: field 7',
    ],
    [
      'a symlink',
      { type: 'directory', entries: () => [['config.json', { type: 'symlink', target: '../c' }]] },
      'config.json is a symlink to ../c',
    ],
    ['a name that leaves the directory', { type: 'directory', entries: () => [['..', filesSource({})]] }, 'reserved'],
  ])('refuses %s, and leaves the store as it was', async (_what, source, message) => {
    const store = await open()
    await store.add(text('what was there'), { name: 'kept' })
    const before = await visible(store)
    const adding = addModel(store, source, { name: 'org/new', label: './m' })
    await expect(adding).rejects.toThrowError(message)
    await expect(adding).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(await visible(store)).toEqual(before)
  })

  it.each(['', 'a//b', './a', '.a', 'a\\b', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'])(
    'refuses the name %j, which no reference could reach',
    async (name) => {
      const store = await open()
      await expect(addModel(store, filesSource(tinyBert()), { name })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      expect(await collect(store.roots())).toEqual([])
    },
  )

  it('stops with the reason, and leaves nothing visible', async () => {
    const store = await open()
    const controller = new AbortController()
    const reason = new Error('the caller gave up')
    const onProgress = (): void => controller.abort(reason)
    const adding = addModel(store, filesSource(tinyBert()), { signal: controller.signal, onProgress, name: 'a' })
    await expect(adding).rejects.toBe(reason)
    expect(await collect(store.roots())).toEqual([])
    expect(await collect(store.names.list())).toEqual([])
  })

  it.each<[string, (store: ContentStore) => void]>([
    ['its manifest', (store) => (store.blocks.put = () => Promise.reject(new Error('disk full')))],
    ['its name', (store) => (store.names.set = () => Promise.reject(new Error('disk full')))],
  ])('takes a model back when %s cannot be written, but not one that was there', async (_what, fail) => {
    const store = await open()
    const broken = { ...store, blocks: { ...store.blocks }, names: { ...store.names } }
    fail(broken)
    await expect(addModel(broken, filesSource(tinyBert()), { name: 'a' })).rejects.toThrowError('disk full')
    expect(await collect(store.roots())).toEqual([])
    const { cid } = await addModel(store, filesSource(tinyBert()))
    await expect(addModel(broken, filesSource(tinyBert()), { name: 'a' })).rejects.toThrowError('disk full')
    expect(await store.has(cid)).toBe(true)
    expect(await collect(store.roots())).toHaveLength(1)
  })

  it('takes a model without ONNX: it can be shared', async () => {
    const store = await open()
    const { cid } = await addModel(
      store,
      filesSource({ 'config.json': config, 'model.safetensors': safetensors(text('x')) }),
    )
    expect((await openModel(store, `${cid}`)).files).toHaveLength(2)
  })

  it('takes two models at once, and one twice at once', async () => {
    const store = await open()
    const files = { 'config.json': config }
    const sources = [filesSource(tinyBert()), filesSource(files), filesSource(tinyBert())]
    const [first, second, third] = await Promise.all(sources.map((source) => addModel(store, source)))
    expect(first).toEqual(third)
    expect(first?.cid).not.toEqual(second?.cid)
    expect(await collect(listModels(store))).toHaveLength(2)
    expect(await collect(store.names.list({ prefix: '.manifests/' }))).toHaveLength(2)
  })
})

it('lists every model that can be told, and then says what could not', async () => {
  const store = await openMemoryStore()
  const { cid: broken } = await addModel(store, filesSource({ 'config.json': config }))
  const { cid: whole } = await addModel(store, filesSource(tinyBert()))
  const missing = new NotFoundError(`${broken}`, { cid: broken })
  const partly: ContentStore = {
    ...store,
    stat: async (cid, options) => {
      if (cid.equals(broken)) throw missing
      return store.stat(cid, options)
    },
  }
  const listed: string[] = []
  const list = async (): Promise<void> => {
    for await (const { cid } of listModels(partly)) listed.push(cid.toString())
  }
  await expect(list()).rejects.toBe(missing)
  expect(listed).toEqual([whole.toString()])
})

it('knows a model by the CIDv0 of its root as well', async () => {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, filesSource(tinyBert()), { name: 'org/tiny' })
  expect(await showModel(store, `ipfs://${cid.toV0()}`)).toMatchObject({ names: ['org/tiny'], pinned: true })
})

it('takes a directory of a disk', async () => {
  const directory = await tempDirectory()
  for (const [path, bytes] of Object.entries(tinyBert())) {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  const source = await pathSource(directory, { symlinks: 'follow' })
  expect(source.type).toBe('directory')
  if (source.type !== 'directory') return
  const { cid } = await addModel(await openMemoryStore(), source)
  expect(cid).toEqual((await buildSource(filesSource(tinyBert()))).cid)
})

describe.each(stores)('what does not become whole, in the %s store', (_name, open) => {
  const failure = new Error('it cannot be described')

  it.each<[string, (store: ContentStore, cid: CID) => Promise<unknown>, boolean]>([
    ['is removed', async () => undefined, false],
    ['stays when somebody has named it meanwhile', (store, cid) => store.names.set('org/theirs', cid), true],
    ['stays when somebody has pinned it meanwhile', (store, cid) => store.pin(cid), true],
  ])('%s', async (_what, meanwhile, stays) => {
    const store = await open()
    const add = () => store.add(filesSource(tinyBert()), { pin: false })
    let root: CID | undefined
    const adding = addWhole(store, add, async ({ cid }) => {
      root = cid
      await meanwhile(store, cid)
      throw failure
    })
    await expect(adding).rejects.toBe(failure)
    expect(root && (await store.has(root))).toBe(stays)
  })
})
