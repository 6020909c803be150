import http from 'node:http'
import net from 'node:net'

import { fixtureModels, largestDifference, readReference, type PipelineCase } from '@x/fixtures'
import { isTensor, toJson, type OutputValue, type TaskName } from '@x/infer-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { runTask } from '../src/index.ts'
import { inputsOf, isTexts, optionsOf } from './recorded.ts'
import { hold } from './support.ts'

/** What every number has to be within. */
const TOLERANCE = 1e-4

const refused = (): never => {
  throw new Error('the network is cut in this test')
}

beforeAll(() => {
  vi.spyOn(globalThis, 'fetch').mockImplementation(refused)
  vi.spyOn(http, 'request').mockImplementation(refused)
  vi.spyOn(net.Socket.prototype, 'connect').mockImplementation(refused)
})
afterAll(() => {
  vi.restoreAllMocks()
})

/** Our output, with pictures and sounds as they are recorded. */
function plain(value: OutputValue | undefined): unknown {
  if (isTensor(value)) {
    const [height, width, channels] = value.dims
    const isPicture = value.type === 'uint8' && value.dims.length === 3
    return isPicture ? { width, height, channels, data: Array.from(value.data, Number) } : toJson(value)
  }
  if (Array.isArray(value)) return value.map((item: OutputValue) => plain(item))
  if (typeof value !== 'object' || value === null) return value
  if ('audio' in value && isTensor(value.audio)) return { ...value, audio: Array.from(value.audio.data, Number) }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

/** Results of one input each as a pipeline gives them for the list. */
function together(task: TaskName, { input, options }: PipelineCase, outputs: OutputValue[]): unknown {
  const [first] = outputs
  if ((task === 'feature-extraction' || task === 'image-feature-extraction') && isTensor(first)) {
    const data = outputs.flatMap((output) => (isTensor(output) ? Array.from(output.data, Number) : []))
    return { type: first.type, dims: [outputs.length, ...first.dims], data }
  }
  const isList = isTexts(input)
  if (task === 'text-generation') return isList ? outputs.map((output) => [toJson(output)]) : outputs.map(toJson)
  if (task === 'text-classification' && isList) return outputs.flatMap((output) => toJson(output))
  if (task === 'question-answering' && options.top_k === undefined && Array.isArray(first)) return first[0]
  return LISTED.includes(task) || (task === 'text-to-audio' && isList) ? outputs.map(plain) : plain(first)
}

/** Of these a pipeline gives a list, of one for one input. */
const LISTED: readonly TaskName[] = [
  'summarization',
  'translation',
  'text2text-generation',
  'image-to-text',
  'image-text-to-text',
  'document-question-answering',
]

describe.each(fixtureModels())('$name', ({ name, task, files }) => {
  it.each(readReference(name).pipelines)(
    'gives what was recorded, and says on what it rests: $about',
    async (recorded) => {
      const { open, added } = await hold(name)
      const options = optionsOf(recorded)
      const results = await runTask(task, await open(), inputsOf(task, recorded), { options })
      const outputs = results.map(({ output }) => output)
      expect(largestDifference(together(task, recorded, outputs), recorded.expected)).toBeLessThan(TOLERANCE)
      const { receipt } = results[0] ?? {}
      expect(receipt).toMatchObject({ schema: 3, task, model: added.cid, manifest: added.manifest })
      const graphs = Object.keys(files).flatMap((path) => /^onnx\/(.*)\.onnx$/.exec(path)?.[1] ?? [])
      expect(receipt).toMatchObject({ executionProvider: 'cpu' })
      expect(receipt?.dtype).toEqual(Object.fromEntries(graphs.map((graph) => [graph, 'fp32'])))
      // Every file of these models is needed.
      expect(receipt?.files.map(({ path }) => path)).toEqual(Object.keys(files).toSorted())
    },
  )
})
