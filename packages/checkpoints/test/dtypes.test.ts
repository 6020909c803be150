import { isTensor } from '@x/infer-core'
import { array, assert, constantFrom, integer, property, uint16Array } from 'fast-check'
import { Tensor } from 'onnxruntime-node'
import { expect, it } from 'vitest'

import { toHostOrder } from '../src/host-order.ts'
import { openCheckpoint, toFloat32, toSessionTensor, type CheckpointTensor } from '../src/index.ts'
import { bytesOf, collect, filesSource, openMemory, safetensors, varied, type Given } from './support.ts'

/** By their names in files: name in tables, array, bits of an element. */
const DTYPES = {
  F64: ['float64', Float64Array, 64],
  F32: ['float32', Float32Array, 32],
  F16: ['float16', Uint16Array, 16],
  BF16: ['bfloat16', Uint16Array, 16],
  I64: ['int64', BigInt64Array, 64],
  I32: ['int32', Int32Array, 32],
  I16: ['int16', Int16Array, 16],
  I8: ['int8', Int8Array, 8],
  U64: ['uint64', BigUint64Array, 64],
  U32: ['uint32', Uint32Array, 32],
  U16: ['uint16', Uint16Array, 16],
  U8: ['uint8', Uint8Array, 8],
  BOOL: ['bool', Uint8Array, 8],
  F8_E4M3: ['float8e4m3fn', Uint8Array, 8],
  F8_E5M2: ['float8e5m2', Uint8Array, 8],
  F8_E4M3FNUZ: ['float8e4m3fnuz', Uint8Array, 8],
  F8_E5M2FNUZ: ['float8e5m2fnuz', Uint8Array, 8],
  F8_E8M0: ['float8e8m0', Uint8Array, 8],
  F4: ['float4e2m1', Uint8Array, 4],
  F6_E2M3: ['float6e2m3', Uint8Array, 6],
  F6_E3M2: ['float6e3m2', Uint8Array, 6],
  C64: ['complex64', Float32Array, 64],
} as const
const ELEMENTS = 24
/** Types that sessions do not take from JavaScript. */
const NO_SESSION = 'BF16 F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ F8_E8M0 F4 F6_E2M3 F6_E3M2 C64'.split(' ')

async function tensorsOf(given: Readonly<Record<string, Given>>, pad = 0): Promise<CheckpointTensor[]> {
  const store = await openMemory()
  const { cid } = await store.add(filesSource({ 'm.safetensors': safetensors(given, pad) }))
  return collect((await openCheckpoint(store, cid)).tensors())
}

it.each([0, 1, 3])('every type comes in its array, wherever it lies (%i blanks before it)', async (pad) => {
  const given = Object.fromEntries(
    Object.entries(DTYPES).map(([dtype, [, , bits]], at) => [
      dtype,
      { dtype, shape: [ELEMENTS / 2, 2], bytes: varied((ELEMENTS * bits) / 8, at + 1) },
    ]),
  )
  const tensors = await tensorsOf({ odd: { dtype: 'U8', shape: [1], bytes: varied(1) }, ...given }, pad)
  const rest = tensors.slice(1)
  expect(rest.map(({ name, dtype }) => [name, dtype])).toEqual(
    Object.entries(DTYPES).map(([name, [own]]) => [name, own]),
  )
  for (const [at, [name, [, Kind]]] of Object.entries(DTYPES).entries()) {
    const tensor = rest[at]
    expect(tensor?.data).toBeInstanceOf(Kind)
    expect([name, tensor && Buffer.from(bytesOf(tensor)).toString('hex')]).toEqual([
      name,
      Buffer.from(given[name]?.bytes ?? []).toString('hex'),
    ])
  }
})

it('numbers are those that were written', async () => {
  const view = new DataView(new ArrayBuffer(24))
  view.setFloat64(0, -1.5e300, true)
  view.setBigInt64(8, -(2n ** 60n), true)
  view.setFloat32(16, 0.1, true)
  view.setInt16(20, -2, true)
  const bytes = new Uint8Array(view.buffer)
  const [double, long, single, short] = await tensorsOf({
    double: { dtype: 'F64', shape: [], bytes: bytes.subarray(0, 8) },
    long: { dtype: 'I64', shape: [], bytes: bytes.subarray(8, 16) },
    single: { dtype: 'F32', shape: [], bytes: bytes.subarray(16, 20) },
    short: { dtype: 'I16', shape: [], bytes: bytes.subarray(20, 22) },
  })
  expect([double, long, single, short].map((tensor) => tensor?.data[0])).toEqual([
    -1.5e300,
    -(2n ** 60n),
    Math.fround(0.1),
    -2,
  ])
})

it('turns items round where the host has another order', () => {
  assert(
    property(constantFrom(1, 2, 4, 8), array(integer({ min: 0, max: 255 }), { maxLength: 5 }), (width, values) => {
      const items = values.map((value) => Array.from({ length: width }, (_, at) => (value + at) % 256))
      const bytes = Uint8Array.from(items.flat())
      toHostOrder(bytes, width, false)
      expect([...bytes]).toEqual(items.flatMap((item) => item.toReversed()))
      toHostOrder(bytes, width, true)
      expect([...bytes]).toEqual(items.flatMap((item) => item.toReversed()))
    }),
  )
})

it('widens every float16 to its number', () => {
  const data = Uint16Array.from({ length: 65_536 }, (_, bits) => bits)
  const wide = toFloat32({ dtype: 'float16', data })
  const wrong = [...data].filter((bits) => {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023]
    const size =
      exponent === 31
        ? fraction === 0
          ? Infinity
          : Number.NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1024 + fraction) * 2 ** (exponent - 25)
    return !Object.is(wide[bits], bits >= 0x8000 ? -size : size)
  })
  expect(wrong).toEqual([])
})

it('widens a bfloat16 to the upper half of a float32, and keeps a float32', () => {
  assert(
    property(uint16Array(), (data) => {
      const wide = new Uint32Array(toFloat32({ dtype: 'bfloat16', data }).buffer)
      expect([...wide]).toEqual(Array.from(data, (bits) => bits * 65_536))
    }),
  )
  const data = Float32Array.of(1, 2)
  expect(toFloat32({ dtype: 'float32', data })).toBe(data)
})

it('goes into a session, where that has such a type', async () => {
  const given = Object.fromEntries(
    Object.entries(DTYPES).map(([dtype, [, , bits]], at) => [
      dtype,
      { dtype, shape: [2, ELEMENTS / 2], bytes: varied((ELEMENTS * bits) / 8, at + 1) },
    ]),
  )
  const tensors = await tensorsOf(given)
  const isFed = ({ name }: CheckpointTensor): boolean => !NO_SESSION.includes(name)
  for (const tensor of tensors.filter((each) => isFed(each))) {
    const fed = toSessionTensor(tensor)
    expect(isTensor(fed)).toBe(true)
    expect(fed.data).toBe(tensor.data)
    expect(new Tensor(fed.type, fed.data, fed.dims)).toMatchObject({ type: tensor.dtype, size: ELEMENTS })
  }
  const refused = tensors.filter((each) => !isFed(each))
  expect(refused).toHaveLength(NO_SESSION.length)
  for (const tensor of refused) expect(() => toSessionTensor(tensor)).toThrowError(`no session takes ${tensor.dtype}`)
})
