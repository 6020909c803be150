import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { encodeInput, type TaskName } from '@x/infer-core'
import { expect, it } from 'vitest'

import { readInput } from '../src/read-input.ts'
import { tempDirectory } from './support.ts'

const bytes = (): Uint8Array<ArrayBuffer> => Uint8Array.of(1, 2, 3, 4)
const samples = (): Float32Array<ArrayBuffer> => Float32Array.of(0.5, -0.5)

// The caller goes on with what is its own, while the input waits for its turn.
it.for<[TaskName, () => unknown, (input: never) => void]>([
  ['image-classification', bytes, (input: Uint8Array) => input.fill(9)],
  ['image-classification', () => Buffer.from(bytes()), (input: Uint8Array) => input.fill(9)],
  ['automatic-speech-recognition', bytes, (input: Uint8Array) => input.fill(9)],
  ['automatic-speech-recognition', samples, (input: Float32Array) => input.fill(9)],
  [
    'document-question-answering',
    () => ({ question: 'a', image: bytes() }),
    ({ image }: { image: Uint8Array }) => image.fill(9),
  ],
  ['image-text-to-text', () => ({ text: 'a', image: bytes() }), ({ image }: { image: Uint8Array }) => image.fill(9)],
  ['text-to-audio', () => ({ text: 'a', voice: samples() }), ({ voice }: { voice: Float32Array }) => voice.fill(9)],
  ['rerank', () => ({ query: 'a', documents: ['b'] }), ({ documents }: { documents: string[] }) => documents.push('c')],
  [
    'text-generation',
    () => [{ role: 'user', content: 'a' }],
    ([message]: { content: string }[]) => Object.assign(message ?? {}, { content: 'b' }),
  ],
])('keeps what %s was given, whatever the caller does with it afterwards', async ([task, make, change]) => {
  const input = make()
  const read = await readInput(task, input, 16_000)
  const { cid } = await encodeInput(read)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- made and changed by the same case
  change(input as never)
  expect((await encodeInput(read)).cid).toEqual(cid)
})

it.for<[TaskName, unknown, number]>([
  ['text-classification', 'één', 5],
  ['text-classification', { text: 'a', text_pair: 'bc' }, 3],
  ['image-classification', bytes(), 4],
  ['image-classification', Buffer.alloc(1000).subarray(10, 17), 7],
  ['automatic-speech-recognition', samples(), 8],
  ['document-question-answering', { question: 'abc', image: bytes() }, 7],
  ['rerank', { query: 'ab', documents: ['c', 'def'] }, 6],
  ['text-generation', [{ role: 'user', content: 'a' }], 5],
])('tells before it copies what %s is given how much that is', async ([task, input, size]) => {
  const told: number[] = []
  await readInput(task, input, 16_000, undefined, (by) => told.push(by))
  expect(told.reduce((sum, by) => sum + by, 0)).toBe(size)
  const full = new Error('there is no room')
  const refused = readInput(task, input, 16_000, undefined, () => {
    throw full
  })
  await expect(refused).rejects.toBe(full)
})

it('tells how large a file is before it is read', async () => {
  const path = join(await tempDirectory(), 'image')
  await writeFile(path, new Uint8Array(1000))
  const told: number[] = []
  await readInput('image-classification', path, undefined, undefined, (by) => told.push(by))
  expect(told).toEqual([path.length, 1000])
  const full = new Error('there is no room')
  const refused = readInput('image-classification', path, undefined, undefined, (by) => {
    if (by >= 1000) throw full
  })
  await expect(refused).rejects.toBe(full)
})

it('says what it was given, whatever that comes from', async () => {
  const parts = Object.assign(Object.create(null), { query: 'a' })
  await expect(readInput('text-classification', parts, undefined)).rejects.toThrowError(
    'text-classification takes text or { text, text_pair }, not { query }',
  )
  const message = 'text-classification takes text or { text, text_pair }, not Map'
  await expect(readInput('text-classification', new Map(), undefined)).rejects.toThrowError(message)
})
