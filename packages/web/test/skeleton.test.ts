import { expect, it } from 'vitest'

import { bytesField, join, textField, varint } from '../src/protobuf-fields.ts'
import { createSkeleton, type RangeReader } from '../src/skeleton.ts'

const field = (number: number, value: number): Uint8Array => join([varint(number << 3), varint(value)])

const tensor = (name: string, type: number, byteLength: number): Uint8Array =>
  bytesField(5, join([field(2, type), textField(8, name), bytesField(9, new Uint8Array(byteLength).fill(7))]))

const model = join([
  field(1, 8),
  bytesField(7, join([textField(2, 'g'), tensor('w', 1, 500_000), tensor('small', 1, 100), tensor('shape', 7, 2000)])),
  bytesField(8, field(2, 17)),
])

function reader(bytes: Uint8Array): RangeReader & { most: number; sum: number } {
  const counting = {
    size: bytes.length,
    most: 0,
    sum: 0,
    async read(offset: number, length: number) {
      counting.most = Math.max(counting.most, length)
      counting.sum += length
      return bytes.slice(offset, offset + length)
    },
  }
  return counting
}

it('points into the model, and leaves what is small or may be a shape', async () => {
  const { bytes, externalised } = await createSkeleton(reader(model), { location: 'model.onnx' })
  expect(externalised.length).toBe(1)
  const text = new TextDecoder('latin1').decode(bytes)
  const [, offset = '', length = ''] = /offset[^\d]+(\d+).*length[^\d]+(\d+)/s.exec(text) ?? []
  expect(length).toBe('500000')
  expect(model.subarray(Number(offset), Number(offset) + 500_000).every((byte) => byte === 7)).toBe(true)
  expect(bytes.length).toBeLessThan(2500)
})

it('refuses what is no model, however it is broken', async () => {
  const overlong = Uint8Array.of(0x3a, ...Array.from({ length: 9 }, () => 0xff), 1)
  for (const broken of [overlong, Uint8Array.of(0x3a), Uint8Array.of(0x3b, 1), model.subarray(0, 400_000)]) {
    await expect(createSkeleton(reader(broken), { location: 'm' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

it('reads in windows, and not the weights', async () => {
  const large = join([field(1, 8), bytesField(7, join([tensor('a', 1, 4_000_000), tensor('b', 1, 4_000_000)]))])
  const counted = reader(large)
  expect((await createSkeleton(counted, { location: 'm' })).externalised.length).toBe(2)
  expect(counted.most).toBeLessThanOrEqual(256 * 1024)
  expect(counted.sum).toBeLessThan(1_500_000)
})
