import { describe, expect, it } from 'vitest'

import { createTensorScanner } from '../src/index.ts'
import { join } from './protobuf.ts'
import { safetensors } from './safetensors.ts'
import { digestOf, refusalOf, scan, text } from './support.ts'

const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
const f32 = (shape: readonly number[], begin: number, end: number): unknown => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
})
const refused = (header: Parameters<typeof safetensors>[0], content: Uint8Array = data): string =>
  refusalOf('m.safetensors', safetensors(header, content)).replace(
    'm.safetensors is not a whole safetensors file: ',
    '',
  )

it('lists tensors by offset, whatever the order of the header, and keeps metadata apart', () => {
  const file = safetensors(
    {
      second: f32([1], 8, 12),
      __metadata__: { format: 'pt', note: 'ü "quoted" \n' },
      first: f32([2, 1], 0, 8),
      empty: f32([0, 5], 8, 8),
    },
    data,
  )
  const start = file.length - data.length
  const { table, metadata } = scan('m.safetensors', file, 3)
  const common = { dtype: 'float32' }
  expect(table).toEqual({
    schema: 1,
    format: 'safetensors',
    tensors: [
      { name: 'first', ...common, shape: [2, 1], offset: start, length: 8, sha256: digestOf(data.subarray(0, 8)) },
      { name: 'empty', ...common, shape: [0, 5], offset: start + 8, length: 0, sha256: digestOf(data.subarray(0, 0)) },
      { name: 'second', ...common, shape: [1], offset: start + 8, length: 4, sha256: digestOf(data.subarray(8)) },
    ],
  })
  expect(Object.fromEntries(metadata)).toEqual({ format: 'pt', note: 'ü "quoted" \n' })
})

it.each([
  ['no tensors', '{}'],
  ['metadata that is null', '{"__metadata__":null}'],
  ['blanks behind the header and within', '{ "__metadata__" :\t{ } \n}   '],
])('takes a file with %s', (_what, header) => {
  expect(scan('m.safetensors', safetensors(header, new Uint8Array())).table.tensors).toEqual([])
})

it('takes keys that it does not know, and escaped names', () => {
  const header =
    '{"\\u0061\\n":{"dtype":"U8","more":[{"a":-1.5e3,"b":[null,true]},"x\\"",{}],"shape":[12],"data_offsets":[0,12]}}'
  expect(scan('m.safetensors', safetensors(header, data)).table.tensors[0]?.name).toBe('a\n')
})

describe('refuses', () => {
  it.each<[string, Parameters<typeof safetensors>[0]]>([
    ['tensor "w" begins at byte 67, behind a gap: 63', { w: f32([2], 4, 12) }],
    ['tensor "b" begins at byte 120, inside another: 124', { a: f32([2], 0, 8), b: f32([2], 4, 12) }],
    ['tensor "b" begins at byte 115, inside another: 123', { a: f32([2], 0, 8), b: f32([2], 0, 8) }],
    ['tensor "w" of F32 [2] takes 8 bytes, and has 12', { w: f32([2], 0, 12) }],
    ['tensor "w" has a shape with over 2^53 elements', { w: f32([2 ** 40, 2 ** 40], 0, 12) }],
    ['tensor "w" has a shape with over 2^53 elements', { w: f32([2 ** 40, 0, 2 ** 40], 0, 0) }],
    ['tensor "w" is over 2^53 bytes', { w: { dtype: 'F64', shape: [2 ** 53 - 1], data_offsets: [0, 12] } }],
    ['tensor "w" ends before it begins: 8, 0', { w: f32([2], 8, 0) }],
    ['tensor "w" has type "F31", which is not known', { w: { dtype: 'F31', shape: [3], data_offsets: [0, 12] } }],
    [
      'tensor "w" of 3 elements of 4 bits does not end with a byte',
      { w: { dtype: 'F4', shape: [3], data_offsets: [0, 2] } },
    ],
    ['tensor "w" has no dtype', { w: { shape: [3], data_offsets: [0, 12] } }],
    ['tensor "w" has no shape', { w: { dtype: 'F32', data_offsets: [0, 12] } }],
    ['tensor "w" has no data_offsets', { w: { dtype: 'F32', shape: [3] } }],
    ['tensor "w" has no data_offsets', { w: { dtype: 'F32', shape: [3], data_offsets: [0] } }],
    ['tensor "w" has over two data_offsets', { w: { dtype: 'F32', shape: [3], data_offsets: [0, 12, 12] } }],
    ['tensor "w" has over 64 dimensions', { w: f32(Array<number>(65).fill(1), 0, 4) }],
    ['"-1" is no whole number at byte 37', { w: f32([-1], 0, 12) }],
    ['"1.5" is no whole number', { w: f32([1.5], 0, 12) }],
    ['"1e2" is no whole number', '{"w":{"dtype":"U8","shape":[1e2],"data_offsets":[0,12]}}'],
    ['"012" is no whole number', '{"w":{"dtype":"U8","shape":[012],"data_offsets":[0,12]}}'],
    ['a number is over 2^53', '{"w":{"dtype":"U8","shape":[9007199254740992],"data_offsets":[0,12]}}'],
    ['a number is over 2^53', '{"w":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,12]}}'],
    ['"" is no whole number', '{"w":{"dtype":"U8","shape":["1"],"data_offsets":[0,12]}}'],
    [
      'there is a second "w" at byte',
      '{"w":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"w":{"dtype":"U8","shape":[12],"data_offsets":[0,12]}}',
    ],
    ['there is a second "w" at byte', '{"w":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"\\u0077":1}'],
    ['tensor "w" has a second "dtype"', '{"w":{"dtype":"U8","dtype":"U8","shape":[12],"data_offsets":[0,12]}}'],
    ['there is a second "__metadata__"', '{"__metadata__":{},"__metadata__":{}}'],
    ['__metadata__ has a second "a"', '{"__metadata__":{"a":"b","a":"b"}}'],
    ['there is no " at byte 31', '{"__metadata__":{"a":1}}'.replace(':1', ':  1')],
    ['a text is not Unicode', '{"\\ud800":{}}'],
    ['a text has an escape that JSON does not know', '{"\\x":{}}'],
    ['a text does not end', '{"a\nb":{}}'],
    ['a text does not end', '{"abc'],
    ['there is no {', ''],
    ['there is no { at byte 8', ' {}'],
    ['there is no { at byte 8', '[]'],
    ['there is no " at byte 9', '{'],
    ['there is no "', '{"__metadata__":{},}'],
    ['there is no :', '{"a" {}}'],
    ['there is something behind the header at byte 10', '{}{}'],
    ['there is something behind the header at byte 10', '{}\0'],
    ['values are over 128 deep', `{"w":{"x":${'['.repeat(130)}`],
    ['there is no value', '{"w":{"x":nul}}'],
    ['there is no value', '{"w":{"x":01}}'],
    ['a text is over 65535 bytes long', `{"${'x'.repeat(65_536)}":{}}`],
    ['there is more behind its last tensor, which ends at byte', { w: f32([2], 0, 8) }],
    ['inside tensor "w"', { w: f32([4], 0, 16) }],
  ])('%s', (message, header) => {
    expect(refused(header)).toContain(message)
  })

  it.each<[string, Uint8Array]>([
    ['it ends at byte 0, inside the length of its header', new Uint8Array()],
    ['it ends at byte 7, inside the length of its header', new Uint8Array(7)],
    ['its header claims 9223372036854775808 bytes, over 100000000', join(new Uint8Array(7), Uint8Array.of(0x80))],
    ['its header claims 100000001 bytes, over 100000000', Uint8Array.of(1, 0xe1, 0xf5, 5, 0, 0, 0, 0)],
    ['it ends at byte 9, inside its header', join(Uint8Array.of(0, 0xe1, 0xf5, 5, 0, 0, 0, 0), text('{'))],
    [
      'a text is not UTF-8 at byte 10',
      join(Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0), Uint8Array.of(0x7b, 0x22, 0xff, 0x22)),
    ],
    ['claims', text('version https://git-lfs.github.com/spec/v1\n')],
  ])('%s', (message, file) => {
    expect(refusalOf('m.safetensors', file)).toContain(message)
  })

  it('metadata that is too long to keep', () => {
    const header = `{"__metadata__":{"a":"${'x'.repeat(2 ** 24)}","b":"y"}}`
    expect(() => scan('m.safetensors', safetensors(header, new Uint8Array()))).toThrowError(
      'is over 16777216 bytes long',
    )
  })
})

it('does not take memory for a header that is only claimed', () => {
  const claimed = Uint8Array.of(0, 0xe1, 0xf5, 5, 0, 0, 0, 0)
  const before = process.memoryUsage().arrayBuffers
  const scanners = Array.from({ length: 50 }, () => {
    const scanner = createTensorScanner('m.safetensors')
    scanner?.push(claimed)
    scanner?.push(text('{'))
    return scanner
  })
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20e6)
  expect(scanners).toHaveLength(50)
})
