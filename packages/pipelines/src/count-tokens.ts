import type { CanonicalInput, RunTokens, TaskName } from '@x/infer-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { fieldsOf } from './model-json.ts'

type Tokenized = Pick<LoadedPipeline, 'tokenizer'>

/** Tasks of texts that are read whole, with what the tokenizer adds, and nothing is written. */
const READING: ReadonlySet<TaskName> = new Set<TaskName>(['feature-extraction', 'text-classification'])

/** What a task reads of an input; `undefined`: it is not counted of this task, or while it runs. */
export function tokensOf(task: TaskName, pipeline: Tokenized, input: CanonicalInput): RunTokens | undefined {
  if (READING.has(task) && input.kind === 'text') return countTokens(pipeline, input.text)
  if (READING.has(task) && input.kind === 'pair') return countTokens(pipeline, input.text, input.text_pair)
  return undefined
}

/** The library cuts what is over the tokenizer's own limit, where it has one. */
export function countTokens({ tokenizer }: Tokenized, text: string, pair?: string): RunTokens {
  if (tokenizer === undefined) throw new TypeError('the pipeline has no tokenizer')
  const options = { truncation: false, return_tensor: false, ...(pair !== undefined && { text_pair: pair }) }
  const { input_ids: ids } = fieldsOf(Reflect.apply(tokenizer, undefined, [text, options]))
  if (!Array.isArray(ids)) throw new TypeError('the tokenizer gave no tokens')
  const input = Math.min(ids.length, tokenizer.model_max_length)
  return { input, cut: ids.length - input }
}
