import { expect, it } from 'vitest'

import { transferable } from '../src/worker/transferable.ts'

it('gives away the memory that an answer alone has, and copies what lies in a heap', () => {
  const heap = new WebAssembly.Memory({ initial: 1 })
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(4)
  const answer = {
    output: { own: new Float32Array([1, 2, 3]), inHeap: new Float32Array(heap.buffer, 8, 3).fill(5), shared },
    blocks: [{ cid: 'bafy', bytes: new Uint8Array([6, 7]) }],
    text: 'words',
    nothing: null,
  }
  // The same memory twice, as two views of it.
  const message = { ...answer, again: new Uint8Array(answer.output.own.buffer) }
  const given = transferable(message)
  expect(given.map(({ byteLength }) => byteLength)).toEqual([12, 2])
  const expected = structuredClone(message)
  expect(structuredClone(message, { transfer: given })).toEqual(expected)
  expect(answer.output.own).toHaveLength(0)
  expect(answer.blocks[0]?.bytes).toHaveLength(0)
  expect(answer.output.inHeap).toEqual(new Float32Array([5, 5, 5]))
})
