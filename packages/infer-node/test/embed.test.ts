import * as transformers from '@huggingface/transformers'
import { describe, expect, it } from 'vitest'

import { embed } from '../src/embed.ts'

const { Tensor } = transformers
const WIDTH = 33

/** Numbers of many sizes, so that the order in which they are added up shows in the last bits. */
const states = (rows: number, tokens: number): transformers.Tensor =>
  new Tensor(
    'float32',
    Float32Array.from({ length: rows * tokens * WIDTH }, (_, at) => Math.sin(at * 12.9898) * 10 ** ((at * 7) % 5)),
    [rows, tokens, WIDTH],
  )

/** A pipeline of the library, but for the graph: it gives these states. */
function encoderOf(hidden: transformers.Tensor, mask: readonly (readonly number[])[]): Parameters<typeof embed>[1] {
  const attention_mask = new Tensor('int64', BigInt64Array.from(mask.flat(), BigInt), [
    mask.length,
    mask[0]?.length ?? 0,
  ])
  const parts = { tokenizer: () => ({ attention_mask }), model: async () => ({ last_hidden_state: hidden }) }
  return Reflect.construct(transformers.FeatureExtractionPipeline, [{ task: 'feature-extraction', ...parts }])
}

const MASKS: [string, number[][]][] = [
  ['one row', [[1, 1, 1, 1, 1, 1, 1]]],
  [
    'rows with padding',
    [
      [1, 1, 1, 1, 1, 1, 1],
      [1, 1, 1, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0, 0],
    ],
  ],
]

describe.each(MASKS)('the vectors of %s are those of the library, bit for bit', (_what, mask) => {
  it.each(
    ['mean', 'cls', 'last_token', 'none'].flatMap((pooling) => [true, false].map((to) => [pooling, to] as const)),
  )('pooled by %s, normalised %s', async (pooling, normalize) => {
    const pipeline = encoderOf(states(mask.length, 7), mask)
    const expected = await pipeline('', { pooling, normalize })
    const { type, dims, data } = await embed(transformers, pipeline, 'a text', { pooling, normalize })
    expect({ type, dims, data }).toEqual({ type: expected.type, dims: expected.dims, data: expected.data })
  })
})

it('leaves states of another type to the library', async () => {
  const hidden = new Tensor('float64', Float64Array.of(1, 2, 3, 4), [1, 2, 2])
  const pipeline = encoderOf(hidden, [[1, 1]])
  const { type, data } = await embed(transformers, pipeline, 'a text', { pooling: 'mean', normalize: false })
  expect([type, data]).toEqual(['float64', Float64Array.of(2, 3)])
})
