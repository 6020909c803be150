import { describe, expect, expectTypeOf, it } from 'vitest'

import {
  isOutputOf,
  TASK_ALIASES,
  TASKS,
  toTask,
  type OutputValue,
  type TaskInputKind,
  type TaskName,
  type TaskOutput,
  type Tensor,
} from '../src/index.ts'

it('finds a task by each of its names', () => {
  expect(toTask('rerank')).toBe('rerank')
  for (const [alias, name] of Object.entries(TASK_ALIASES)) expect(toTask(alias)).toBe(name)
  expect(() => toTask('toString')).toThrowError('unknown task "toString"')
})

// Checked by the compiler.
// eslint-disable-next-line vitest/expect-expect
it('says in its types what a task takes and gives', () => {
  expectTypeOf<TaskOutput<'question-answering'>>().toEqualTypeOf<{ answer: string; score: number }[]>()
  expectTypeOf<TaskOutput<'feature-extraction'>>().toEqualTypeOf<Tensor>()
  expectTypeOf<TaskOutput<'summarization'>>().toEqualTypeOf<{ summary_text: string }>()
  expectTypeOf<TaskOutput<'image-segmentation'>>().items.toEqualTypeOf<{
    label: string | null
    score: number | null
    mask: Tensor
  }>()
  expectTypeOf<TaskOutput>().toExtend<OutputValue>()
  expectTypeOf<TaskInputKind<'text-generation'>>().toEqualTypeOf<'text' | 'chat'>()
  expectTypeOf<TaskInputKind<'rerank'>>().toEqualTypeOf<'ranking'>()
})

it('says the same in words', () => {
  expect(TASKS['question-answering'].output.text).toBe('{ answer: string, score: number }[]')
  expect(TASKS['image-segmentation'].output.text).toBe(
    '{ label: string | null, score: number | null, mask: Tensor<uint8 [height, width, channels]> }[]',
  )
  expect(TASKS['automatic-speech-recognition'].output.text).toBe(
    '{ text: string, chunks?: { text: string, timestamp: (number | null)[] }[] }',
  )
  const token = 'token: string, id: number, logprob: number, bytes?: number[]'
  expect(TASKS['text-generation'].output.text).toBe(
    `{ generated_text: string | { role: string, content: string }[], logprobs?: { ${token}, top: { ${token} }[] }[] }`,
  )
})

const bytes = (dims: number[]): Tensor => ({ type: 'uint8', dims, data: new Uint8Array(4) })

describe('an output is looked at', () => {
  it.each<[TaskName, unknown, boolean]>([
    ['text-classification', [{ label: 'a', score: 1 }], true],
    ['text-classification', [{ label: 'a', score: 1, more: true }], true],
    ['text-classification', [], true],
    ['text-classification', [{ label: 'a' }], false],
    ['text-classification', [{ label: 'a', score: '1' }], false],
    ['text-classification', { label: 'a', score: 1 }, false],
    ['text-classification', [null], false],
    ['token-classification', [{ word: 'a', score: 1, entity_group: 'PER' }], true],
    ['token-classification', [{ word: 'a', score: 1, index: 'first' }], false],
    ['text-generation', { generated_text: 'a' }, true],
    ['text-generation', { generated_text: [{ role: 'user', content: 'a' }] }, true],
    ['text-generation', { generated_text: [{ role: 'user' }] }, false],
    ['document-question-answering', { answer: null }, true],
    ['document-question-answering', {}, false],
    ['image-to-image', bytes([2, 2, 1]), true],
    ['image-to-image', bytes([2, 2]), false],
    ['image-to-image', { type: 'int8', dims: [2, 2, 1], data: new Int8Array(4) }, false],
    ['feature-extraction', [1], false],
  ])('%s gives %j: %s', (task, value, isRight) => {
    expect(isOutputOf(task, value)).toBe(isRight)
  })
})
