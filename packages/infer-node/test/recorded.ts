/** What a recorded case of a fixture model is run with. */
import { fixtureMedia, toMediaName, type PipelineCase } from '@x/fixtures'
import type { GivenOptions, TaskName } from '@x/infer-core'

import type { TaskInput } from '../src/index.ts'

/** The bytes of the media file that a recorded input stands for. */
function mediaOf(input: unknown): Uint8Array | undefined {
  const name = toMediaName(input)
  return name && fixtureMedia()[name]
}

export function inputsOf(task: TaskName, { input }: PipelineCase): TaskInput[] {
  const media = mediaOf(input)
  if (media !== undefined) return [media]
  if (typeof input === 'object' && input !== null && 'image' in input && 'text' in input) {
    const image = mediaOf(input.image)
    if (image === undefined) throw new TypeError('not the name of an image')
    const text = String(input.text)
    return task === 'document-question-answering' ? [{ image, question: text }] : [{ image, text }]
  }
  const value: TaskInput = JSON.parse(JSON.stringify(input))
  return isTexts(value) ? value : [value]
}

export const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string')

export function optionsOf({ options, candidateLabels }: PipelineCase): GivenOptions {
  // Both are always so here.
  const { dtype: _fp32, do_sample: _greedy, ...others } = options
  return { ...JSON.parse(JSON.stringify(others)), ...(candidateLabels && { candidate_labels: candidateLabels }) }
}
