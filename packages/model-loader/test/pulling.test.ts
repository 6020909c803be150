import { createHash } from 'node:crypto'

import { buildDirectory, CID, IDENTITY, RAW } from '@x/cid'
import type { Files } from '@x/fixtures'
import { fixtureCommit, startFixtureHub, type FixtureHub, type FixtureHubOptions } from '@x/fixtures/hub'
import { createHubClient } from '@x/hub-client'
import { NotFoundError, openMemoryStore, type ContentSource, type ContentStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished } from 'vitest'

import {
  addModel,
  createManifest,
  decodeManifest,
  encodeManifest,
  forgetSidecars,
  keepSidecar,
  listSidecars,
  openModel,
  packModel,
  pullHubModel,
  pullModelByCid,
  resolveReference,
  unpackModel,
} from '../src/index.ts'
import {
  collect,
  createSha256,
  filesSource,
  openWithPartials,
  safetensors,
  text,
  tinyBert,
  visible,
} from './support.ts'

const createHasher = (name: 'sha256' | 'sha1') => createHash(name)
const hashing = { createSha256, createHasher }
const REPO = 'org/tiny'
/** Of the multicodec table. */
const SHA2_512 = 0x13
const raw = (hash: number, digest: Uint8Array): CID => CID.decode(Uint8Array.of(1, RAW, hash, digest.length, ...digest))

function numbers(count: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count)
  let state = seed
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[index] = state >>> 16
  }
  return bytes
}

const model = (): Files => ({
  ...tinyBert(),
  'README.md': text('---\nlicense: mit\npipeline_tag: feature-extraction\n---\n'),
  'onnx/model_quantized.onnx': tinyBert()['onnx/model.onnx'] ?? text(''),
  'pytorch_model.bin': numbers(3_000_000, 1),
})

async function hubWith(
  files: Files = model(),
  options: Partial<FixtureHubOptions> = {},
): Promise<{ hub: FixtureHub; commit: string }> {
  const made = fixtureCommit(files, {
    lfs: Object.keys(files).filter((path) => /\.(?:onnx|bin|safetensors)$/.test(path)),
  })
  const hub = await startFixtureHub({
    repositories: { [REPO]: { commits: [made], refs: { main: made.commit, v1: made.commit } } },
    ...options,
  })
  onTestFinished(() => hub.close())
  return { hub, commit: made.commit }
}

describe('from a hub', () => {
  it('a name that is refused takes nothing from what the branch was', async () => {
    const made = [{}, { 'README.md': text('# Newer') }].map((more) =>
      fixtureCommit(
        { ...model(), ...more },
        { lfs: ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'pytorch_model.bin'] },
      ),
    )
    const [older, newer] = made
    if (!older || !newer) throw new Error('there are two')
    const refs: Record<string, string> = { main: older.commit }
    const hub = await startFixtureHub({ repositories: { [REPO]: { commits: made, refs } } })
    onTestFinished(() => hub.close())
    const { store, partials } = await openWithPartials()
    const options = {
      repo: REPO,
      hub: createHubClient({ endpoint: hub.url }),
      name: 'me/mine',
      version: '1',
      ...hashing,
    }
    const first = await pullHubModel(store, partials, options)
    refs['main'] = newer.commit
    await expect(pullHubModel(store, partials, options)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await openModel(store, `hf://${REPO}`)).cid).toEqual(first.cid)
    expect((await openModel(store, 'me/mine@1')).cid).toEqual(first.cid)
  })

  it('what is needed comes, and the manifest knows the rest; the same on every machine', async () => {
    const { hub, commit } = await hubWith()
    const manifests = new Set<string>()
    for (const dtype of ['q8', 'q8', 'fp32'] as const) {
      const { store, partials } = await openWithPartials()
      const client = createHubClient({ endpoint: hub.url })
      const pulled = await pullHubModel(store, partials, { repo: REPO, hub: client, dtype, ...hashing })
      expect(pulled).toMatchObject({ commit, files: 5, omitted: 2 })
      manifests.add(`${pulled.manifest}`)
      const opened = await openModel(store, `hf://${REPO}`)
      expect(opened.cid).toEqual(pulled.cid)
      expect(opened).not.toHaveProperty('manifestRebuilt')
      expect(opened.manifest).toMatchObject({ origin: { repo: REPO, revision: commit }, task: 'feature-extraction' })
      expect(opened.manifest.omitted.map(({ path }) => path)).toEqual([
        dtype === 'q8' ? 'onnx/model.onnx' : 'onnx/model_quantized.onnx',
        'pytorch_model.bin',
      ])
      expect(opened.manifest.absent).toContain('vocab.txt')
      expect(opened.manifest.files.every(({ gitOid }) => gitOid !== undefined)).toBe(true)
      for (const { path } of opened.files) expect(await opened.read(path)).toEqual(model()[path])
    }
    expect(manifests.size).toBe(2)
  })

  it('what is here is not asked for again: neither a commit nor a file that another model has', async () => {
    const { hub, commit } = await hubWith()
    const { store, partials } = await openWithPartials()
    const client = createHubClient({ endpoint: hub.url })
    const options = { repo: REPO, hub: client, dtype: 'q8', ...hashing } as const
    const first = await pullHubModel(store, partials, options)
    hub.requests.length = 0
    expect(
      await pullHubModel(store, partials, { ...options, revision: commit, name: 'me/mine', version: '1' }),
    ).toEqual({
      ...first,
      receipt: undefined,
    })
    expect(hub.requests).toEqual([])
    expect((await resolveReference(store, 'me/mine@1')).cid).toEqual(first.cid)
    const more = await pullHubModel(store, partials, { ...options, revision: 'v1', include: ['pytorch_model.bin'] })
    expect(more.files).toBe(6)
    expect(more.receipt?.bytes).toBe(3_000_000)
    expect(more.cid).not.toEqual(first.cid)
    // Its name is now that.
    expect((await resolveReference(store, `hf://${REPO}@${commit}`)).cid).toEqual(more.cid)
  })

  it('two variants of a commit become one model: what was fetched before stays, and nothing comes twice', async () => {
    const files: Files = { ...model(), 'onnx/model_quantized.onnx': numbers(100_000, 7) }
    const { hub, commit } = await hubWith(files)
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, hub: createHubClient({ endpoint: hub.url }), ...hashing }
    const first = await pullHubModel(store, partials, { ...options, dtype: 'q8', include: ['pytorch_model.bin'] })
    hub.requests.length = 0
    const both = await pullHubModel(store, partials, { ...options, dtype: 'fp32', exclude: ['*.bin'] })
    expect(both).toMatchObject({ commit, files: 7, omitted: 0 })
    expect(both.reason).toMatch(/; and 2 files from before$/)
    const asked = hub.requests.flatMap(({ url }) => /\/resolve\/[^/]+\/(.*)$/.exec(url)?.[1] ?? [])
    expect(new Set(asked)).toEqual(new Set(['onnx/model.onnx']))
    const opened = await openModel(store, `hf://${REPO}`)
    expect(opened.cid).toEqual(both.cid)
    expect(opened).not.toHaveProperty('manifestRebuilt')
    for (const path of Object.keys(files)) expect(await opened.read(path)).toEqual(files[path])
    // In whatever order they came, it is the same model.
    const other = await openWithPartials()
    const all = await pullHubModel(other.store, other.partials, { ...options, all: true })
    expect(all.manifest).toEqual(both.manifest)
    // Who has the CID of the first still has that.
    expect((await openModel(store, `${first.cid}`)).files).toHaveLength(6)
    hub.requests.length = 0
    expect(await pullHubModel(store, partials, { ...options, revision: commit, dtype: 'q8' })).toMatchObject({
      cid: both.cid,
    })
    expect(hub.requests).toEqual([])
  })

  it('a revision that no store could remember is refused before anything is asked for', async () => {
    const { hub } = await hubWith()
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, revision: 'r'.repeat(245), hub: createHubClient({ endpoint: hub.url }), ...hashing }
    await expect(pullHubModel(store, partials, options)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('over 255 bytes'),
    })
    expect(hub.requests).toEqual([])
  })

  it.each<[string, Files, string]>([
    ['differ in case', { 'readme.md': text('a') }, '"README.md" and "readme.md" differ in case or Unicode form alone'],
    ['no other platform takes', { 'a:b.json': text('{}') }, 'path "a:b.json" has a backslash or a colon'],
    ['are a file and a directory', { 'CONFIG.json/a.json': text('{}') }, 'lies below it'],
  ])('paths that %s are refused before they are downloaded', async (_what, more, message) => {
    const { hub } = await hubWith({ ...model(), ...more })
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, hub: createHubClient({ endpoint: hub.url }), dtype: 'q8', ...hashing } as const
    const before = await visible(store)
    hub.requests.length = 0
    await expect(pullHubModel(store, partials, { ...options, all: true })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(new RegExp(`^${REPO}: (?!.*manifest).*${message}`)),
    })
    expect(hub.requests.filter(({ url }) => url.includes('/resolve/')).map(({ url }) => url.split('/').at(-1))).toEqual(
      ['config.json'],
    )
    expect(await visible(store)).toEqual(before)
    // Left out, they are in nobody's way.
    const [path = ''] = Object.keys(more)
    const pulled = await pullHubModel(store, partials, { ...options, exclude: [path] })
    const { manifest } = await openModel(store, `${pulled.cid}`)
    expect(manifest.origin).toMatchObject({ repo: REPO })
    expect(manifest.omitted.map((file) => file.path)).toEqual(['onnx/model.onnx', 'pytorch_model.bin'])
    // Later they are refused as they were at first, and are not said to be absent.
    for (const wanted of [{ include: [path] }, { include: ['*.json', '*.md'] }, { all: true }]) {
      await expect(pullHubModel(store, partials, { ...options, ...wanted })).rejects.toMatchObject({
        code: 'INVALID_INPUT',
        message: expect.stringContaining(message),
      })
    }
    hub.requests.length = 0
    const again = { ...options, revision: pulled.commit }
    expect(await pullHubModel(store, partials, again)).toMatchObject({ cid: pulled.cid })
    expect(hub.requests).toEqual([])
    await expect(pullHubModel(store, partials, { ...again, include: ['*.gguf'] })).rejects.toThrow(/^no file matches/)
    // Of what is held already, nothing is made again.
    expect(
      await pullHubModel(store, partials, { ...again, include: ['onnx/*_quantized.onnx'], exclude: [path] }),
    ).not.toHaveProperty('receipt')
  })

  it('a file whose twin in another case is held comes when it is asked for instead', async () => {
    const { hub } = await hubWith({ ...model(), 'notes.bin': text('lower'), 'NOTES.bin': text('upper') })
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, hub: createHubClient({ endpoint: hub.url }), dtype: 'q8', ...hashing } as const
    const lower = await pullHubModel(store, partials, { ...options, include: ['notes.bin'] })
    const upper = await pullHubModel(store, partials, { ...options, include: ['NOTES.bin'] })
    expect(upper.files).toBe(lower.files)
    const opened = await openModel(store, `hf://${REPO}`)
    expect(opened.cid).toEqual(upper.cid)
    expect(await opened.read('NOTES.bin')).toEqual(text('upper'))
    expect(opened.files.some(({ path }) => path === 'notes.bin')).toBe(false)
    expect(await (await openModel(store, `${lower.cid}`)).read('notes.bin')).toEqual(text('lower'))
    await expect(pullHubModel(store, partials, { ...options, include: ['notes.bin', 'NOTES.bin'] })).rejects.toThrow(
      'differ in case or Unicode form alone; leave one out (exclude)',
    )
  })

  it('a repository of more files than a manifest can list is pulled, and nothing is said of the rest', async () => {
    const deep = Array.from({ length: 5 }, () => 'd'.repeat(200)).join('/')
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`${deep}/${index}.bin`, text('a')]))
    const { hub } = await hubWith({ ...model(), ...many })
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, hub: createHubClient({ endpoint: hub.url }), dtype: 'q8', ...hashing } as const
    const pulled = await pullHubModel(store, partials, options)
    expect(pulled).toMatchObject({ files: 5, omitted: 2002 })
    const { manifest, cid } = await openModel(store, `hf://${REPO}`)
    expect(cid).toEqual(pulled.cid)
    expect(manifest).not.toHaveProperty('origin')
    expect(manifest.omitted).toEqual([])
    const before = await visible(store)
    await expect(pullHubModel(store, partials, { ...options, all: true })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`${REPO}: 2007 files are more than a manifest`),
    })
    expect(await visible(store)).toEqual(before)
  })

  it('what cannot be described is not there, and is not downloaded again', async () => {
    const { hub } = await hubWith()
    const { store, partials } = await openWithPartials()
    const options = { repo: REPO, hub: createHubClient({ endpoint: hub.url }), dtype: 'q8', ...hashing } as const
    const before = await visible(store)
    const failure = new Error('no hash')
    const failing = () => {
      throw failure
    }
    await expect(pullHubModel(store, partials, { ...options, createSha256: failing })).rejects.toBe(failure)
    expect(await visible(store)).toEqual(before)
    const { receipt } = await pullHubModel(store, partials, options)
    expect(receipt?.bytes).toBe(0)
  })

  it('a flipped bit is found, also in a small file', async () => {
    for (const path of ['onnx/model_quantized.onnx', 'config.json']) {
      const { hub } = await hubWith(model(), {
        intercept: (request, response) => {
          if (!request.url?.endsWith(path) || !request.url.includes('/resolve/')) return false
          const bytes = Uint8Array.from(model()[path] ?? [])
          bytes[40] = (bytes[40] ?? 0) ^ 1
          response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
          return true
        },
      })
      const { store, partials } = await openWithPartials()
      const before = await visible(store)
      const client = createHubClient({ endpoint: hub.url })
      await expect(
        pullHubModel(store, partials, { repo: REPO, hub: client, dtype: 'q8', ...hashing }),
      ).rejects.toMatchObject({
        code: 'INTEGRITY',
        message: expect.stringContaining(path),
      })
      expect(await visible(store)).toEqual(before)
    }
  })

  it.each<[string, { repo?: string; revision?: string; dtype?: 'q4' }, string]>([
    ['no such repository', { repo: 'org/none' }, 'org/none'],
    ['no such revision', { revision: 'v9' }, 'v9'],
    ['no such variant', { dtype: 'q4' }, 'onnx/model_q4.onnx'],
  ])('%s', async (_what, given, message) => {
    const { hub } = await hubWith()
    const { store, partials } = await openWithPartials()
    const client = createHubClient({ endpoint: hub.url })
    await expect(
      pullHubModel(store, partials, { repo: REPO, hub: client, ...hashing, ...given }),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(message),
    })
  })
})

async function holding(
  files: Files,
): Promise<{ origin: ContentStore; root: Awaited<ReturnType<typeof addModel>>['cid'] }> {
  const origin = await openMemoryStore()
  onTestFinished(() => origin.close())
  return { origin, root: (await addModel(origin, filesSource(files), { createSha256 })).cid }
}

/** Gives other bytes than it was asked for, and says that they are right. */
const liar = (source: ContentSource): ContentSource => ({
  ...source,
  name: 'liar',
  async *cat(root, options) {
    for await (const piece of source.cat(root, options)) {
      const changed = Uint8Array.from(piece)
      changed[0] = (changed[0] ?? 0) ^ 1
      yield changed
    }
  },
})

const fail = (): never => {
  throw new NotFoundError('everything')
}

const dead = (source: ContentSource): ContentSource => {
  return {
    ...source,
    name: 'dead',
    blocks: { ...source.blocks, name: 'dead', get: fail, has: fail },
    cat: fail,
    stat: fail,
    ls: fail,
  }
}

/** Forty tensors; the one at `change` is another. A longer note moves them all. */
function weights(change: number, note: string): Uint8Array<ArrayBuffer> {
  const tensors = Array.from({ length: 40 }, (_, index) => numbers(200_000, index === change ? 999 : index + 1))
  let offset = 0
  const header = JSON.stringify({
    __metadata__: { note },
    ...Object.fromEntries(
      tensors.map((bytes, index) => {
        const entry = { dtype: 'U8', shape: [bytes.length], data_offsets: [offset, offset + bytes.length] }
        offset += bytes.length
        return [`layer.${index}`, entry]
      }),
    ),
  })
  const file = new Uint8Array(8 + header.length + offset)
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true)
  file.set(text(header), 8)
  let at = 8 + header.length
  for (const bytes of tensors) {
    file.set(bytes, at)
    at += bytes.length
  }
  return file
}

describe('by its CID', () => {
  it('from three sources, one dead and one lying, and the receipt names them', async () => {
    const { origin, root } = await holding(model())
    const { store, partials } = await openWithPartials()
    const sources = [
      { label: 'dead', source: dead(origin) },
      { label: 'liar', source: liar(origin) },
      { label: 'good', source: origin },
    ]
    const pulled = await pullModelByCid(store, partials, root, { sources, ...hashing, name: REPO })
    expect(pulled).toMatchObject({ cid: root, files: 7 })
    expect(pulled.receipt?.sources.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['dead', expect.stringMatching(/dropped|unused/)],
      ['liar', 'banned'],
      ['good', 'answered'],
    ])
    const opened = await openModel(store, REPO)
    expect(opened).not.toHaveProperty('manifestRebuilt')
    for (const { path } of opened.files) expect(await opened.read(path)).toEqual(model()[path])
  })

  it('a source that never answers holds up nothing, wherever it is named', async () => {
    const { origin, root } = await holding(model())
    const { store, partials } = await openWithPartials()
    const asked: string[] = []
    const never = (what: string, signal: AbortSignal | undefined): Promise<never> => {
      asked.push(what)
      return new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    }
    const silent: ContentSource = {
      ...origin,
      name: 'silent',
      blocks: { ...origin.blocks, name: 'silent', get: (cid, options) => never(`${cid}`, options?.signal) },
      // eslint-disable-next-line require-yield
      async *cat(cid, options) {
        await never('bytes', options?.signal)
      },
    }
    const sources = [
      { label: 'silent', source: silent },
      { label: 'good', source: origin },
    ]
    const pulled = await pullModelByCid(store, partials, root, { sources, ...hashing })
    expect(pulled).toMatchObject({ cid: root, files: 7 })
    // It was asked, and of the directories for the root alone.
    expect(asked).toContain(`${root}`)
    expect(asked).not.toContain(`${(await origin.stat(root, { path: 'onnx' })).cid}`)
  })

  it('as another program made it, under another profile', async () => {
    const origin = await openMemoryStore()
    onTestFinished(() => origin.close())
    for (const profile of ['unixfs-v0-2015', 'kubo-v1'] as const) {
      const { cid: root } = await origin.add(filesSource(model()), { profile })
      const { store, partials } = await openWithPartials()
      const sources = [{ label: 'good', source: origin }]
      const pulled = await pullModelByCid(store, partials, root, { sources, ...hashing })
      expect(pulled.cid).toEqual(root)
      expect((await openModel(store, `${root}`)).files).toHaveLength(7)
    }
  })

  it('with a file in its CID, as of `ipfs add --inline`, and one under SHA-512', async () => {
    const origin = await openMemoryStore()
    onTestFinished(() => origin.close())
    const [config, note] = [text('{}'), text('a note')]
    const inline = raw(IDENTITY, config)
    const long = raw(SHA2_512, createHash('sha512').update(note).digest())
    await origin.blocks.put(long, note)
    const { cid: root } = await buildDirectory(
      [
        { name: 'config.json', cid: inline, dagBytes: config.length },
        { name: 'note.txt', cid: long, dagBytes: note.length },
      ],
      { onBlock: ({ cid, bytes }) => origin.blocks.put(cid, bytes) },
    )
    const { store, partials } = await openWithPartials()
    const sources = [{ label: 'good', source: origin }]
    expect((await pullModelByCid(store, partials, root, { sources, ...hashing })).cid).toEqual(root)
    await store.verify(root)
    for (const [path, bytes] of Object.entries({ 'config.json': config, 'note.txt': note })) {
      expect(Buffer.concat(await collect(store.cat(root, { path })))).toEqual(Buffer.from(bytes))
    }
    // A path is given for what an outboard can check.
    await expect(openModel(store, `${root}`)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('nobody has it: it is not found, and nothing is left', async () => {
    const { origin, root } = await holding(model())
    const { store, partials } = await openWithPartials()
    const before = await visible(store)
    const sources = [{ label: 'dead', source: dead(origin) }]
    await expect(pullModelByCid(store, partials, root, { sources, ...hashing })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await expect(pullModelByCid(store, partials, root, { sources: [], ...hashing })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(await visible(store)).toEqual(before)
  })

  it('of a model that differs in little, little is fetched, also when every offset has moved', async () => {
    const files = (change: number, note: string) => ({
      'config.json': text('{}'),
      'model.safetensors': weights(change, note),
    })
    const { store, partials } = await openWithPartials()
    await addModel(store, filesSource(files(-1, 'first')), { createSha256 })
    const size = weights(-1, '').length
    for (const [change, note, most] of [
      [-1, `first${'.'.repeat(100)}`, 0.01],
      [7, 'second', 0.06],
    ] as const) {
      const { origin, root } = await holding(files(change, note))
      const sources = [{ label: 'good', source: origin }]
      const { receipt } = await pullModelByCid(store, partials, root, { sources, ...hashing })
      expect((receipt?.bytes ?? Infinity) / size).toBeLessThan(most)
      expect((await openModel(store, `${root}`)).files).toHaveLength(2)
    }
  })

  it('a manifest that says what is not so is refused, and one that is asked for has to be there', async () => {
    const { origin, root } = await holding({
      'config.json': text('{}'),
      'model.safetensors': safetensors(numbers(9000, 3)),
    })
    const [beside] = await listSidecars(origin, 'manifests', root)
    if (!beside) throw new Error('no manifest')
    const honest = decodeManifest(await origin.blocks.get(beside.cid))
    const lies = await encodeManifest({
      ...honest,
      files: honest.files.map((file) => ({
        ...file,
        sha256: honest.files[0]?.sha256 ?? file.sha256,
        raw: honest.files[0]?.raw ?? file.raw,
      })),
    })
    await origin.blocks.put(lies.cid, lies.bytes)
    const { store, partials } = await openWithPartials()
    const sources = [{ label: 'good', source: origin }]
    await expect(
      pullModelByCid(store, partials, root, { sources, manifest: lies.cid, ...hashing }),
    ).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('another SHA-256'),
    })
    // As files go that are one block, it was known beforehand.
    expect(await visible(store)).toEqual({ roots: [], names: [] })
    // What somebody else names is tried, and so is one that a source has beside the model; both spoil nothing.
    const named = await openWithPartials()
    await pullModelByCid(named.store, named.partials, root, { sources, namedManifest: lies.cid, ...hashing })
    expect((await openModel(named.store, `${root}`)).manifestCid).toEqual(beside.cid)
    const third = await openWithPartials()
    await pullModelByCid(third.store, third.partials, root, { sources, namedManifest: root, ...hashing })
    expect((await openModel(third.store, `${root}`)).manifestCid).toEqual(beside.cid)
    await forgetSidecars(origin, root)
    await keepSidecar(origin, 'manifests', root, lies)
    const fresh = await openWithPartials()
    await pullModelByCid(fresh.store, fresh.partials, root, { sources, ...hashing, name: REPO })
    expect((await openModel(fresh.store, REPO)).files).toEqual(honest.files)
    const other = (await holding({ 'config.json': text('[1]'.replace('[1]', '{"a":1}')) })).root
    await expect(
      pullModelByCid(await openWithPartials().then(({ store: another }) => another), partials, other, {
        sources,
        ...hashing,
      }),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })
})

it('a manifest that was asked for is looked at where the model is held, and leaves nothing where it is false', async () => {
  const { origin, root } = await holding({
    'config.json': text('{}'),
    'model.safetensors': safetensors(numbers(3e6, 3)),
  })
  const [beside] = await listSidecars(origin, 'manifests', root)
  if (!beside) throw new Error('no manifest')
  const honest = decodeManifest(await origin.blocks.get(beside.cid))
  const claim = await encodeManifest({ ...honest, absent: ['vocab.txt'] })
  const large = honest.files.find(({ path }) => path === 'model.safetensors')
  const lies = await encodeManifest(
    createManifest({
      ...honest,
      files: honest.files.map((file) => (file === large ? { ...file, sha256: new Uint8Array(32) } : file)),
    }),
  )
  for (const { cid, bytes } of [claim, lies]) await origin.blocks.put(cid, bytes)
  const { store, partials } = await openWithPartials()
  const options = { sources: [{ label: 'good', source: origin }], ...hashing }
  const refused = { code: 'INVALID_INPUT', message: expect.stringContaining('another SHA-256') }
  await expect(pullModelByCid(store, partials, root, { ...options, manifest: lies.cid })).rejects.toMatchObject(refused)
  expect(await visible(store)).toEqual({ roots: [], names: [] })
  await pullModelByCid(store, partials, root, options)
  const before = await visible(store)
  await expect(pullModelByCid(store, partials, root, { ...options, manifest: lies.cid })).rejects.toMatchObject(refused)
  await expect(pullModelByCid(store, partials, root, { ...options, manifest: root })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
  expect(await visible(store)).toEqual(before)
  await pullModelByCid(store, partials, root, { ...options, manifest: claim.cid })
  const kept = await listSidecars(store, 'manifests', root)
  expect(kept.map(({ cid }) => `${cid}`)).toContain(`${claim.cid}`)
})

it('a pack that claims to be of a repository is not taken for it', async () => {
  const { hub, commit } = await hubWith()
  const { store, partials } = await openWithPartials()
  await pullHubModel(store, partials, {
    repo: REPO,
    hub: createHubClient({ endpoint: hub.url }),
    dtype: 'q8',
    ...hashing,
  })
  const car = await collect(packModel(store, `hf://${REPO}`))
  const elsewhere = (await openWithPartials()).store
  const { cid } = await unpackModel(elsewhere, car)
  expect((await openModel(elsewhere, `${cid}`)).manifest.origin).toEqual({ repo: REPO, revision: commit })
  await expect(resolveReference(elsewhere, `hf://${REPO}@${commit}`)).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
