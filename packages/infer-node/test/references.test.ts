import http from 'node:http'
import net from 'node:net'

import {
  fixtureMedia,
  fixtureModels,
  largestDifference,
  readReference,
  toMediaName,
  type PipelineCase,
} from '@x/fixtures'
import { isTensor, toJson, type ChatMessage, type OutputValue, type TaskName } from '@x/infer-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { runTask, type TaskInput } from '../src/index.ts'
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

function inputsOf(task: TaskName, { input }: PipelineCase): TaskInput[] {
  const media = toMediaName(input)
  if (media !== undefined) return [fixtureMedia()[media]]
  if (typeof input === 'string') return [input]
  if (!Array.isArray(input)) throw new TypeError('not an input')
  if (input.every((item) => typeof item === 'string')) return input
  if (task !== 'text-generation') throw new TypeError('not an input')
  return [input.map((message: ChatMessage) => ({ role: message.role, content: message.content }))]
}

/** Results of one input each as a pipeline gives them for the list. */
function together(task: TaskName, input: unknown, outputs: OutputValue[]): unknown {
  const [first] = outputs
  if (task === 'feature-extraction' && isTensor(first)) {
    const data = outputs.flatMap((output) => (isTensor(output) ? Array.from(output.data, Number) : []))
    return { type: first.type, dims: [outputs.length, ...first.dims], data }
  }
  const isList = Array.isArray(input) && input.every((item) => typeof item === 'string')
  if (task === 'text-generation') return isList ? outputs.map((output) => [toJson(output)]) : outputs.map(toJson)
  if (task === 'text-classification' && isList) return outputs.flatMap((output) => toJson(output))
  return toJson(first)
}

describe.each(fixtureModels())('$name', ({ name, task }) => {
  it.each(readReference(name).pipelines)('gives what was recorded: $about', async (recorded) => {
    const { open } = await hold(name)
    const { dtype: _dtype, do_sample: _greedy, ...options } = recorded.options
    const results = await runTask(task, await open(), inputsOf(task, recorded), {
      options: {
        ...JSON.parse(JSON.stringify(options)),
        ...(recorded.candidateLabels && { candidate_labels: recorded.candidateLabels }),
      },
    })
    const outputs = results.map(({ output }) => output)
    expect(largestDifference(together(task, recorded.input, outputs), recorded.expected)).toBeLessThan(TOLERANCE)
  })
})
