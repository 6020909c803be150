import { createHash } from 'node:crypto'

import { cidOf, CID, encodeDagCbor, isStorageError, RAW, verify } from '@x/cid'
import { isPickleName } from '@x/model-signing'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { fileRole } from '../src/file-role.ts'
import { createManifest, decodeManifest, encodeManifest, manifestToJson, type ModelManifest } from '../src/index.ts'
import { text } from './support.ts'

const sha256 = (value: string): Uint8Array => Uint8Array.from(createHash('sha256').update(value).digest())

async function manifest(paths: string[] = ['config.json', 'onnx/model.onnx']): Promise<ModelManifest> {
  const files = paths.map(async (path) => ({
    path,
    size: path.length,
    sha256: sha256(path),
    root: await cidOf(RAW, text(path)),
  }))
  return createManifest({ root: await cidOf(RAW, text('root')), files: await Promise.all(files) })
}

it('is read back as it was written, and is the same for files in any order', async () => {
  const given = await manifest()
  const block = await encodeManifest(given)
  await verify(block.cid, block.bytes)
  expect(decodeManifest(block.bytes)).toEqual(given)
  expect((await encodeManifest(await manifest(['onnx/model.onnx', 'config.json']))).cid).toEqual(block.cid)
})

it('the role of a file that Python would unpickle is the one list that a policy has', () => {
  const names = ['a.cloudpickle', 'a.dill', 'a.PT', 'any.bin', 'openvino/a.bin', 'a.onnx_data.bin']
  for (const name of [...names, 'a.onnx', 'ggml-a.bin', 'a/openvino_model.bin', 'a.json', 'pt']) {
    expect([name, fileRole(name) === 'pickle']).toEqual([name, isPickleName(name)])
    expect([name, isPickleName(name)]).toEqual([name, names.includes(name)])
  }
})

it('gives each file the raw CID of its bytes', async () => {
  const { files } = await manifest(['a'])
  expect(files[0]?.raw).toEqual(await cidOf(RAW, text('a')))
})

it('sorts paths by their UTF-8 bytes, where UTF-16 would put an emoji before U+FFFD', async () => {
  const { files } = await manifest(['\u{1f600}', '\ufffd', 'b', 'a/c', 'a-'])
  expect(files.map(({ path }) => path)).toEqual(['a-', 'a/c', 'b', '\ufffd', '\u{1f600}'])
  expect(
    files
      .map(({ path }) => path)
      .toSorted()
      .at(-1),
  ).toBe('\ufffd')
})

async function hostile(
  change: (fields: Record<string, unknown>, file: Record<string, unknown>) => void,
): Promise<Uint8Array> {
  const { root, files } = await manifest(['a'])
  const [first] = files
  const file: Record<string, unknown> = { ...first }
  const fields: Record<string, unknown> = { schema: 2, root, files: [file] }
  change(fields, file)
  return (await encodeDagCbor(fields)).bytes
}

describe('a hostile manifest is refused', () => {
  it.each(['../a', 'a/../../b', '/etc/passwd', 'a//b', 'a/', '.', '', 'a/./b', 'a\0b'])('path %j', async (path) => {
    const bytes = await hostile((_fields, file) => {
      file.path = path
    })
    expect(() => decodeManifest(bytes)).toThrowError('is not one inside a directory')
  })

  it.each<[string, (fields: Record<string, unknown>, file: Record<string, unknown>) => void]>([
    ['schema is 1', (fields) => (fields.schema = 1)],
    ['schema is missing', (fields) => delete fields.schema],
    ['root is no CID', (fields) => (fields.root = 'bafy')],
    ['files is no list', (fields) => (fields.files = null)],
    ['a file is no map', (fields) => (fields.files = [1])],
    ['unknown field "host"', (fields) => (fields.host = 'a')],
    ['unknown field "mode"', (_fields, file) => (file.mode = 7)],
    ['a path is no text', (_fields, file) => (file.path = 1)],
    ['a has no size', (_fields, file) => (file.size = -1)],
    ['a has no size', (_fields, file) => (file.size = 0.5)],
    ['a has no size', (_fields, file) => (file.size = '1')],
    ['a has no sha256', (_fields, file) => (file.sha256 = new Uint8Array(31))],
    ['the raw CID of a is not its sha256', (_fields, file) => (file.sha256 = sha256('b'))],
    ['raw of a is no CID', (_fields, file) => (file.raw = 'a')],
    ['root of a is no CID', (_fields, file) => delete file.root],
    ['out of order or there twice', (fields, file) => (fields.files = [file, file])],
    ['out of order or there twice', (fields, file) => (fields.files = [{ ...file, path: 'b' }, file])],
  ])('%s', async (message, change) => {
    const bytes = await hostile(change)
    expect(() => decodeManifest(bytes)).toThrowError(message)
    expect(() => decodeManifest(bytes)).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it.each([[[]], [[0xff, 0xff]], [[0xa0, 0x00]], [[0x80]]])('bytes %j', (bytes) => {
    expect(() => decodeManifest(Uint8Array.from(bytes))).toThrowError('not a model manifest')
  })
})

it('has the encoding that is documented', async () => {
  const { root, files } = await manifest(['a'])
  const [file] = files
  const { cid } = await encodeDagCbor({
    schema: 2,
    root: CID.parse(root.toString()),
    files: [{ path: 'a', size: 1, sha256: sha256('a'), raw: file?.raw, root: file?.root, role: 'other' }],
  })
  expect((await encodeManifest(await manifest(['a']))).cid).toEqual(cid)
})

const COMMIT = 'c0ffee0000000000000000000000000000000000'

it('keeps everything that it can say, and says it as JSON', async () => {
  const plain = await manifest(['config.json', 'onnx/model_q4f16.onnx'])
  const parent = await cidOf(RAW, text('parent'))
  const full = createManifest({
    ...plain,
    origin: { repo: 'org/name', revision: COMMIT },
    task: 'feature-extraction',
    architecture: 'BertModel',
    licence: 'apache-2.0',
    baseModels: ['org/b', 'org/a'],
    tags: ['onnx', 'bert', 'onnx'],
    parents: [parent],
    files: plain.files.map((file) => ({ ...file, gitOid: COMMIT, tensors: parent })),
    omitted: [
      { path: 'README.md', size: 3, gitOid: COMMIT },
      { path: 'pytorch_model.bin', size: 5, sha256: sha256('w') },
    ],
    absent: ['tokenizer.json', 'added_tokens.json'],
  })
  const { bytes } = await encodeManifest(full)
  expect(decodeManifest(bytes)).toEqual(full)
  expect(manifestToJson(full)).toEqual({
    schema: 2,
    root: plain.root.toString(),
    origin: { repo: 'org/name', revision: COMMIT },
    task: 'feature-extraction',
    architecture: 'BertModel',
    licence: 'apache-2.0',
    baseModels: ['org/b', 'org/a'],
    tags: ['bert', 'onnx'],
    parents: [parent.toString()],
    files: plain.files.map(({ path, size, sha256: digest, raw, root, role, dtype }) => ({
      path,
      size,
      sha256: Buffer.from(digest).toString('hex'),
      raw: raw.toString(),
      root: root.toString(),
      role,
      gitOid: COMMIT,
      ...(dtype !== undefined && { dtype }),
      tensors: parent.toString(),
    })),
    omitted: [
      { path: 'README.md', size: 3, gitOid: COMMIT },
      { path: 'pytorch_model.bin', size: 5, sha256: Buffer.from(sha256('w')).toString('hex') },
    ],
    absent: ['added_tokens.json', 'tokenizer.json'],
  })
  expect(full.files.map(({ role, dtype }) => [role, dtype])).toEqual([
    ['config', undefined],
    ['weights', 'q4f16'],
  ])
})

describe('paths that cannot lie in one directory everywhere', () => {
  it.each([
    [['a', 'A'], '"A" and "a" differ in case or Unicode form alone'],
    [['\u00e9', 'e\u0301'], 'differ in case or Unicode form alone'],
    [['J\u030c', '\u01f0'], 'differ in case or Unicode form alone'],
    [['a', 'a'], '"a" is there twice'],
    [['a', 'a/b'], '"a" is a file, and "a/b" lies below it'],
    [['A', 'a/b'], '"A" is a file, and "a/b" lies below it'],
    [['a\\b'], 'backslash'],
    [['c:a'], 'colon'],
    [['../a'], 'not one inside a directory'],
  ])('%j', async (paths, message) => {
    await expect(manifest(paths)).rejects.toThrowError(message)
    await expect(manifest(paths)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    const { root, files } = await manifest(['x'])
    const named = paths.map((path) => ({ ...files[0], path })).toSorted((a, b) => (a.path < b.path ? -1 : 1))
    const { bytes } = await encodeDagCbor({ schema: 2, root, files: named })
    expect(() => decodeManifest(bytes)).toThrowError(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })

  it('a file that is there and omitted, or there and absent', async () => {
    const { root, files } = await manifest(['a'])
    expect(() => createManifest({ root, files, omitted: [{ path: 'a', size: 1 }] })).toThrowError('twice')
    expect(() => createManifest({ root, files, absent: ['a'] })).toThrowError('there and absent')
  })
})

it('a long path is read back, and one that is too long is not written', async () => {
  const long = Array.from({ length: 20 }, () => 'a'.repeat(200)).join('/')
  const given = await manifest(['config.json', long])
  expect(decodeManifest((await encodeManifest(given)).bytes)).toEqual(given)
  await expect(manifest([`${long}/${'b'.repeat(200)}`])).rejects.toThrowError('over 4096 characters')
})

it('more files than fit into a block are refused, also before their fields are read', async () => {
  const many = Array.from({ length: 20_000 }, (_, index) => `file-${index}`)
  await expect(manifest(many).then(encodeManifest)).rejects.toThrowError('has 20000 files')
  const { root, files } = await manifest(['a'])
  const { bytes } = await encodeDagCbor({ schema: 2, root, files: many.map((path) => ({ ...files[0], path })) })
  expect(() => decodeManifest(bytes)).toThrowError('no block is over 2 MiB')
})

it('bytes that were changed anywhere are refused or mean something else, and never throw anything else', async () => {
  const { bytes } = await encodeManifest(await manifest(['config.json', 'onnx/model.onnx', 'tokenizer.json']))
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(bytes.length),
      (changes, length) => {
        const mutated = bytes.slice(0, length === 0 ? bytes.length : length)
        for (const [index, value] of changes) if (index < mutated.length) mutated[index] = value
        expect(codeThrownBy(() => decodeManifest(mutated))).toBeOneOf(['none', 'INVALID_INPUT'])
      },
    ),
    { numRuns: 2000 },
  )
})

function codeThrownBy(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    return isStorageError(error) ? error.code : String(error)
  }
}
