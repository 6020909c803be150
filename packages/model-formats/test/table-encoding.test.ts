import { CID, DAG_CBOR, decodeDagCbor, encodeDagCbor, type Block } from '@x/cid'
import { describe, expect, it } from 'vitest'

import {
  createTensorScanner,
  decodeTensorTable,
  encodeTensorTable,
  tensorTableToJson,
  type Tensor,
  type TensorTable,
} from '../src/index.ts'
import { NEUTRAL_FILES } from './neutral-files.ts'

const sha256 = Uint8Array.from({ length: 32 }, (_, index) => index)
const w: Tensor = { name: 'w', dtype: 'float32', shape: [2, 3], offset: 10, length: 24, sha256 }
const small: TensorTable = {
  schema: 1,
  format: 'onnx',
  operators: ['Add', 'MatMul', 'com.microsoft::Gelu'],
  tensors: [
    w,
    { name: 'e', dtype: 'int4', shape: [3], file: 'data/e.bin', offset: 0, length: 2 },
    { name: 'v', dtype: 'int64', shape: [3], offset: 40, length: 5, encoding: 'varint', sha256 },
    { name: 'größe', dtype: 'string', shape: [], offset: 50, length: 9, encoding: 'protobuf' },
  ],
}
const many: TensorTable = {
  schema: 1,
  format: 'safetensors',
  tensors: Array.from({ length: 5000 }, (_, index) => ({ ...w, name: `model.layers.${index}`, offset: index * 24 })),
}
const noBlock = (): Promise<Uint8Array> => Promise.reject(new Error('there are no pages'))

function from(blocks: readonly Block[]): (cid: CID) => Promise<Uint8Array> {
  return async (cid) => {
    const block = blocks.find((each) => each.cid.equals(cid))
    if (block === undefined) throw new Error(`no block ${cid}`)
    return block.bytes
  }
}

it('keeps a small table in one block, the same for the same table', async () => {
  const { root, pages } = await encodeTensorTable(small)
  expect(pages).toEqual([])
  expect(root.cid.code).toBe(DAG_CBOR)
  expect(root.cid.toString()).toBe('bafyreidg2qtmnt6b4hhkcb7echd6wzm3c7bcvrxoumhvq2wgjh2zwivqca')
  expect(await decodeTensorTable(root.bytes, noBlock)).toEqual(small)
})

it('keeps a large table in pages, none of them over 512 KiB', async () => {
  const { root, pages } = await encodeTensorTable(many)
  expect(pages.length).toBe(3)
  for (const { bytes } of [root, ...pages]) expect(bytes.length).toBeLessThan(524_288)
  expect(root.cid.toString()).toBe('bafyreia6thqbigzagi5pmizkxb67hgbwjqynocifghsv5sn3gty3aqslie')
  expect(await decodeTensorTable(root.bytes, from(pages))).toEqual(many)
})

it('keeps tensors with the longest names and shapes in blocks under 512 KiB', async () => {
  const tensors = Array.from({ length: 20 }, (_, index) => ({
    ...w,
    name: `${index}`.padEnd(65_535, 'x'),
    shape: [2, 3, ...Array<number>(62).fill(1)],
  }))
  const { root, pages } = await encodeTensorTable({ schema: 1, format: 'safetensors', tensors })
  for (const { bytes } of [root, ...pages]) expect(bytes.length).toBeLessThan(524_288)
  expect((await decodeTensorTable(root.bytes, from(pages))).tensors).toEqual(tensors)
})

it.each(NEUTRAL_FILES)('makes the same block of $path as in a browser', async ({ path, bytes, cid }) => {
  const scanner = createTensorScanner(path)
  scanner?.push(bytes)
  const { table = small } = scanner?.end() ?? {}
  expect((await encodeTensorTable(table)).root.cid.toString()).toBe(cid)
})

it('has a view as JSON', () => {
  const view = tensorTableToJson(small)
  expect(JSON.parse(JSON.stringify(view))).toEqual(view)
  expect(view).toMatchObject({
    schema: 1,
    format: 'onnx',
    tensors: [
      { name: 'w', sha256: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f' },
      { file: 'data/e.bin' },
      {},
      {},
    ],
  })
})

describe('refuses', () => {
  const link = CID.parse('bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
  const onnx = { schema: 1, format: 'onnx' }
  const of = (change: object): object => ({ ...onnx, tensors: [{ ...w, ...change }] })

  it.each<[string, unknown]>([
    ['it is no map', []],
    ['it is no map', null],
    ['its schema is 2, not 1', { ...small, schema: 2 }],
    ['its schema is missing, not 1', {}],
    ['its format is not known', { ...small, format: 'pickle' }],
    ['it has an unknown field "extra"', { ...small, extra: 1 }],
    ['its tensors are no list', { ...onnx }],
    ['its tensors are no list', { ...onnx, tensors: {} }],
    ['of tensor 0, it is no map', { ...onnx, tensors: [1] }],
    ['of tensor 1, it has no name', { ...onnx, tensors: [w, { ...w, name: 1 }] }],
    ['it has no name', of({ name: 'x'.repeat(65_536) })],
    ['it has no dtype that is known', of({ dtype: 'float31' })],
    ['it has no dtype that is known', of({ dtype: 'Q4_K' })],
    ['it has no dtype that is known', { ...of({ dtype: 'string' }), format: 'gguf' }],
    ['it has no shape', of({ shape: '2' })],
    ['it has no shape', of({ shape: Array<number>(65).fill(1) })],
    ['its shape is none', of({ shape: [2, -3] })],
    ['its shape is none', of({ shape: [2, 0.5] })],
    ['it has no place', of({ offset: -1 })],
    ['it has no place', of({ length: 'long' })],
    ['it has no place', of({ offset: 2 ** 53 - 1 })],
    ['its length is 25, which does not fit its shape', of({ length: 25 })],
    ['its length is 24, which does not fit its shape', of({ shape: [2 ** 30, 2 ** 30] })],
    ['its length is 24, which does not fit its shape', of({ dtype: 'string' })],
    ['its encoding is not known', of({ encoding: 'zip' })],
    ['its encoding is not known', { ...of({ encoding: 'varint' }), format: 'safetensors' }],
    ['it cannot be in another file', { ...of({ file: 'a' }), format: 'gguf' }],
    ['it cannot be in another file', of({ file: 'a', encoding: 'varint' })],
    ['its file is no path inside a folder', of({ file: '../a' })],
    ['its file is no path inside a folder', of({ file: './a' })],
    ['its file is no path inside a folder', of({ file: 1 })],
    ['its sha256 is none', of({ sha256: sha256.subarray(1) })],
    ['its sha256 is none', of({ sha256: 'abc' })],
    ['it has an unknown field "crc"', of({ crc: 1 })],
    ['its operators are no list', { ...small, operators: 'Add' }],
    ['its operators are no texts', { ...small, operators: [1] }],
    ['operator "Add" is out of order or there twice', { ...small, operators: ['Add', 'Add'] }],
    ['operator "Add" is out of order or there twice', { ...small, operators: ['Mul', 'Add'] }],
    [
      'its operators are no list',
      { ...small, operators: Array.from({ length: 4097 }, (_, index) => `${index}`.padStart(5, '0')) },
    ],
    ['its operators are over 131072 bytes long', { ...small, operators: ['x'.repeat(131_073)] }],
    ['a file of gguf has no operators', { schema: 1, format: 'gguf', operators: [], tensors: [] }],
    ['it has a count without pages', { ...small, count: 4 }],
    ['it has both tensors and pages', { ...small, count: 4, pages: [link, link] }],
    ['its pages are no list', { ...onnx, count: 4, pages: [link] }],
    ['its pages are no list', { ...onnx, count: 4, pages: Array<CID>(4097).fill(link) }],
    ['a page is no CID of dag-cbor', { ...onnx, count: 4, pages: [1, 2] }],
    ['it has no count', { ...onnx, count: -1, pages: [link, link] }],
    ['it has over 262144 tensors', { ...onnx, count: 262_145, pages: [link, link] }],
  ])('%s', async (message, value) => {
    const { bytes } = await encodeDagCbor(value)
    await expect(decodeTensorTable(bytes, noBlock)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining(message),
    })
  })

  it('bytes that are no dag-cbor, or too many', async () => {
    await expect(decodeTensorTable(Uint8Array.of(0xff), noBlock)).rejects.toThrowError('a block is not dag-cbor')
    await expect(decodeTensorTable(new Uint8Array(1_048_577), noBlock)).rejects.toThrowError('is 1048577 bytes long')
  })

  it('pages that are not what their CID says, or not what the root says', async () => {
    const { root, pages } = await encodeTensorTable(many)
    const damaged = pages.map(({ cid, bytes }) => ({
      cid,
      bytes: bytes.map((byte, index) => (index === 99 ? byte ^ 1 : byte)),
    }))
    await expect(decodeTensorTable(root.bytes, from(damaged))).rejects.toMatchObject({ code: 'INTEGRITY' })
    const fields = decodeDagCbor(root.bytes)
    const empty = await encodeDagCbor([])
    const changed = async (change: object): Promise<TensorTable> => {
      const { bytes } = await encodeDagCbor({ ...Object(fields), ...change })
      return decodeTensorTable(bytes, from([...pages, empty]))
    }
    await expect(changed({ count: 4999 })).rejects.toThrowError('its pages have over 4999 tensors')
    await expect(changed({ count: 5001 })).rejects.toThrowError('its pages have 5000 tensors, not 5001')
    await expect(changed({ pages: [empty.cid, empty.cid] })).rejects.toThrowError('a page is empty')
  })

  it('tables that could not be read again', async () => {
    const bad = { ...small, tensors: [{ ...w, length: 25 }] }
    await expect(encodeTensorTable(bad)).rejects.toThrowError('its length is 25, which does not fit its shape')
    const tensors = Array.from({ length: 262_145 }, () => w)
    await expect(encodeTensorTable({ ...many, tensors })).rejects.toThrowError('it has over 262144 tensors')
  })
})
