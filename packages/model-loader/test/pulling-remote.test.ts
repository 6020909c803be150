/** Models of a place without revisions, such as a bucket. */
import { createHash } from 'node:crypto'

import type { Files } from '@x/fixtures'
import { BackendError, NotFoundError } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import {
  decodeManifest,
  findRemoteModel,
  forgetLostRevisions,
  pullRemoteModel,
  resolveReference,
  type RemoteDirectory,
} from '../src/index.ts'
import { createSha256, openWithPartials, text, tinyBert } from './support.ts'

const hashing = { createSha256, createHasher: (name: 'sha256' | 'sha1') => createHash(name) }
const LABEL = 's3://bucket/m'

interface Place extends RemoteDirectory {
  files: Files
  /** By path; else of the bytes. */
  etags: ReadonlyMap<string, string>
  /** By path. */
  served: Map<string, number>
  keepsDigests: boolean
  /** Fails for good after so many bytes of one request. */
  failsAfter: number
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

/** STUB: a bucket in memory. */
function placeWith(files: Files, endpoint = 'https://s3.example.org'): Place {
  const bytesAt = (path: string): Uint8Array => {
    const bytes = place.files[path]
    if (!bytes) throw new NotFoundError(path)
    return bytes
  }
  const place: Place = {
    label: LABEL,
    endpoint,
    files,
    etags: new Map(),
    served: new Map(),
    keepsDigests: false,
    failsAfter: Infinity,
    list: async () =>
      Object.entries(place.files).map(([path, bytes]) => ({
        path,
        size: bytes.length,
        etag: place.etags.get(path) ?? Buffer.from(sha256(bytes)).toString('hex'),
      })),
    digestOf: async ({ path }) => (place.keepsDigests ? sha256(bytesAt(path)) : undefined),
    sourceOf: () => ({
      name: LABEL,
      async *read({ path }, { offset, length }) {
        const bytes = bytesAt(path).slice(offset, offset + Math.min(length, place.failsAfter))
        place.served.set(path, (place.served.get(path) ?? 0) + bytes.length)
        yield bytes
        if (length > place.failsAfter) throw new BackendError('the place is gone', { retryable: false })
      },
    }),
  }
  return place
}

const model = (): Files => ({ ...tinyBert(), 'train.py': text('print(1)') })

it('a file may be called anything that a path may', async () => {
  const { store, partials } = await openWithPartials()
  const files: Files = Object.fromEntries([
    ...Object.entries(model()),
    ['__proto__', text('a')],
    ['constructor', text('b')],
  ])
  const options = { directory: placeWith(files), all: true, ...hashing }
  const { cid } = await pullRemoteModel(store, partials, options)
  expect(await pullRemoteModel(store, partials, options)).toMatchObject({ cid })
  expect(options.directory.served.get('__proto__')).toBe(1)
})

/** Weights that are no GGUF, in leaves that differ. */
const large = (): Files => ({
  'config.json': text('{}'),
  'model.gguf': Uint8Array.from({ length: 3 * 2 ** 20 }, (_, index) => (index * 31) >> 13),
})

it('comes once: the same sizes and ETags are the same files', async () => {
  const { store, partials } = await openWithPartials()
  const place = placeWith(model())
  const options = { directory: place, ...hashing }
  const first = await pullRemoteModel(store, partials, options)
  expect(first.unchecked).toEqual(Object.keys(tinyBert()).toSorted())
  expect(await findRemoteModel(store, LABEL)).toEqual(first.cid)
  expect((await resolveReference(store, LABEL)).cid).toEqual(first.cid)
  expect((await resolveReference(store, `${LABEL}/`)).cid).toEqual(first.cid)
  expect(decodeManifest(await store.blocks.get(first.manifest))).not.toHaveProperty('origin')
  place.served.clear()
  expect(await pullRemoteModel(store, partials, options)).toMatchObject({ cid: first.cid, unchecked: [] })
  expect(place.served.size).toBe(0)

  // One that is left there changes the manifest, and nothing is fetched.
  place.files['more.py'] = text('print(2)')
  const second = await pullRemoteModel(store, partials, options)
  expect(second).toMatchObject({ cid: first.cid, omitted: 2, unchecked: [] })
  expect(second.manifest).not.toEqual(first.manifest)
  expect(place.served.size).toBe(0)

  // Another server is another place.
  const other = placeWith(model(), 'https://other.example.org')
  expect(await pullRemoteModel(store, partials, { ...options, directory: other })).toMatchObject({ cid: first.cid })
  expect(other.served.size).toBe(Object.keys(tinyBert()).length)
})

it('the digests of the place are compared', async () => {
  const { store, partials } = await openWithPartials()
  const place = placeWith(model())
  place.keepsDigests = true
  const right = place.files['onnx/model.onnx'] ?? text('')
  const wrong = Uint8Array.from(right)
  wrong[100] = (wrong[100] ?? 0) ^ 1
  const digests = place.digestOf.bind(place)
  place.digestOf = async (file, options) => (file.path === 'onnx/model.onnx' ? sha256(right) : digests(file, options))
  place.files['onnx/model.onnx'] = wrong
  const options = { directory: place, ...hashing }
  await expect(pullRemoteModel(store, partials, options)).rejects.toMatchObject({ code: 'INTEGRITY' })
  await expect(findRemoteModel(store, LABEL)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  place.files['onnx/model.onnx'] = right
  expect(await pullRemoteModel(store, partials, options)).toMatchObject({ unchecked: [] })
})

it('the same ETag with other bytes is found, after what was here is gone', async () => {
  const { store, partials } = await openWithPartials()
  const place = placeWith(large())
  const options = { directory: place, pin: false, ...hashing }
  const { cid } = await pullRemoteModel(store, partials, options)
  place.etags = new Map((await place.list()).map(({ path, etag }) => [path, etag]))
  await partials.close()
  await store.gc()
  await expect(findRemoteModel(store, LABEL)).rejects.toThrow(/not held any more; pull it/)
  const right = place.files['model.gguf'] ?? text('')
  place.files['model.gguf'] = Uint8Array.from(right).fill(7, 10, 20)
  const again = await store.openPartials()
  onTestFinished(() => again.close())
  await expect(pullRemoteModel(store, again, options)).rejects.toMatchObject({ code: 'INTEGRITY' })
  place.files['model.gguf'] = right
  expect(await pullRemoteModel(store, again, options)).toMatchObject({ cid, unchecked: [] })
})

it('what is not here any more is forgotten by a collection', async () => {
  const { store, partials } = await openWithPartials()
  await pullRemoteModel(store, partials, { directory: placeWith(model()), pin: false, ...hashing })
  await store.gc()
  await forgetLostRevisions(store)
  const names: string[] = []
  for await (const { name } of store.names.list({ prefix: '.remote/' })) names.push(name)
  expect(names).toEqual([])
})

it('a pull that was broken off goes on where it was', async () => {
  const { store, partials } = await openWithPartials()
  const place = placeWith(large())
  place.failsAfter = 2 ** 20
  const options = { directory: place, ...hashing }
  await expect(pullRemoteModel(store, partials, options)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(place.served.get('model.gguf')).toBeGreaterThan(0)
  place.failsAfter = Infinity
  expect(await pullRemoteModel(store, partials, options)).toMatchObject({ files: 2 })
  // Nothing came twice.
  expect(place.served.get('model.gguf')).toBe(place.files['model.gguf']?.length)
})

it.each([
  ['..', '../config.json'],
  ['an absolute path', '/etc/passwd'],
  ['another case', 'CONFIG.json'],
  ['a file below a file', 'config.json/a'],
  ['a colon', 'C:/a'],
])('%s in a listing is refused before anything is fetched', async (_name, path) => {
  const { store, partials } = await openWithPartials()
  const place = placeWith({ ...model(), [path]: text('a') })
  const pulling = pullRemoteModel(store, partials, { directory: place, ...hashing })
  await expect(pulling).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(place.served.size).toBe(0)
})

it('what is no model is refused, and what was never pulled is not there', async () => {
  const { store, partials } = await openWithPartials()
  const place = placeWith({ 'a.txt': text('a') })
  const pulling = pullRemoteModel(store, partials, { directory: place, ...hashing })
  await expect(pulling).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringMatching(/it is no model/),
  })
  await expect(resolveReference(store, LABEL)).rejects.toMatchObject({ code: 'NOT_FOUND', what: LABEL })
})
