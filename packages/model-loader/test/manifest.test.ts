import { createHash } from 'node:crypto'

import { cidOf, CID, encodeDagCbor, RAW, verify } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { createManifest, decodeManifest, encodeManifest, type ModelManifest } from '../src/index.ts'
import { text } from './support.ts'

const sha256 = (value: string): Uint8Array => Uint8Array.from(createHash('sha256').update(value).digest())

async function manifest(paths: string[] = ['config.json', 'onnx/model.onnx']): Promise<ModelManifest> {
  const files = paths.map(async (path) => ({
    path,
    size: path.length,
    sha256: sha256(path),
    root: await cidOf(RAW, text(path)),
  }))
  return createManifest(await cidOf(RAW, text('root')), await Promise.all(files))
}

it('is read back as it was written, and is the same for files in any order', async () => {
  const given = await manifest()
  const block = await encodeManifest(given)
  await verify(block.cid, block.bytes)
  expect(decodeManifest(block.bytes)).toEqual(given)
  expect((await encodeManifest(await manifest(['onnx/model.onnx', 'config.json']))).cid).toEqual(block.cid)
})

it('gives each file the raw CID of its bytes', async () => {
  const { files } = await manifest(['a'])
  expect(files[0]?.raw).toEqual(await cidOf(RAW, text('a')))
})

it('sorts paths by their UTF-8 bytes, where UTF-16 would put an emoji before U+FFFD', async () => {
  const { files } = await manifest(['\u{1f600}', '\ufffd', 'b', 'a/c', 'a'])
  expect(files.map(({ path }) => path)).toEqual(['a', 'a/c', 'b', '\ufffd', '\u{1f600}'])
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
  const fields: Record<string, unknown> = { schema: 1, root, files: [file] }
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
    ['schema is 2', (fields) => (fields.schema = 2)],
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
    schema: 1,
    root: CID.parse(root.toString()),
    files: [{ path: 'a', size: 1, sha256: sha256('a'), raw: file?.raw, root: file?.root }],
  })
  expect((await encodeManifest(await manifest(['a']))).cid).toEqual(cid)
})
