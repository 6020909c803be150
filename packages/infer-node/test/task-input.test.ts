import { encodeInput, type TaskName } from '@x/infer-core'
import { expect, it } from 'vitest'

import { readInput } from '../src/task-input.ts'

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

it('says what it was given, whatever that comes from', async () => {
  const parts = Object.assign(Object.create(null), { query: 'a' })
  await expect(readInput('text-classification', parts, undefined)).rejects.toThrowError(
    'text-classification takes text, not { query }',
  )
  const message = 'text-classification takes text, not Map'
  await expect(readInput('text-classification', new Map(), undefined)).rejects.toThrowError(message)
})
