import { createHash } from 'node:crypto'

import { encodeTensorTable } from '@x/model-formats'
import { addModel, openModel } from '@x/model-loader'
import { describe, expect, it } from 'vitest'

import { openCheckpoint, PickleCheckpointError, SeveralCheckpointsError } from '../src/index.ts'
import {
  collect,
  filesSource,
  index,
  openMemory,
  safetensors,
  text,
  u8,
  varied,
  watched,
  withHeader,
  type Files,
} from './support.ts'

const a = safetensors({ a: u8(varied(300)) })
const b = safetensors({ b: u8(varied(500, 2)), c: { dtype: 'F16', shape: [2, 2], bytes: varied(8) } })
const sharded: Files = {
  'model-00001-of-00002.safetensors': a,
  'model-00002-of-00002.safetensors': b,
  'model.safetensors.index.json': index({
    a: 'model-00001-of-00002.safetensors',
    b: 'model-00002-of-00002.safetensors',
    c: 'model-00002-of-00002.safetensors',
  }),
}
const within = (folder: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${folder}/${path}`, bytes]))

async function opened(files: Files, path?: string): ReturnType<typeof openCheckpoint> {
  const store = await openMemory()
  const { cid } = await store.add(filesSource({ 'config.json': text('{}'), ...files }))
  return openCheckpoint(store, cid, { path })
}
/** What comes of it, in one line. */
const namesOf = async (files: Files, path?: string): Promise<string> => {
  const checkpoint = await opened(files, path)
  return `${checkpoint.path}: ${checkpoint.list.map(({ name }) => name).join(' ')}`
}

it('lists a single file', async () => {
  const { list, shards, path, totalBytes } = await opened({ 'model.safetensors': b })
  expect({ list, shards, path, totalBytes }).toEqual({
    list: [
      { name: 'b', dtype: 'uint8', shape: [500], bytes: 500, shard: 'model.safetensors' },
      { name: 'c', dtype: 'float16', shape: [2, 2], bytes: 8, shard: 'model.safetensors' },
    ],
    shards: [{ path: 'model.safetensors', size: b.length, listedBy: 'header' }],
    path: 'model.safetensors',
    totalBytes: 508,
  })
})

it.each<[string, string, Files, string?]>([
  ['shards with their index', 'model.safetensors.index.json: a b c', sharded],
  ['in a folder', 'deep/unet/model.safetensors.index.json: a b c', within('deep/unet', sharded)],
  [
    'shards without an index',
    'w-00001-of-00002.safetensors: a b c',
    { 'w-00001-of-00002.safetensors': a, 'w-00002-of-00002.safetensors': b },
  ],
  [
    'shards that are counted from nought',
    'w-0-of-2.safetensors: a b c',
    { 'w-0-of-2.safetensors': a, 'w-1-of-2.safetensors': b },
  ],
  [
    'a variant among others',
    'model.safetensors.index.fp16.json: b c',
    {
      ...sharded,
      'model.fp16-00001-of-00001.safetensors': b,
      'model.safetensors.index.fp16.json': index({ b: 'model.fp16-00001-of-00001.safetensors' }),
    },
    'model.safetensors.index.fp16.json',
  ],
  [
    'an index of one file',
    'model.safetensors.index.json: a',
    {
      'model.safetensors': a,
      'model.safetensors.index.json': index({ a: 'model.safetensors' }),
    },
  ],
  [
    'files of any name that an index names',
    'x.safetensors.index.json: b c a',
    {
      'x.safetensors.index.json': index({ a: 'second.safetensors', b: 'first.safetensors' }),
      'first.safetensors': b,
      'second.safetensors': a,
    },
  ],
  [
    'a pickle beside it',
    'model.safetensors: a',
    { 'model.safetensors': a, 'pytorch_model.bin': a, 'training_args.bin': a },
  ],
  [
    'the folder that is asked for',
    'unet/a.safetensors: a',
    { 'unet/a.safetensors': a, 'vae/b.safetensors': b },
    'unet/',
  ],
  ['the file that is asked for', 'b.safetensors: b c', { 'a.safetensors': a, 'b.safetensors': b }, 'b.safetensors'],
  [
    'the shard that is asked for',
    'model.safetensors.index.json: a b c',
    { ...sharded, 'z.safetensors': a },
    'model-00002-of-00002.safetensors',
  ],
])('takes %s', async (_what, outcome, files, path) => {
  expect(await namesOf(files, path)).toBe(outcome)
})

it('lists the checkpoints where there are several', async () => {
  const files = { ...within('unet', sharded), 'vae/model.safetensors': a, 'model-1-of-1.safetensors': b }
  const error = await opened(files).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SeveralCheckpointsError)
  expect(error).toMatchObject({
    code: 'INVALID_INPUT',
    checkpoints: ['model-1-of-1.safetensors', 'unet/model.safetensors.index.json', 'vae/model.safetensors'],
    message: expect.stringContaining('unet/model.safetensors.index.json, vae/model.safetensors'),
  })
})

describe('refuses, and never reads, a pickle', () => {
  const names = ['pytorch_model.bin', 'old/x.pt', 'x.ckpt', 'x.pkl', 'pytorch_model-00001-of-00002.bin']
  it.each<[string | undefined, string[]]>([
    [undefined, names],
    ['old', ['old/x.pt']],
    ['x.ckpt', ['x.ckpt']],
  ])('at %s', async (path, listed) => {
    const memory = await openMemory()
    const { cid } = await memory.add(
      filesSource({
        ...Object.fromEntries(names.map((name) => [name, varied(99)])),
        'pytorch_model.bin.index.json': text('{}'),
      }),
    )
    const { store, reads } = watched(memory)
    const error = await openCheckpoint(store, cid, { path }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(PickleCheckpointError)
    expect(error).toMatchObject({ code: 'UNSUPPORTED' })
    const { files, message } = error instanceof PickleCheckpointError ? error : { files: [], message: '' }
    expect(new Set(files)).toEqual(new Set(listed))
    expect(listed.filter((name) => !message.includes(name))).toEqual([])
    expect(reads).toEqual([])
  })

  it('that an index names', async () => {
    const files = { 'model.safetensors.index.json': index({ a: 'pytorch_model.bin' }), 'pytorch_model.bin': a }
    await expect(opened(files)).rejects.toMatchObject({ code: 'UNSUPPORTED', files: ['pytorch_model.bin'] })
  })
})

describe('refuses', () => {
  const other = (change: Files): Files => ({ ...sharded, ...change })
  const withIndex = (files: Record<string, string>): Files => other({ 'model.safetensors.index.json': index(files) })
  const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
  const { [two]: _left, ...lacking } = sharded

  it.each<[code: string, message: string, Files, string?]>([
    ['NOT_FOUND', 'no checkpoint is there', {}],
    ['NOT_FOUND', 'no checkpoint is there', sharded, 'model.safetensors'],
    ['NOT_FOUND', 'no checkpoint is there', sharded, 'unet'],
    ['NOT_FOUND', `lacks ${two}`, lacking],
    [
      'NOT_FOUND',
      'lacks w-2-of-4.safetensors, w-3-of-4.safetensors',
      { 'w-1-of-4.safetensors': a, 'w-4-of-4.safetensors': b },
    ],
    ['INVALID_INPUT', `it promises tensor "d" in ${two}, which no shard has`, withIndex({ a: one, b: two, d: two })],
    ['INVALID_INPUT', `it promises tensor "b" in ${one}, which is in ${two}`, withIndex({ a: one, b: one, c: two })],
    ['INVALID_INPUT', `it names no tensor in ${two}`, withIndex({ a: one })],
    ['INVALID_INPUT', `tensor "a" is in ${one} and in ${two}`, other({ [two]: a })],
    ['INVALID_INPUT', 'it names "../x.safetensors", which is no file beside it', withIndex({ a: '../x.safetensors' })],
    ['INVALID_INPUT', 'it names "config.json", which is no safetensors file', withIndex({ a: 'config.json' })],
    ['INVALID_INPUT', 'it names no tensor', withIndex({})],
    [
      'INVALID_INPUT',
      'it names "a" twice',
      other({ 'model.safetensors.index.json': text('{"weight_map":{"a":"x","a":"y"}}') }),
    ],
    ['INVALID_INPUT', 'it has no weight_map', other({ 'model.safetensors.index.json': text('{}') })],
    ['INVALID_INPUT', 'there is no { at byte 0', other({ 'model.safetensors.index.json': text('') })],
    [
      'INVALID_INPUT',
      'claims 4294967304 bytes, over 100000000',
      { 'm.safetensors': Uint8Array.of(8, 0, 0, 0, 1, 0, 0, 0, 1) },
    ],
    [
      'INVALID_INPUT',
      'it ends at byte 9, inside its header',
      { 'm.safetensors': Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, 1) },
    ],
    ['INVALID_INPUT', 'it ends at byte 3, inside the length of its header', { 'm.safetensors': new Uint8Array(3) }],
    ['INVALID_INPUT', 'inside tensor "a"', { 'm.safetensors': a.subarray(0, -1) }],
    ['INVALID_INPUT', 'there is more behind its last tensor', { 'm.safetensors': withHeader('{}', new Uint8Array(1)) }],
  ])('%s: %s', async (code, message, files, path) => {
    await expect(opened(files, path)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })

  it('what is no directory', async () => {
    const store = await openMemory()
    const { cid } = await store.add(a)
    await expect(openCheckpoint(store, cid)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('a list of files that says more than there is', async () => {
    const store = await openMemory()
    const { cid } = await store.add(filesSource({ 'm.safetensors': a }))
    const files = [{ path: 'm.safetensors', size: a.length + 8 }]
    await expect(openCheckpoint(store, { cid, files })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(`was listed with ${a.length + 8} bytes, and ends at byte ${a.length}`),
    })
  })
})

it('reads no more of a shard than its header', async () => {
  const memory = await openMemory()
  const large = safetensors({ w: u8(varied(200_000)) })
  const { cid } = await memory.add(filesSource({ 'm.safetensors': large }))
  let bytes = 0
  const { store } = watched(memory, (more) => (bytes += more))
  await openCheckpoint(store, cid)
  expect(bytes).toBe(65_536)
})

it('reads a header that is long', async () => {
  const tensors = Object.fromEntries(
    Array.from({ length: 2000 }, (_, at) => [`layers.${at}.weight`, u8(varied(2, at))]),
  )
  const { list } = await opened({ 'm.safetensors': safetensors(tensors, 2 ** 17) })
  expect(list).toHaveLength(2000)
})

describe('with the tables of a manifest', () => {
  it('reads no header, and lists and gives the same', async () => {
    const memory = await openMemory()
    const source = filesSource({ 'config.json': text('{}'), ...sharded })
    const { cid } = await addModel(memory, source, { createSha256: () => createHash('sha256') })
    const model = await openModel(memory, `${cid}`)
    const { store, reads } = watched(memory)
    const byTable = await openCheckpoint(store, model)
    expect(reads.map(({ path }) => path)).toEqual(['model.safetensors.index.json'])
    const byHeader = await openCheckpoint(store, cid)
    expect(byTable.shards.map(({ listedBy }) => listedBy)).toEqual(['table', 'table'])
    expect(byHeader.shards.map(({ listedBy }) => listedBy)).toEqual(['header', 'header'])
    expect(byTable.list).toEqual(byHeader.list)
    expect(await collect(byTable.tensors())).toEqual(await collect(byHeader.tensors()))
  })

  it('reads the header where a table is gone, is of another file, or not what its CID says', async () => {
    const memory = await openMemory()
    const { cid } = await addModel(memory, filesSource({ 'config.json': text('{}'), ...sharded }))
    const { files } = await openModel(memory, `${cid}`)
    const [first, second] = files.filter(({ path }) => path.endsWith('.safetensors'))
    if (!first || !second) throw new Error('there are no shards')
    const swapped = files.map((file) => (file.path === first.path ? { ...file, tensors: second.tensors } : file))
    const checkpoint = await openCheckpoint(memory, { cid, files: swapped })
    expect(checkpoint.shards.map(({ listedBy }) => listedBy)).toEqual(['header', 'table'])
    const broken = { ...memory, blocks: { ...memory.blocks, get: async () => text('{}') } }
    expect((await openCheckpoint(broken, { cid, files })).list).toEqual(checkpoint.list)
    const renamed = await encodeTensorTable({
      schema: 1,
      format: 'safetensors',
      tensors: [{ name: 'z', dtype: 'uint8', shape: [300], offset: a.length - 300, length: 300 }],
    })
    const lying = { ...memory, blocks: { ...memory.blocks, get: async () => renamed.root.bytes } }
    expect((await openCheckpoint(lying, { cid, files })).list).toEqual(checkpoint.list)
    const gone = files.map((file) => ({ ...file, ...(file.tensors && { tensors: file.raw }) }))
    expect((await openCheckpoint(memory, { cid, files: gone })).list).toEqual(checkpoint.list)
  })
})

it('stops', async () => {
  const store = await openMemory()
  const { cid } = await store.add(filesSource(sharded))
  const reason = new Error('enough')
  await expect(openCheckpoint(store, cid, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})
