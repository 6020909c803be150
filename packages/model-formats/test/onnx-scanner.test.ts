import { dynamicQuantised } from '@x/fixtures'
import { describe, expect, it } from 'vitest'

import { createTensorScanner, isBatchVariant } from '../src/index.ts'
import { MODELS } from './models.ts'
import { attribute, entry, external, FLOAT, graph, INT64, model, node, rawTensor, tensor } from './onnx.ts'
import { bytes, int, join, raw, string, varint, type Bytes } from './protobuf.ts'
import { digestOf, refusalOf, scan } from './support.ts'

const two = raw(Float32Array.of(1, 2))
const withTensor = (...initializers: readonly Uint8Array[]): Bytes => model(graph({ initializers }))
const refused = (file: Uint8Array): string => refusalOf('m.onnx', file).replace('m.onnx is not a whole ONNX file: ', '')
const tensorsOf = (file: Uint8Array): unknown[] => scan('m.onnx', file).table.tensors

describe('lists', () => {
  it('raw data and packed floats with place and digest', () => {
    const file = withTensor(rawTensor('w', FLOAT, [2], two), tensor('f', FLOAT, [2], bytes(4, two)))
    const places = [...file.keys()].filter((at) => two.every((byte, index) => file[at + index] === byte))
    expect(places).toHaveLength(2)
    const common = { dtype: 'float32', shape: [2], length: 8, sha256: digestOf(two) }
    expect(tensorsOf(file)).toEqual([
      { name: 'w', offset: places[0], ...common },
      { name: 'f', offset: places[1], ...common },
    ])
  })

  it('numbers kept as varints by the bytes of their field', () => {
    const run = join(...[1, -1, 300].map((each) => varint(each)))
    const file = withTensor(tensor('i', INT64, [3], bytes(7, run)))
    const [found] = scan('m.onnx', file).table.tensors
    expect(found).toMatchObject({ dtype: 'int64', shape: [3], encoding: 'varint', length: 13, sha256: digestOf(run) })
    expect(Uint8Array.from(file.subarray(found?.offset, (found?.offset ?? 0) + 13))).toEqual(run)
  })

  it('texts, and numbers in several pieces, by the whole tensor', () => {
    const texts = tensor('t', 8, [2], string(6, 'a'), string(6, ''))
    const pieces = tensor('p', FLOAT, [2], bytes(4, two.subarray(0, 4)), bytes(4, two.subarray(4)))
    const single = tensor('s', INT64, [2], int(7, 5), int(7, -5))
    const floats = tensor('g', FLOAT, [1], Uint8Array.of(4 * 8 + 5, 1, 2, 3, 4))
    const file = withTensor(texts, pieces, single, floats)
    const found = scan('m.onnx', file).table.tensors
    expect(found.map(({ encoding, sha256 }) => [encoding, sha256])).toEqual(
      Array.from({ length: 4 }, () => ['protobuf', undefined]),
    )
    expect(found.map(({ offset, length }) => Uint8Array.from(file.subarray(offset, offset + length)))).toEqual([
      texts,
      pieces,
      single,
      floats,
    ])
  })

  it('external data without digest, its path without detours', () => {
    const file = withTensor(
      tensor('a', FLOAT, [2], external('model.onnx_data', 4096, 8)),
      tensor('b', FLOAT, [3], external('./data//b.bin')),
    )
    expect(tensorsOf(file)).toEqual([
      { name: 'a', dtype: 'float32', shape: [2], file: 'model.onnx_data', offset: 4096, length: 8 },
      { name: 'b', dtype: 'float32', shape: [3], file: 'data/b.bin', offset: 0, length: 12 },
    ])
  })

  it('what is in attributes by what their node puts out, also when that comes last', () => {
    const constant = bytes(
      1,
      attribute('value', 'tensor', bytes(5, rawTensor('own', FLOAT, [2], two))),
      string(4, 'Constant'),
      string(2, 'c'),
    )
    const other = node(
      'Thing',
      [],
      ['o', 'p'],
      [
        attribute('one', 'tensor', bytes(5, rawTensor('', FLOAT, [2], two))),
        attribute(
          'many',
          'tensor',
          bytes(10, rawTensor('', FLOAT, [2], two)),
          bytes(10, rawTensor('', FLOAT, [2], two)),
        ),
        attribute('sparse', 'sparse', bytes(22, bytes(1, rawTensor('', FLOAT, [2], two)))),
        // The name of an attribute after what is in it.
        bytes(5, bytes(5, rawTensor('', FLOAT, [2], two)), string(1, 'late')),
      ],
      'some.domain',
    )
    const { table } = scan('m.onnx', model(graph({ nodes: [constant, other] })))
    expect(table.tensors.map(({ name }) => name)).toEqual(['c', 'o.one', 'o.many.0', 'o.many.1', 'o.sparse', 'o.late'])
    expect(table.operators).toEqual(['Constant', 'some.domain::Thing'])
  })

  it('tensors of functions, training graphs, and defaults of a function’s attributes', () => {
    const inFunction = node(
      'Constant',
      [],
      ['f'],
      [attribute('value', 'tensor', bytes(5, rawTensor('', FLOAT, [2], two)))],
    )
    const withDefault = bytes(11, string(1, 'default'), bytes(5, rawTensor('', FLOAT, [2], two)))
    const file = model(
      graph({}),
      bytes(25, string(1, 'function'), bytes(7, inFunction.subarray(2)), withDefault),
      bytes(20, bytes(1, graph({ initializers: [rawTensor('t', FLOAT, [2], two)] }))),
    )
    expect(scan('m.onnx', file).table.tensors.map(({ name }) => name)).toEqual(['f', 'default', 't'])
  })

  it('tensors without elements, and scalars', () => {
    const file = withTensor(
      tensor('none', FLOAT, [0, 7]),
      tensor('empty', FLOAT, [3, 0], bytes(9)),
      rawTensor('scalar', FLOAT, [], two.subarray(0, 4)),
      tensor('nothing', 8, [0]),
    )
    expect(tensorsOf(file)).toMatchObject([
      { name: 'none', length: 0, sha256: digestOf(new Uint8Array()) },
      { name: 'empty', length: 0 },
      { name: 'scalar', shape: [], length: 4 },
      { name: 'nothing', encoding: 'protobuf' },
    ])
  })

  it('names with a byte order mark, and dimensions that are packed', () => {
    const file = withTensor(join(bytes(1, Uint8Array.of(2, 1)), int(2, FLOAT), string(8, '\uFEFFw'), bytes(9, two)))
    expect(tensorsOf(file)).toMatchObject([{ name: '\uFEFFw', shape: [2, 1] }])
  })

  it('operators, and whether a row depends on those beside it', () => {
    const { operators = [] } = scan('m.onnx', dynamicQuantised()).table
    expect(operators).toEqual(['Cast', 'DynamicQuantizeLinear', 'MatMulInteger', 'Mul'])
    expect(isBatchVariant(operators)).toBe(true)
    const inBranch = graph({ nodes: [node('DynamicQuantizeMatMul', ['x'], ['y'], [], 'com.microsoft')] })
    const nested = model(
      graph({ nodes: [node('If', ['c'], ['y'], [attribute('then_branch', 'graph', bytes(6, inBranch))])] }),
    )
    expect(isBatchVariant(scan('m.onnx', nested).table.operators ?? [])).toBe(true)
    const plain = Object.values(MODELS).flatMap((make) => scan('m.onnx', make()).table.operators ?? [])
    expect(isBatchVariant([...plain, 'QLinearMatMul', 'other::DynamicQuantizeLinear'])).toBe(false)
  })
})

/** As many attributes and graphs inside each other. */
function ifs(levels: number): Uint8Array {
  let inner: Uint8Array = graph({})
  for (let level = 0; level < levels; level++) {
    inner = node('If', [], ['y'], [bytes(5, bytes(6, inner))])
  }
  return inner
}

describe('refuses', () => {
  const ofW = (...fields: readonly Uint8Array[]): Bytes => withTensor(join(string(8, 'w'), ...fields))
  const float2 = join(int(1, 2), int(2, FLOAT))

  it.each<[string, Uint8Array]>([
    // What a tensor says of itself.
    [
      'tensor "w" at byte 17 of float32[2] takes 8 bytes, and has 7 in raw_data',
      ofW(float2, bytes(9, two.subarray(1))),
    ],
    [
      'tensor "w" at byte 17 of float32[3] takes 3 values, and has 2 in float_data',
      ofW(int(1, 3), int(2, 1), bytes(4, two)),
    ],
    [
      'tensor "w" at byte 17 of int64[2] takes 2 values, and has 3 in int64_data',
      ofW(int(1, 2), int(2, 7), bytes(7, Uint8Array.of(1, 2, 3))),
    ],
    [
      'tensor "w" at byte 17 of int4[3] takes 2 values, and has 3 in int32_data',
      ofW(int(1, 3), int(2, 22), bytes(5, Uint8Array.of(1, 2, 3))),
    ],
    ['tensor "w" at byte 17 of float32[2] has int64_data', ofW(float2, bytes(7, Uint8Array.of(1, 2)))],
    ['tensor "w" at byte 17 has both raw_data and float_data', ofW(float2, bytes(9, two), bytes(4, two))],
    ['tensor "w" at byte 17 has raw_data twice', ofW(float2, bytes(9, two), bytes(9, two))],
    ['tensor "w" at byte 17 has 7 bytes of float_data', ofW(float2, bytes(4, two.subarray(1)))],
    ['tensor "w" at byte 17 of float32[2] has no data', ofW(float2)],
    ['tensor "w" at byte 17 is a list of texts in raw_data', ofW(int(1, 2), int(2, 8), bytes(9, two))],
    ['tensor "w" at byte 17 has type 29, which is not known', ofW(int(2, 29))],
    ['tensor "w" at byte 17 has type 0, which is not known', ofW(int(1, 2))],
    ['tensor "w" at byte 17 has type 18446744073709552000, which is not known', ofW(int(2, -1))],
    ['tensor "w" at byte 17 has two types', ofW(int(2, 1), int(2, 7))],
    ['tensor "w" at byte 17 is also called "v"', ofW(string(8, 'v'))],
    ['tensor "w" at byte 17 has a dimension of -1', ofW(int(1, -1))],
    ['tensor "w" at byte 17 has a dimension of -9223372036854775808', ofW(int(1, -(2n ** 63n)))],
    [
      'tensor "w" at byte 17 has a shape with over 2^53 elements: float32[9007199254740991,2]',
      ofW(int(1, 2 ** 53 - 1), int(1, 2), int(2, 1)),
    ],
    [
      'tensor "w" at byte 17 has a shape with over 2^53 elements: float32[1099511627776,0,1099511627776]',
      ofW(int(1, 2 ** 40), int(1, 0), int(1, 2 ** 40), int(2, 1)),
    ],
    ['tensor "w" at byte 17 of float64[9007199254740991] is over 2^53 bytes', ofW(int(1, 2 ** 53 - 1), int(2, 11))],
    ['tensor "w" at byte 18 has over 64 dimensions', ofW(...Array<Uint8Array>(65).fill(int(1, 1)))],
    ['tensor "w" at byte 17 has over 64 dimensions', ofW(bytes(1, new Uint8Array(65).fill(1)))],
    ['tensor "w" at byte 17 has a number that is cut off in field 1', ofW(bytes(1, Uint8Array.of(1, 0x80)))],
    [
      'tensor "w" at byte 17 has a number that is cut off in field 7',
      ofW(int(1, 1), int(2, 7), bytes(7, Uint8Array.of(0x81))),
    ],
    ['tensor "w" at byte 17 has a number over 10 bytes long', ofW(bytes(7, new Uint8Array(10).fill(0x80)))],
    ['tensor "" at byte 17 has a name that is not UTF-8, at byte 21', withTensor(bytes(8, Uint8Array.of(0xc3, 0x28)))],
    ['tensor "" at byte 19 has a name of 65536 bytes', withTensor(string(8, 'x'.repeat(65_536)))],
    ['tensor "w" at byte 17 has field 9 at byte 22 in another wire type than ONNX gives it', ofW(int(9, 1))],
    ['tensor "w" at byte 17 has field 2 at byte 22 in another wire type than ONNX gives it', ofW(bytes(2, two))],
    ['tensor "w" at byte 17 has data location 2', ofW(int(14, 2))],
    ['tensor "w" at byte 17 has two data locations', ofW(int(14, 0), int(14, 1))],
    // External data.
    ['has external data at "../secret", which is no path inside its folder', ofW(float2, external('../secret'))],
    ['has external data at "/etc/passwd", which', ofW(float2, external('/etc/passwd'))],
    ['has external data at "a/../../b", which', ofW(float2, external('a/../../b'))],
    ['has external data at "C:\\\\b", which', ofW(float2, external('C:\\b'))],
    ['has external data at "file:b", which', ofW(float2, external('file:b'))],
    ['has external data at "", which', ofW(float2, external(''))],
    ['has external data at "a\\u0000b", which', ofW(float2, external('a\0b'))],
    ['has external data at "*/_ORT_MEM_ADDR_/*", which', ofW(float2, external('*/_ORT_MEM_ADDR_/*', 4096, 8))],
    ['has external data with offset "-1"', ofW(float2, external('b', -1))],
    ['has external data with offset "9007199254740993"', ofW(float2, external('b', '9007199254740993'))],
    ['has external data with length "8e0"', ofW(float2, external('b', 0, '8e0'))],
    ['has external data at offset 9007199254740991, which no file has', ofW(float2, external('b', 2 ** 53 - 1, 8))],
    ['of float32[2] takes 8 bytes, and has 9 of external data', ofW(float2, external('b', 0, 9))],
    ['is external data without a location', ofW(float2, int(14, 1))],
    ['is external data, and has raw_data too', ofW(float2, bytes(9, two), external('b'))],
    ['has external data with two entries "location"', ofW(float2, external('b'), entry('location', 'c'))],
    ['is a list of texts in external data', ofW(int(1, 1), int(2, 8), external('b'))],
    // Structure.
    ['field 9 at byte 22 is 1 bytes longer than its message, which ends at 25', ofW(Uint8Array.of(0x4a, 2, 1))],
    [
      'field 9 at byte 22 is 1099511627771 bytes longer than its message, which ends at 34',
      ofW(Uint8Array.of(0x4a), varint(2 ** 40), Uint8Array.of(1, 2, 3, 4, 5)),
    ],
    ['field 9 at byte 22 claims 18446744073709551615 bytes', ofW(Uint8Array.of(0x4a), varint(-1))],
    ['field 1 at byte 22 is cut off: its message ends at byte 23', ofW(Uint8Array.of(0x08))],
    ['the number at byte 23 is cut off: its message ends at byte 24', ofW(Uint8Array.of(0x08, 0x80))],
    ['field 4 at byte 22 is 1 bytes longer than its message, which ends at 26', ofW(Uint8Array.of(0x25, 1, 2, 3))],
    ['the number at byte 23 is over 10 bytes long', ofW(Uint8Array.of(0x08), new Uint8Array(11).fill(0x80))],
    ['byte 22 has wire type 3, which ONNX does not use', ofW(Uint8Array.of(0x0b, 0x0c))],
    ['byte 22 has wire type 4, which ONNX does not use', ofW(Uint8Array.of(0x0c))],
    ['no protobuf field begins at byte 22', ofW(Uint8Array.of(0x00, 0x00))],
    ['no protobuf field begins at byte 22', ofW(varint(2n ** 63n))],
    ['begins a message inside over 100 others', model(ifs(40))],
    ['begins a second field 7 of its model', model(graph({}), bytes(7, graph({})))],
    [
      'begins a second field 6 of its attribute',
      model(node('If', [], ['y'], [bytes(5, bytes(6, graph({})), bytes(6, graph({})))])),
    ],
    ['field 5 at byte 10 has another wire type than ONNX gives it in a graph', model(int(5, 1))],
    ['the name at byte 14 is not UTF-8', model(bytes(1, bytes(4, Uint8Array.of(0xff))))],
    ['an operator at byte 17 is 1025 bytes long', model(bytes(1, string(4, 'x'.repeat(1025))))],
    ['it has no graph', join(int(1, 8), bytes(8, string(1, '')))],
    ['it is empty', new Uint8Array()],
  ])('%s', (message, file) => {
    expect(refused(file)).toContain(message)
  })

  it('a file that is cut short, wherever', () => {
    for (const [name, make] of Object.entries(MODELS)) {
      const file = make()
      // What ends with fields that a model may lack can lose them unseen.
      if (name.includes('function') || name.includes('unknown')) continue
      for (let length = 0; length < file.length; length += length < 60 || file.length - length < 60 ? 1 : 509) {
        const message = refused(file.subarray(0, length))
        expect(message === 'nothing is refused' ? file.subarray(0, length) : undefined).toBeUndefined()
      }
    }
  })

  it('and says the same when it is asked again', () => {
    const scanner = createTensorScanner('m.onnx')
    const again = Array.from({ length: 3 }, () => {
      try {
        scanner?.push(new Uint8Array(3))
      } catch (error) {
        return error
      }
      return undefined
    })
    expect(again[0]).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining('at byte 0') })
    expect(again[1]).toBe(again[0])
    expect(() => scanner?.end()).toThrowError('at byte 0')
  })
})

describe('keeps to its limits', () => {
  it('of names', () => {
    const named = bytes(5, int(1, 0), int(2, FLOAT), string(8, 'x'.repeat(65_000)))
    const many = join(...Array<Uint8Array>(1100).fill(named))
    expect(() => scan('m.onnx', model(many))).toThrowError(
      'the names and shapes of its tensors are over 67108864 bytes',
    )
  })

  it('of names that are made of two, for many tensors', () => {
    const list = bytes(
      5,
      string(1, 'x'.repeat(30_000)),
      ...Array<Uint8Array>(3000).fill(bytes(10, int(1, 0), int(2, 1))),
    )
    expect(refusedWhole(model(bytes(1, string(2, 'y'.repeat(30_000)), list)))).toContain('over 67108864 bytes')
    const long = bytes(5, string(1, 'x'.repeat(60_000)), bytes(5, int(1, 0), int(2, 1)))
    expect(refusedWhole(model(bytes(1, string(2, 'y'.repeat(60_000)), long)))).toContain("a tensor's name")
  })

  it('of operators', () => {
    const many = join(...Array.from({ length: 4097 }, (_, index) => node(`Op${index}`, [], [])))
    expect(refusedWhole(model(many))).toContain('it has over 4096 different operators')
  })
})

function refusedWhole(file: Uint8Array): string {
  try {
    scan('m.onnx', file)
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  return 'nothing is refused'
}
