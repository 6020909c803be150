import { expect, it } from 'vitest'

import { compareOutputs, type OutputValue, type Tensor } from '../src/index.ts'

const tensor = (...data: number[]): Tensor => ({ type: 'float32', dims: [data.length], data: Float32Array.from(data) })

it('finds nothing in equal outputs', () => {
  const equal: OutputValue[] = [
    [{ label: 'a', score: 0.5 }],
    { text: 'x', chunks: [{ timestamp: [0, null] }] },
    tensor(1, Number.NaN, Infinity),
    'text',
    null,
  ]
  for (const output of equal) {
    expect(compareOutputs(output, structuredClone(output))).toMatchObject({ differing: 0, otherCount: 0, others: [] })
  }
})

it('says by how much numbers differ, and where', () => {
  expect(compareOutputs(tensor(1, 2, 3), tensor(1, 2.5, 3.25))).toEqual({
    numbers: 3,
    differing: 2,
    largest: 0.5,
    at: '[1]',
    others: [],
    otherCount: 0,
  })
  const found = compareOutputs([{ label: 'a', score: 0.5 }], [{ label: 'b', score: 0.25 }])
  expect(found).toMatchObject({ differing: 1, largest: 0.25, at: '[0].score', others: ['[0].label: "b", not "a"'] })
})

const half = (...bits: number[]): Tensor => ({ type: 'float16', dims: [bits.length], data: Uint16Array.from(bits) })

it('reads the bits of half floats', () => {
  // 1 and 1.5, -2 and 2, the least above 0 and 0.
  const found = compareOutputs(half(0x3c00, 0xc000, 0x0001), half(0x3e00, 0x4000, 0x0000))
  expect(found).toMatchObject({ differing: 3, largest: 4, at: '[1]' })
  expect(compareOutputs(half(0x0001), half(0x0000)).largest).toBe(2 ** -24)
})

it.each<[string, OutputValue, OutputValue]>([
  ['a type', tensor(1), { type: 'float64', dims: [1], data: Float64Array.of(1) }],
  ['dims', tensor(1, 2), { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) }],
  ['a length', [1, 2], [1]],
  ['a field', { a: 1 }, { a: 1, b: 2 }],
  ['a kind', [1], { 0: 1 }],
  ['null', null, {}],
  ['NaN', tensor(Number.NaN), tensor(1)],
  ['an infinity', tensor(Infinity), tensor(-Infinity)],
])('%s that differs is no number that does', (_what, one, other) => {
  for (const found of [compareOutputs(one, other), compareOutputs(other, one)]) {
    expect(found).toMatchObject({ differing: 0, otherCount: 1 })
  }
})

it('names ten places, and counts the others', () => {
  const [one, other] = ['a', 'b'].map((text) => Array.from({ length: 25 }, () => text))
  const found = compareOutputs(one, other)
  expect(found.others).toHaveLength(10)
  expect(found.otherCount).toBe(25)
})

it('takes no name for one that objects have by themselves', () => {
  const [forged, given] = [{ score: 1, constructor: 'x', toString: 2 }, { score: 1 }]
  const others = ['constructor: nothing, not "x"', 'toString: nothing, not 2']
  expect(compareOutputs([forged], [given])).toMatchObject({ differing: 0, others: others.map((each) => `[0].${each}`) })
  expect(compareOutputs(given, JSON.parse('{"score":1,"__proto__":3}'))).toMatchObject({
    others: ['__proto__: 3, not nothing'],
  })
})

const big = (value: bigint): Tensor => ({ type: 'int64', dims: [1], data: BigInt64Array.of(value) })

it('finds what differs by nothing that is counted: 0 from -0, and whole numbers beyond 2^53', () => {
  expect(compareOutputs(tensor(-0, 1), tensor(0, 1))).toMatchObject({ differing: 1, largest: 0, at: '[0]' })
  expect(compareOutputs(big(2n ** 53n), big(2n ** 53n + 1n))).toMatchObject({ numbers: 1, differing: 1, largest: 1 })
  expect(compareOutputs(big(-5n), big(-5n))).toMatchObject({ numbers: 1, differing: 0 })
})
