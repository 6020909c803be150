import { expect, it } from 'vitest'

import { createTensorScanner } from '../src/index.ts'
import { FLOAT, model } from './onnx.ts'
import { bytes, int } from './protobuf.ts'
import { safetensors } from './safetensors.ts'

const MIB = 2 ** 20

it('refuses a million tensors of an ONNX file before they take 512 MiB', () => {
  // A tensor without elements takes 6 bytes of file.
  const small = bytes(5, int(1, 0), int(2, FLOAT))
  const many = new Uint8Array(1_000_000 * small.length)
  for (let at = 0; at < many.length; at += small.length) many.set(small, at)
  const file = model(many)
  const before = process.memoryUsage().rss
  const scanner = createTensorScanner('m.onnx')
  expect(() => scanner?.push(file)).toThrowError('m.onnx is not a whole ONNX file: it has over 262144 tensors')
  expect(process.memoryUsage().rss - before).toBeLessThan(512 * MIB)
})

it('refuses a million tensors of a safetensors header', () => {
  const entries = Array.from(
    { length: 1_000_000 },
    (_, index) => `"${index}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
  )
  const scanner = createTensorScanner('m.safetensors')
  const file = safetensors(`{${entries.join(',')}}`, new Uint8Array())
  expect(() => scanner?.push(file)).toThrowError('it has over 262144 tensors')
})

it('passes over a file of a million nodes in the memory of a few', () => {
  const node = bytes(1, bytes(2, Uint8Array.of(121)), bytes(4, Uint8Array.of(65, 100, 100)))
  const piece = new Uint8Array(100_000 * node.length)
  for (let at = 0; at < piece.length; at += node.length) piece.set(node, at)
  const scanner = createTensorScanner('m.onnx')
  const length = 10 * piece.length
  const head = Uint8Array.of(
    0x08,
    2,
    0x3a,
    ...[0, 7, 14, 21].map((bits) => ((length >> bits) & 0x7f) | 0x80),
    length >> 28,
  )
  scanner?.push(head)
  const before = process.memoryUsage().rss
  for (let round = 0; round < 10; round++) scanner?.push(piece)
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * MIB)
  expect(scanner?.end().table.operators).toEqual(['Add'])
})
