import { expect, it } from 'vitest'

import { readModels } from '../src/state/read-served.ts'
import { parseRoute } from '../src/state/route.ts'
import { runnableTask } from '../src/state/runnable.ts'
import { rank, textsIn } from '../src/state/search.ts'

const of = (task: string | undefined, architecture: string, dtypes: string[] = ['q8']): string | undefined =>
  runnableTask({ task, architecture, dtypes })

it('runs a model for what its card says, else for what its architecture is for', () => {
  expect(of('sentence-similarity', 'BertModel')).toBe('feature-extraction')
  expect(of('text-generation', 'BertForSequenceClassification')).toBe('text-generation')
  expect(of(undefined, 'BertForSequenceClassification')).toBe('text-classification')
  expect(of(undefined, 'Qwen3ForCausalLM')).toBe('text-generation')
  expect(of(undefined, 'ViTForImageClassification')).toBe('image-classification')
  expect(of(undefined, 'WhisperForConditionalGeneration')).toBe('automatic-speech-recognition')
  expect(of('depth-estimation', 'DPTForDepthEstimation')).toBeUndefined()
  // Weights that are no graph.
  expect(of('feature-extraction', 'BertModel', ['F32', 'Q4_K'])).toBeUndefined()
})

it('takes a text for each line, or for each paragraph', () => {
  expect(textsIn(' one \n\n')).toEqual(['one'])
  expect(textsIn('one\ntwo\r\nthree')).toEqual(['one', 'two', 'three'])
  expect(textsIn('one\nand more\n \ntwo')).toEqual(['one and more', 'two'])
  expect(textsIn(' \n ')).toEqual([])
})

it('ranks by angle, whatever the lengths', () => {
  const ranked = rank(
    ['across', 'along', 'nothing', 'against'],
    [
      [0, 5],
      [9, 0],
      [0, 0],
      [-1, 0],
    ],
    [2, 0],
  )
  expect(ranked).toEqual([
    { text: 'along', score: 1 },
    { text: 'across', score: 0 },
    { text: 'nothing', score: 0 },
    { text: 'against', score: -1 },
  ])
})

it('reads a list of models, and passes those over that have no CID', () => {
  const cid = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
  const data = [
    { id: 'org/name', cid, tasks: ['feature-extraction', 3] },
    { id: 'gpt' },
    { id: 'org/other', cid: 'not-a-cid' },
  ]
  expect(readModels({ object: 'list', data })).toEqual([{ name: 'org/name', cid, tasks: ['feature-extraction'] }])
  for (const answer of [undefined, {}, [], '<html>']) expect(() => readModels(answer)).toThrow(TypeError)
})

it('shows the first screen for what is none', () => {
  expect(parseRoute('#/run/bafy%2Fx')).toEqual({ screen: 'run', subject: 'bafy/x' })
  expect(parseRoute('#/run/%')).toEqual({ screen: 'run', subject: undefined })
  for (const hash of ['', '#', '#/', '#/nothing', '#models'])
    expect(parseRoute(hash)).toEqual({ screen: 'models', subject: undefined })
})
