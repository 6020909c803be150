import { array, assert, integer, nat, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { createDataHasher, type Tensor, type TensorTable } from '../src/index.ts'
import { digestOf, sha256 } from './support.ts'

const data = Uint8Array.from({ length: 200 }, (_, index) => index)
const at = (offset: number, length: number, file: string = 'm.onnx_data'): Tensor => ({
  name: `${offset}:${length}`,
  dtype: 'uint8',
  shape: [length],
  file,
  offset,
  length,
})
const tableOf = (...tensors: Tensor[]): TensorTable => ({ schema: 1, format: 'onnx', operators: ['Add'], tensors })

function hash(table: TensorTable, bytes: Uint8Array, size: number = bytes.length): TensorTable {
  const hasher = createDataHasher(table, 'm.onnx_data', { createSha256: sha256 })
  for (let start = 0; start < bytes.length; start += size) hasher.push(bytes.subarray(start, start + size))
  return hasher.end()
}

it('hashes tensors in any order, with gaps, shared and empty ones', () => {
  const inline: Tensor = { name: 'i', dtype: 'uint8', shape: [3], offset: 0, length: 3 }
  const table = tableOf(at(100, 50), inline, at(0, 10), at(0, 10), at(10, 0), at(10, 20), at(0, 5, 'other'), at(200, 0))
  const hashed = hash(table, data, 7)
  expect(hashed.tensors).toEqual(
    table.tensors.map((tensor) =>
      tensor.file === 'm.onnx_data'
        ? { ...tensor, sha256: digestOf(data.subarray(tensor.offset, tensor.offset + tensor.length)) }
        : tensor,
    ),
  )
  expect(hashed.operators).toEqual(['Add'])
  expect(table.tensors.some((tensor) => 'sha256' in tensor)).toBe(false)
})

it('leaves out what begins inside another', () => {
  const [first, second, third] = hash(tableOf(at(0, 100), at(50, 100), at(100, 10)), data).tensors
  expect([first?.sha256, second?.sha256, third?.sha256]).toEqual([
    digestOf(data.subarray(0, 100)),
    undefined,
    digestOf(data.subarray(100, 110)),
  ])
})

it('gives right digests or none, and hashes no byte twice', () => {
  assert(
    property(array(tuple(nat(199), nat(60)), { maxLength: 12 }), integer({ min: 1, max: 50 }), (places, size) => {
      const tensors = places.map(([offset, length]) => at(offset, Math.min(length, 200 - offset)))
      let hashedBytes = 0
      const hasher = createDataHasher(tableOf(...tensors), 'm.onnx_data', {
        createSha256: () => {
          const inner = sha256()
          return {
            update: (piece) => {
              hashedBytes += piece.length
              inner.update(piece)
            },
            digest: () => inner.digest(),
          }
        },
      })
      for (let start = 0; start < data.length; start += size) hasher.push(data.subarray(start, start + size))
      const hashed = hasher.end().tensors
      expect(hashedBytes).toBeLessThanOrEqual(data.length)
      const right = hashed.map(({ offset, length, sha256: found }) => {
        return found && digestOf(data.subarray(offset, offset + length))
      })
      expect(hashed.map(({ sha256: found }) => found)).toEqual(right)
      // The first of those that begin first has one.
      expect(hashed.length === 0 || hashed.some(({ sha256: found }) => found !== undefined)).toBe(true)
    }),
  )
})

describe('refuses', () => {
  it.each([0, 60, 149])('a file of %i bytes that lacks some of a tensor', (length) => {
    expect(() => hash(tableOf(at(0, 20), at(100, 50)), data.subarray(0, length))).toThrowError(
      expect.objectContaining({ code: 'INVALID_INPUT', input: 'm.onnx_data' }),
    )
  })

  it('a file that ends inside what gets no digest', () => {
    expect(() => hash(tableOf(at(0, 100), at(50, 1000)), data)).toThrowError('tensor "50:1000" lies at 50 to 1050')
  })
})
