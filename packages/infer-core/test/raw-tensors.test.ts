import { expect, it } from 'vitest'

import {
  decodeInput,
  decodeOutput,
  encodeInput,
  encodeOutput,
  isOutputOf,
  isRawTensor,
  RAW_TENSORS,
  toFeeds,
  toOutputNames,
  type GraphValue,
  type RawTensors,
} from '../src/index.ts'

const TENSORS: RawTensors = {
  // A NaN with a payload, and -0.
  float: { type: 'float32', dims: [2], data: new Float32Array(Uint32Array.of(0x7f_c0_00_2a, 0x80_00_00_00).buffer) },
  half: { type: 'float16', dims: [1, 1], data: Uint16Array.of(0x7e_01) },
  long: { type: 'int64', dims: [], data: BigInt64Array.of(-(2n ** 63n)) },
  unsigned: { type: 'uint64', dims: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  is: { type: 'bool', dims: [2], data: Uint8Array.of(0, 1) },
  words: { type: 'string', dims: [1, 2], data: ['', 'é𝄞'] },
  none: { type: 'int8', dims: [0, 3], data: new Int8Array() },
}

/** `toEqual` does not tell one NaN from another. */
const bitsOf = (tensors: RawTensors): unknown[] =>
  Object.entries(tensors)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { type, dims, data }]) => {
      const bytes = ArrayBuffer.isView(data) ? [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] : data
      return [name, type, dims, bytes]
    })

it('keeps every bit of tensors on their way through their blocks', async () => {
  const { bytes } = await encodeInput({ kind: 'tensors', tensors: TENSORS })
  const input = decodeInput(bytes)
  expect(input.kind === 'tensors' && bitsOf(input.tensors)).toEqual(bitsOf(TENSORS))
  const output = decodeOutput((await encodeOutput(TENSORS)).bytes)
  expect(isOutputOf(RAW_TENSORS, output) && bitsOf(output)).toEqual(bitsOf(TENSORS))
  const other = { ...TENSORS, half: { type: 'float16', dims: [1, 1], data: Uint16Array.of(0x7e_02) } } as const
  expect((await encodeInput({ kind: 'tensors', tensors: other })).cid).not.toEqual(
    (await encodeInput({ kind: 'tensors', tensors: TENSORS })).cid,
  )
})

it('reads no tensors out of a block that has fewer bytes than they say', async () => {
  const tensors = { x: { type: 'bool', dims: [2], data: new Uint8Array(1) } } as const
  await expect(encodeInput({ kind: 'tensors', tensors })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  const { bytes } = await encodeOutput({ tensors: { x: { type: 'bool', dims: [1], data: Uint8Array.of(7) } } })
  expect(() => decodeInput(bytes)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
})

it.each([
  [{ type: 'float32', dims: [1], data: new Float64Array(1) }],
  [{ type: 'float32', dims: [2], data: new Float32Array(1) }],
  [{ type: 'float32', dims: [-1], data: new Float32Array(1) }],
  [{ type: 'float32', dims: [Number.NaN], data: new Float32Array(0) }],
  [{ type: 'float32', dims: [2 ** 30, 2 ** 30, 0], data: new Float32Array(0) }],
  [{ type: 'bool', dims: [1], data: Uint8Array.of(2) }],
  [{ type: 'string', dims: [1], data: ['\uD800'] }],
  [{ type: 'string', dims: [1], data: [1] }],
  [{ type: 'toString', dims: [1], data: [''] }],
  [{ type: 'float32', dims: [1] }],
  [undefined],
])('is no tensor: %j', (value) => {
  expect(isRawTensor(value)).toBe(false)
})

it('gives a graph a copy of what it takes, and names what it does not', () => {
  const inputs: GraphValue[] = [{ name: 'x', type: 'float32', shape: ['', 2] }]
  const data = Float32Array.of(1, 2)
  const feeds = toFeeds(inputs, { x: { type: 'float32', dims: [1, 2], data } })
  data.fill(0)
  expect(feeds).toEqual({ x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } })
  expect(() => toFeeds(inputs, { x: { type: 'float32', dims: [2], data } })).toThrow('"x" has dims [?, 2], not [2]')
  expect(() => toFeeds(inputs, undefined)).toThrow('an object of tensors by name (x)')
  expect(toOutputNames([...inputs, { name: 'y', type: 'bool', shape: [] }], ['y', 'x'])).toEqual(['x', 'y'])
  expect(() => toOutputNames(inputs, [])).toThrow('no output')
})
