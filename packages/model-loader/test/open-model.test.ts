import { readFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'

import { openFsStore } from '@x/backend-fs'
import { cidOf, encodeSymlink, RAW, type CID } from '@x/cid'
import { flipStoredByte } from '@x/fixtures'
import {
  BackendError,
  buildSource,
  createContentStore,
  createMemoryRecords,
  openMemoryBlockstore,
  type Blockstore,
  type ContentStore,
} from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import {
  addModel,
  createManifest,
  decodeManifest,
  encodeManifest,
  forgetSidecars,
  listSidecars,
  openModel,
  openModelDirectory,
  type ModelManifest,
} from '../src/index.ts'
import { collect, createSha256, filesSource, stores, tempDirectory, text, tinyBert } from './support.ts'

const ABSENT = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'

describe.each(stores)('in the %s store', (kind, open) => {
  const withBert = async (): Promise<{ store: ContentStore; cid: CID; manifest: CID }> => {
    const store = await open()
    return { store, ...(await addModel(store, filesSource(tinyBert()), { name: 'org/tiny' })) }
  }

  it('opens by CID and by name, and gives verified files', async () => {
    const { store, cid, manifest } = await withBert()
    for (const reference of [`ipfs://${cid}`, cid.toString(), 'org/tiny']) {
      const model = await openModel(store, reference)
      expect(model.cid).toEqual(cid)
      expect(model.name).toBe(reference === 'org/tiny' ? reference : undefined)
      expect(model.manifestCid).toEqual(manifest)
      expect(model).not.toHaveProperty('manifestRebuilt')
      expect(model.files).toBe(model.manifest.files)
      for (const [path, bytes] of Object.entries(tinyBert())) expect(await model.read(path)).toEqual(bytes)
      await model.close()
    }
  })

  it('gives paths where the store has them', async () => {
    const { store } = await withBert()
    const model = await openModel(store, 'org/tiny')
    const path = model.path('onnx/model.onnx')
    expect(path === undefined).toBe(kind === 'memory')
    if (path === undefined) return
    expect(isAbsolute(path)).toBe(true)
    expect(new Uint8Array(await readFile(path))).toEqual(tinyBert()['onnx/model.onnx'])
  })

  it.each(['onnx/other.onnx', '../config.json', '/config.json', ''])('has no file %j', async (file) => {
    const { store, cid } = await withBert()
    const model = await openModel(store, 'org/tiny')
    const expected = { code: 'NOT_FOUND', what: `${cid}/${file}` }
    await expect(model.read(file)).rejects.toMatchObject(expected)
    expect(() => model.path(file)).toThrowError(expect.objectContaining(expected))
  })

  it('says which reference is absent', async () => {
    const { store } = await withBert()
    for (const reference of ['org/other', ABSENT, `ipfs://${ABSENT}`]) {
      const opening = openModel(store, reference)
      await expect(opening).rejects.toMatchObject({ code: 'NOT_FOUND', what: reference })
      await expect(opening).rejects.toThrowError(reference)
    }
  })

  it('does not answer for a model of which a block is missing', async () => {
    const { store, cid } = await withBert()
    const entries = await collect(store.ls(cid))
    const partial = await open()
    await partial.blocks.put(cid, await store.blocks.get(cid))
    await expect(openModel(partial, cid.toString())).rejects.toMatchObject({ code: 'NOT_FOUND', what: cid.toString() })
    expect(entries.length).toBeGreaterThan(1)
  })

  it('refuses what is no model, and a path', async () => {
    const store = await open()
    const file = await store.add(text('x'))
    const directory = await store.add(filesSource({ a: text('x') }))
    await expect(openModel(store, `${file.cid}`)).rejects.toThrowError('it is a file, not a directory')
    await expect(openModel(store, `${directory.cid}`)).rejects.toThrowError('it has no config.json')
    await expect(openModel(store, './model')).rejects.toThrowError('is a path')
  })

  it('stops with the reason', async () => {
    const { store } = await withBert()
    const reason = new Error('the caller gave up')
    await expect(openModel(store, 'org/tiny', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('opens what any IPFS tool added, without an addModel, links left out', async () => {
    const store = await open()
    const link = await encodeSymlink(1, 'config.json')
    const source = filesSource(tinyBert())
    const { cid } = await store.add({
      type: 'directory',
      entries: async function* (options) {
        yield* source.entries(options)
        yield ['link', { type: 'symlink', target: 'config.json' }] as const
      },
    })
    const model = await openModel(store, cid.toString())
    expect(model.manifestRebuilt).toBe('none is recorded')
    expect(model.files.map(({ path }) => path)).not.toContain('link')
    expect(model.files).toHaveLength(4)
    expect(link.cid.version).toBe(1)
  })
})

describe.each(stores)('the manifest in the %s store is made anew', (_kind, open) => {
  const cases: [string, string, (store: ContentStore, manifest: ModelManifest) => Promise<void>][] = [
    ['when none is recorded', 'none is recorded', (store, { root }) => forgetSidecars(store, root)],
    [
      'when its block is gone',
      'not found',
      async (store, { root }) => {
        for (const { cid } of await listSidecars(store, 'manifests', root)) await store.blocks.delete(cid)
      },
    ],
    [
      'when it is of another root',
      'it is of',
      (store, { root, files }) => record(store, root, createManifest({ root: files[0]?.root ?? root, files })),
    ],
    [
      'when it lists too little',
      'lists 3 files of 4',
      (store, { root, files }) => record(store, root, createManifest({ root, files: files.slice(1) })),
    ],
    [
      'when a size is wrong',
      'config.json is another file',
      (store, { root, files }) =>
        record(store, root, createManifest({ root, files: files.map((file) => ({ ...file, size: 1 })) })),
    ],
    [
      'when a file is another',
      'is another file',
      (store, { root, files }) =>
        record(store, root, createManifest({ root, files: files.map((file) => ({ ...file, root })) })),
    ],
    [
      'when it is something else',
      'not a model manifest',
      (store, { root, files }) => point(store, root, files[0]?.root ?? root),
    ],
  ]

  it.each(cases)('%s', async (_when, why, spoil) => {
    const store = await open()
    const { cid, manifest } = await addModel(store, filesSource(tinyBert()))
    const good = decodeManifest(await store.blocks.get(manifest))
    await spoil(store, good)
    const model = await openModel(store, cid.toString(), { createSha256 })
    expect(model.manifestRebuilt).toContain(why)
    expect(model.manifestCid).toEqual(manifest)
    expect(model.manifest).toEqual(good)
    // And kept.
    expect(await openModel(store, cid.toString())).not.toHaveProperty('manifestRebuilt')
  })

  it('but not when the store cannot tell', async () => {
    const store = await open()
    const { cid } = await addModel(store, filesSource(tinyBert()))
    const failure = new Error('the disk is on fire')
    const broken = {
      ...store,
      names: {
        ...store.names,
        list: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(failure) }) }),
      },
    }
    await expect(openModel(broken, cid.toString())).rejects.toBe(failure)
  })
})

it('damage is found at opening in a store without paths too, in whatever leaf it is', async () => {
  const blocks = await openMemoryBlockstore()
  let damaged: CID | undefined
  const get: Blockstore['get'] = async (cid, options) => {
    const bytes = await blocks.get(cid, options)
    if (damaged?.equals(cid)) bytes[0] = (bytes[0] ?? 0) ^ 1
    return bytes
  }
  const store = createContentStore({ name: 'test', blocks: { ...blocks, get }, records: createMemoryRecords() })
  const weights = new Uint8Array(1_500_000).fill(7)
  const { cid } = await addModel(store, filesSource({ 'config.json': text('{}'), 'onnx/weights.bin': weights }))
  await openModel(store, cid.toString())
  damaged = await cidOf(RAW, weights.subarray(2 ** 20))
  const opening = openModel(store, cid.toString())
  await expect(opening).rejects.toMatchObject({ code: 'INTEGRITY', file: 'onnx/weights.bin', offset: 2 ** 20 })
  await store.close()
})

it('a manifest that cannot be read is not taken for one that is not there', async () => {
  const [, open] = stores[1] ?? []
  const store = await open?.()
  if (!store) throw new Error('no store')
  const { cid, manifest } = await addModel(store, filesSource(tinyBert()))
  const failure = new BackendError('the disk is on fire', { retryable: false })
  const get: Blockstore['get'] = (wanted, options) =>
    wanted.equals(manifest) ? Promise.reject(failure) : store.blocks.get(wanted, options)
  const broken = { ...store, blocks: { ...store.blocks, get } }
  await expect(openModel(broken, cid.toString())).rejects.toBe(failure)
})

async function record(store: ContentStore, root: CID, manifest: ModelManifest): Promise<void> {
  const { cid, bytes } = await encodeManifest(manifest)
  await store.blocks.put(cid, bytes)
  await point(store, root, cid)
}

/** Instead of what was there. */
async function point(store: ContentStore, root: CID, cid: CID): Promise<void> {
  await forgetSidecars(store, root)
  await store.names.set(`.manifests/${root}/${cid}`, cid)
}

describe('a store on a disk', () => {
  it.each(['onnx/model.onnx', 'config.json', 'tokenizer.json'])(
    'names %s when a byte of it was flipped',
    async (file) => {
      const directory = await tempDirectory()
      const store = await openFsStore({ directory })
      const { cid } = await addModel(store, filesSource(tinyBert()))
      await openModel(store, cid.toString())
      await flipStoredByte(directory, tinyBert()[file] ?? text(''))
      const opening = openModel(store, cid.toString())
      await expect(opening).rejects.toMatchObject({ code: 'INTEGRITY', file })
      await expect(opening).rejects.toThrowError(file)
      await store.close()
    },
  )

  it('opens a model it may not write beside, and says that the manifest was not kept', async () => {
    const directory = await tempDirectory()
    const store = await openFsStore({ directory })
    const { cid } = await addModel(store, filesSource(tinyBert()))
    const first = await openModel(store, cid.toString())
    await forgetSidecars(store, cid)
    await store.blocks.delete(first.manifestCid)
    await store.close()
    const readOnly = await openFsStore({ directory, readOnly: true })
    const model = await openModel(readOnly, cid.toString())
    expect(model.manifestCid).toEqual(first.manifestCid)
    expect(model.manifestRebuilt).toMatch(/none is recorded; the new one could not be kept: .+/)
    await readOnly.close()
  })
})

describe('a directory in place', () => {
  it('has the CIDs that it would have in a store', async () => {
    const model = await openModelDirectory(filesSource(tinyBert()), '/models/tiny', { createSha256 })
    const [, open] = stores[1] ?? []
    const store = await open?.()
    if (!store) throw new Error('no store')
    const added = await addModel(store, filesSource(tinyBert()))
    expect(model.cid).toEqual(added.cid)
    expect(model.manifestCid).toEqual(added.manifest)
    expect(model.name).toBeUndefined()
    expect(model.path('onnx/model.onnx')).toBe('/models/tiny/onnx/model.onnx')
    expect(await model.read('config.json')).toEqual(tinyBert()['config.json'])
  })

  it('refuses what was changed since', async () => {
    const files = tinyBert()
    const model = await openModelDirectory(filesSource(files), '/models/tiny')
    const changed = files['tokenizer.json']
    changed?.set([0x5b])
    const expected = { code: 'INTEGRITY', file: '/models/tiny/tokenizer.json' }
    await expect(model.read('tokenizer.json')).rejects.toMatchObject(expected)
    for (const verify of ['stored', 'each-open'] as const) {
      await expect(model.verifiedPath?.('tokenizer.json', { verify })).rejects.toMatchObject(expected)
      expect(await model.verifiedPath?.('config.json', { verify })).toBe('/models/tiny/config.json')
    }
    // What it is now is no configuration.
    files['config.json']?.fill(0x20)
    const cut = { code: 'INTEGRITY', file: '/models/tiny/config.json' }
    await expect(model.verifiedPath?.('config.json', { verify: 'each-open' })).rejects.toMatchObject(cut)
    await expect(model.read('config.json')).rejects.toMatchObject(cut)
  })

  it.each([
    ['is empty', {}],
    ['no config.json', { a: text('x') }],
    ['model.onnx is not a whole ONNX file', { 'config.json': text('{}'), 'onnx/model.onnx': text('') }],
  ])('is refused when it %s', async (message, files) => {
    const opening = openModelDirectory(filesSource(files), '/models/tiny')
    await expect(opening).rejects.toThrowError(message)
    await expect(opening).rejects.toThrowError('/models/tiny')
  })

  it('tells how far it is', async () => {
    const events: string[] = []
    await openModelDirectory(filesSource(tinyBert()), '/models/tiny', { onProgress: ({ type }) => events.push(type) })
    expect(events.filter((type) => type === 'file-added')).toHaveLength(4)
    expect((await buildSource(filesSource(tinyBert()))).type).toBe('directory')
  })
})
