import { describe, expect, it } from 'vitest'

import { createTensorScanner, readGgufMetadata } from '../src/index.ts'
import { gguf, ggufText, info, key, u32, u64, type GgufParts } from './gguf.ts'
import { join } from './protobuf.ts'
import { digestOf, refusalOf, scan } from './support.ts'

const data = Uint8Array.from({ length: 128 }, (_, index) => index)
const w = info({ name: 'w', dims: [3, 2], type: 0, offset: 0 })
const refused = (parts: GgufParts): string =>
  refusalOf('m.gguf', gguf(parts)).replace('m.gguf is not a whole GGUF file: ', '')

it.each([2, 3])('lists the tensors of version %i, outermost dimension first', (version) => {
  const file = gguf({
    version,
    keys: [key('general.architecture', 8, ggufText('llama')), key('general.alignment', 4, u32(64))],
    infos: [w, info({ name: 'q', dims: [64, 1], type: 8, offset: 64 })],
    alignment: 64,
    data: data.subarray(0, 64 + 68),
  })
  const whole = join(file, new Uint8Array(4))
  const start = file.length - 128
  const { table, metadata } = scan('m.gguf', whole, 5)
  expect(table).toEqual({
    schema: 1,
    format: 'gguf',
    tensors: [
      { name: 'w', dtype: 'float32', shape: [2, 3], offset: start, length: 24, sha256: digestOf(data.subarray(0, 24)) },
      {
        name: 'q',
        dtype: 'Q8_0',
        shape: [1, 64],
        offset: start + 64,
        length: 68,
        sha256: digestOf(whole.subarray(start + 64, start + 132)),
      },
    ],
  })
  expect(Object.fromEntries(metadata)).toEqual({ 'general.architecture': 'llama', 'general.alignment': 64 })
})

it('takes a file without tensors, with lists among its keys, and scalars', () => {
  const keys = [
    key('texts', 9, u32(8), u64(2), ggufText('a'), ggufText('')),
    key('numbers', 9, u32(12), u64(3), new Uint8Array(24)),
    key('none', 9, u32(0), u64(0)),
    key('u8', 0, Uint8Array.of(200)),
    key('i16', 3, Uint8Array.of(0xfe, 0xff)),
    key('f32', 6, Uint8Array.of(0, 0, 0x80, 0x3f)),
    key('bool', 7, Uint8Array.of(1)),
    key('i64', 11, u64(2n ** 64n - 1n)),
  ]
  const { table, metadata } = scan('m.gguf', gguf({ keys }), 1)
  expect(table.tensors).toEqual([])
  expect(Object.fromEntries(metadata)).toEqual({ u8: 200, i16: -2, f32: 1, bool: true, i64: -1 })
})

describe('metadata alone', () => {
  const keys = [key('general.architecture', 8, ggufText('llama')), key('list', 9, u32(8), u64(1), ggufText('a'))]
  const file = gguf({ keys, infos: [w], data: data.subarray(0, 24) })

  it('is read without the rest of the file', async () => {
    let asked = 0
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const byte of file) {
        asked += 1
        yield Uint8Array.of(byte)
      }
    }
    expect(Object.fromEntries(await readGgufMetadata(pieces(), 'm.gguf'))).toEqual({ 'general.architecture': 'llama' })
    expect(asked).toBe(gguf({ keys, counts: [1, 2] }).length)
  })

  it('is refused where the file ends inside it', async () => {
    const cut = new Blob([file.slice(0, 40)]).stream()
    await expect(readGgufMetadata(cut, 'm.gguf')).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })
})

it('does not look behind the last tensor, which may end without padding', () => {
  const file = gguf({ infos: [w], data: data.subarray(0, 24) })
  expect(scan('m.gguf', join(file, data)).table).toEqual(scan('m.gguf', file).table)
})

describe('refuses', () => {
  it.each<[string, GgufParts]>([
    ['it is big-endian', { version: 3 << 24 }],
    ['it is of version 1, not 2 or 3', { version: 1 }],
    ['it is of version 4, not 2 or 3', { version: 4 }],
    ['it is of version 0, not 2 or 3', { version: 0 }],
    ['it claims 9223372036854775808 tensors, over 262144', { counts: [2n ** 63n, 0] }],
    ['it claims 1000000 tensors, over 262144', { counts: [1_000_000, 0] }],
    ['it claims 9223372036854775808 keys, over 65536', { counts: [0, 2n ** 63n] }],
    ['a key at byte 24 claims 9223372036854775808 bytes, over 65535', { keys: [u64(2n ** 63n)] }],
    ['it ends at byte 34, inside a key', { keys: [join(u64(5), Uint8Array.of(65, 65))] }],
    ['a key at byte 24 is not UTF-8', { keys: [join(u64(1), Uint8Array.of(0xff), u32(0))] }],
    ['the key at byte 24 is empty', { keys: [key('', 0)] }],
    ['there is a second key "a", at byte 38', { keys: [key('a', 0, Uint8Array.of(1)), key('a', 0, Uint8Array.of(1))] }],
    ['the value of "a" is of type 13, which GGUF has not', { keys: [key('a', 13)] }],
    ['the value of "a" is a list of type 9, which GGUF has not', { keys: [key('a', 9, u32(9), u64(1))] }],
    ['the value of "a" is a list of type 4294967295', { keys: [key('a', 9, u32(2 ** 32 - 1), u64(1))] }],
    ['the value of "a" claims 36893488147419103228 bytes', { keys: [key('a', 9, u32(4), u64(2n ** 63n - 1n))] }],
    ['the value of "a" claims 9223372036854775808 bytes', { keys: [key('a', 9, u32(8), u64(1), u64(2n ** 63n))] }],
    ['it ends at byte 49, inside the value of "a"', { keys: [key('a', 9, u32(8), u64(2n ** 63n))] }],
    ['the value of "a" at byte 37 claims 16777217 bytes, over 16777216', { keys: [key('a', 8, u64(2 ** 24 + 1))] }],
    ['general.alignment is of type 5, not 4', { keys: [key('general.alignment', 5, u32(32))] }],
    ['general.alignment is 0, no power of two', { keys: [key('general.alignment', 4, u32(0))] }],
    ['general.alignment is 48, no power of two', { keys: [key('general.alignment', 4, u32(48))] }],
    ['the name of tensor 0 at byte 24 claims 4294967296 bytes', { infos: [u64(2 ** 32)] }],
    [
      'tensor "w" has 9 dimensions, over 8',
      { infos: [info({ name: 'w', dims: Array<number>(9).fill(1), type: 0, offset: 0 })] },
    ],
    ['tensor "w" has 4294967295 dimensions, over 8', { infos: [join(ggufText('w'), u32(2 ** 32 - 1))] }],
    [
      'tensor "w" has a dimension of 9223372036854775808',
      { infos: [info({ name: 'w', dims: [2n ** 63n], type: 0, offset: 0 })] },
    ],
    [
      'tensor "w" has a shape with over 2^53 elements',
      { infos: [info({ name: 'w', dims: [2 ** 30, 2 ** 30], type: 0, offset: 0 })] },
    ],
    ['tensor "w" is over 2^53 bytes', { infos: [info({ name: 'w', dims: [2 ** 52], type: 0, offset: 0 })] }],
    ['tensor "w" has type 4, which is not known', { infos: [info({ name: 'w', dims: [32], type: 4, offset: 0 })] }],
    [
      'tensor "w" of Q4_0 has rows of 33 elements, no multiple of 32',
      { infos: [info({ name: 'w', dims: [33], type: 2, offset: 0 })] },
    ],
    [
      'tensor "w" of Q4_K has rows of 1 elements, no multiple of 256',
      { infos: [info({ name: 'w', dims: [], type: 12, offset: 0 })] },
    ],
    ['there is a second tensor "w"', { infos: [w, w] }],
    [
      'tensor "w" begins at byte 32 of the data, not 0',
      { infos: [info({ name: 'w', dims: [1], type: 0, offset: 32 })] },
    ],
    [
      'tensor "v" begins at byte 24 of the data, not 32',
      { infos: [w, info({ name: 'v', dims: [1], type: 0, offset: 24 })] },
    ],
    [
      'tensor "v" begins at byte 18446744073709551615 of the data, not 32',
      { infos: [w, info({ name: 'v', dims: [1], type: 0, offset: 2n ** 64n - 1n })] },
    ],
    ['inside tensor "w"', { infos: [w], data: data.subarray(0, 23) }],
    ['inside the padding before a tensor', { infos: [w] }],
  ])('%s', (message, parts) => {
    expect(refused(parts)).toContain(message)
  })

  it.each([
    ['it does not begin with GGUF', 'GGML'],
    ['inside its first bytes', 'GGU'],
    ['inside its version', 'GGUF'],
  ])('%s', (message, start) => {
    expect(refusalOf('m.gguf', new TextEncoder().encode(start))).toContain(message)
  })

  it('a file that is cut short, wherever', () => {
    const file = gguf({ keys: [key('a', 8, ggufText('b'))], infos: [w], data: data.subarray(0, 24) })
    for (let length = 0; length < file.length; length++) {
      expect(refusalOf('m.gguf', file.subarray(0, length))).toContain(`it ends at byte ${length}, inside `)
    }
  })

  it('keys and texts that are too long to keep', () => {
    const keys = Array.from({ length: 300 }, (_, index) => key(`${index}${'x'.repeat(60_000)}`, 0, Uint8Array.of(1)))
    expect(() => scan('m.gguf', gguf({ keys }))).toThrowError('its keys and texts are over 16777216 characters long')
  })

  it('more names than a table takes', () => {
    const infos = Array.from({ length: 1100 }, (_, index) =>
      info({ name: `${index}${'x'.repeat(65_000)}`, dims: [0], type: 0, offset: 0 }),
    )
    expect(() => scan('m.gguf', gguf({ infos }))).toThrowError('the names and shapes of its tensors are over 67108864')
  })
})

it('is chosen by the name of a file', () => {
  const names = ['m.onnx', 'onnx/M.ONNX', 'm.safetensors', 'm.gguf', 'm.onnx_data', 'm.onnx.data', 'm.bin', 'onnx', '']
  expect(names.filter((name) => createTensorScanner(name) !== undefined)).toEqual(names.slice(0, 4))
  expect(() => createTensorScanner('a/m.gguf', { label: 'org/name: a/m.gguf' })?.end()).toThrowError(
    'org/name: a/m.gguf is not a whole GGUF file',
  )
})
