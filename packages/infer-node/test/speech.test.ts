import * as transformers from '@huggingface/transformers'
import type { TaskName } from '@x/infer-core'
import { argumentsOf, type LoadedPipeline, NOTHING_WRITTEN, runPipeline } from '@x/pipelines/parts'
import { expect, it } from 'vitest'

import { readInput } from '../src/read-input.ts'
import { tempDirectory } from './support.ts'

const { random, RawAudio } = transformers

const TASK: TaskName = 'text-to-audio'

/** Draws as Supertonic does: behind a first step. */
const drawing: LoadedPipeline = {
  async call() {
    await Promise.resolve()
    const first = random.gauss()
    await Promise.resolve()
    return new RawAudio(Float32Array.of(first, random.gauss()), 16_000)
  },
  tokenizer: undefined,
  generation: NOTHING_WRITTEN,
  dtype: { dtype: {}, files: [], reason: '' },
  files: [],
  executionProvider: 'cpu',
  dispose: () => Promise.resolve(),
}

function say(): Promise<unknown> {
  const options = { sampleRate: undefined, signal: undefined }
  return runPipeline(transformers, TASK, drawing, { kind: 'text', text: 'do' }, {}, options)
}

it('noise that the library draws is the same each time, also of two at once', async () => {
  const sounds = await Promise.all([say(), say()])
  expect(sounds[1]).toEqual(sounds[0])
  expect(await say()).toEqual(sounds[0])
})

it('a voice is samples, or a file of them', async () => {
  const voice = Float32Array.of(0.5, -1)
  const input = { kind: 'speech', text: 'do', voice }
  expect(await readInput(TASK, { text: 'do', voice }, undefined)).toEqual(input)
  const bytes = new Uint8Array(voice.buffer)
  expect(await readInput(TASK, { text: 'do', voice: bytes }, undefined)).toEqual(input)
  await expect(readInput(TASK, { text: 'do', voice: bytes.subarray(1) }, undefined)).rejects.toThrowError('7 bytes')
  const directory = await tempDirectory()
  await expect(readInput(TASK, { text: 'do', voice: `${directory}/absent` }, undefined)).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  const options = {
    sampleRate: undefined,
    signal: undefined,
    stop: {},
    streamer: undefined,
    scores: [],
    penalty: undefined,
  }
  expect(
    await argumentsOf(transformers, TASK, drawing, { kind: 'speech', text: 'do', voice }, { speed: 1 }, options),
  ).toEqual(['do', { speed: 1, speaker_embeddings: voice }])
})
