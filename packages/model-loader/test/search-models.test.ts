import { describe, expect, it } from 'vitest'

import {
  addModel,
  createManifest,
  findHubRevision,
  keepHubRevision,
  keepManifest,
  listModels,
  openModel,
  openModelDirectory,
  resolveReference,
  searchModels,
  showModel,
  type ModelQuery,
} from '../src/index.ts'
import { collect, filesSource, stores, text, tempDirectory, tinyBert } from './support.ts'

const card = (yaml: string) => text(`---\n${yaml}\n---\n# A model\n`)
const FULL = `license: Apache-2.0
pipeline_tag: feature-extraction
base_model:
  - org/base
  - 7
tags: [onnx, Bert, onnx]
`

describe.each(stores)('in the %s store', (_kind, open) => {
  it('of several manifests, lists show the one that is used', async () => {
    const store = await open()
    const { cid } = await addModel(store, filesSource(tinyBert()))
    const { manifest } = await openModel(store, `${cid}`)
    for (const repo of ['a/one', 'b/two', 'c/three', 'd/four']) {
      await keepManifest(store, { ...manifest, origin: { repo, revision: 'c0ffee'.padEnd(40, '0') } })
    }
    const { origin } = (await openModel(store, `${cid}`)).manifest
    expect(origin).toBeDefined()
    expect((await showModel(store, `${cid}`)).facts?.origin).toEqual(origin)
    expect((await collect(listModels(store))).map(({ facts }) => facts?.origin)).toEqual([origin])
  })

  it('a model is found by what its files say of it', async () => {
    const store = await open()
    const files = { ...tinyBert(), 'README.md': card(FULL), 'onnx/model_q4.onnx': tinyBert()['onnx/model.onnx']! }
    const { cid, manifest, size } = await addModel(store, filesSource(files), { name: 'acme/Tiny' })
    const other = await addModel(store, filesSource({ 'config.json': text('{"model_type":"gpt2"}') }))
    const shown = await showModel(store, `${cid}`)
    expect(shown.facts).toEqual({
      task: 'feature-extraction',
      architecture: 'BertModel',
      licence: 'Apache-2.0',
      baseModels: ['org/base'],
      tags: ['Bert', 'onnx'],
      dtypes: ['fp32', 'q4'],
    })
    const found = async (query: ModelQuery): Promise<string[]> =>
      (await collect(searchModels(store, query))).map((model) => model.cid.toString())
    const yes: ModelQuery[] = [
      { task: 'feature-extraction' },
      { architecture: 'bert' },
      { dtype: 'Q4' },
      { licence: 'apache-2.0' },
      { tags: ['bert', 'ONNX'] },
      { minBytes: size, maxBytes: size },
      { text: 'tiny' },
      { text: 'org/BASE' },
      { task: 'feature-extraction', dtype: 'fp32', text: 'acme' },
    ]
    for (const query of yes) expect({ query, found: await found(query) }).toEqual({ query, found: [`${cid}`] })
    const no: ModelQuery[] = [
      { task: 'feature' },
      { dtype: 'q8' },
      { licence: 'mit' },
      { tags: ['bert', 'tf'] },
      { minBytes: size + 1 },
      { task: 'feature-extraction', dtype: 'q8' },
    ]
    for (const query of no) expect({ query, found: await found(query) }).toEqual({ query, found: [] })
    expect(await found({ architecture: 'gpt2' })).toEqual([`${other.cid}`])
    expect(await found({})).toHaveLength(2)
    // What is opened from a directory has the same manifest.
    const opened = await openModelDirectory(filesSource(files), await tempDirectory())
    expect(opened.manifestCid).toEqual(manifest)
  })

  it.each([
    ['no front matter', text('# A model')],
    ['front matter that is not closed', text('---\nlicense: mit\n')],
    ['no YAML', card('license: [')],
    ['an alias that is not there', card('license: *a')],
    [
      'aliases that grow',
      card(
        `a: &a [1,2,3,4,5,6,7,8]\n${'bcdefghi'
          .split('')
          .map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]},`.repeat(9)}]`)
          .join('\n')}`,
      ),
    ],
    ['nesting without end', card('['.repeat(50_000))],
    ['maps that nest', card('{'.repeat(1000))],
    ['keys that nest', card('? '.repeat(1000))],
    ['other types', card('license: 7\npipeline_tag: [a]\ntags: {a: b}\nbase_model: null')],
    ['no UTF-8', Uint8Array.of(0x2d, 0x2d, 0x2d, 0x0a, 0xff, 0x0a, 0x2d, 0x2d, 0x2d, 0x0a)],
  ])('a card with %s says nothing, and the model can be added', async (_what, readme) => {
    const store = await open()
    const { cid } = await addModel(store, filesSource({ ...tinyBert(), 'README.md': readme }))
    const { facts } = await showModel(store, `${cid}`)
    expect(facts).toEqual({ architecture: 'BertModel', baseModels: [], tags: [], dtypes: ['fp32'] })
  })

  it('a licence of its own is called by its name', async () => {
    const store = await open()
    const readme = card('license: other\nlicense_name: acme-1')
    const { cid } = await addModel(store, filesSource({ ...tinyBert(), 'README.md': readme }))
    expect((await showModel(store, `${cid}`)).facts?.licence).toBe('acme-1')
  })

  it('a revision of the hub that was fetched is found by branch and commit, and no other', async () => {
    const store = await open()
    const { cid, manifest } = await addModel(store, filesSource(tinyBert()))
    const commit = 'c0ffee0000000000000000000000000000000000'
    await keepHubRevision(store, { repo: 'org/tiny' }, { manifest, root: cid, commit })
    for (const reference of ['org/tiny', 'hf://org/tiny', 'hf://org/tiny@main', `org/tiny@${commit}`]) {
      expect({ reference, ...(await resolveReference(store, reference)) }).toEqual({ reference, cid })
    }
    expect((await openModel(store, 'hf://org/tiny')).cid).toEqual(cid)
    expect(await findHubRevision(store, { repo: 'org/tiny' })).toMatchObject({ commit, root: cid, manifest })
    await expect(resolveReference(store, 'hf://org/tiny@v2')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    // A name that the user gave goes before one of the hub.
    const other = await addModel(store, filesSource({ 'config.json': text('{}') }), { name: 'org/tiny' })
    expect((await resolveReference(store, 'org/tiny')).cid).toEqual(other.cid)
    expect((await resolveReference(store, 'hf://org/tiny')).cid).toEqual(cid)
  })
})

it('a manifest is the same wherever the same files of the same commit were put together', async () => {
  const [, open] = stores[0] ?? []
  const store = await open?.()
  if (!store) throw new Error('no store')
  const model = await openModel(store, `${(await addModel(store, filesSource(tinyBert()))).cid}`)
  const origin = { repo: 'org/tiny', revision: 'c0ffee0000000000000000000000000000000000' }
  const once = createManifest({ ...model.manifest, origin })
  const again = createManifest({ ...model.manifest, origin, files: model.manifest.files.toReversed() })
  expect(again).toEqual(once)
})
