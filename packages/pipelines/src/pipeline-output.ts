import { isOutputOf, isTensor, type OutputValue, type TaskName, type TaskOutput, type Tensor } from '@x/infer-core'
import { BackendError } from '@x/storage-core'

import type { Transformers } from './transformers.ts'

/** Tasks whose pipeline gives a list, of one result for one input. */
const LISTED: ReadonlySet<TaskName> = new Set<TaskName>([
  'text-generation',
  'text2text-generation',
  'summarization',
  'translation',
  'image-to-text',
  'image-text-to-text',
  'document-question-answering',
])

/** Tasks whose pipeline gives a tensor, its first dimension that of the batch. */
const BATCHED: ReadonlySet<TaskName> = new Set<TaskName>(['feature-extraction', 'image-feature-extraction'])

/**
 * What a pipeline gave for one input, as the task has it.
 *
 * @throws {BackendError} It is of another kind.
 */
export function toOutput<Name extends TaskName>(
  transformers: Transformers,
  task: Name,
  output: unknown,
): OutputValue & TaskOutput<Name> {
  const value = ofOne(task, toValue(transformers, output))
  if (value !== undefined && isOutputOf(task, value)) return value
  throw new BackendError(`${task} gave no result of its kind: ${typeof output}`, { retryable: false })
}

function ofOne(task: TaskName, value: OutputValue): OutputValue | undefined {
  if (LISTED.has(task)) return Array.isArray(value) && value.length === 1 ? value[0] : undefined
  if (BATCHED.has(task))
    return isTensor(value) && value.dims[0] === 1 ? { ...value, dims: value.dims.slice(1) } : undefined
  // With top_k 1 the library gives the answer without its list.
  if (task === 'question-answering' && !Array.isArray(value)) return [value]
  return value
}

/** Plain data, with the library's tensors as plain ones, and its pictures and sounds as tensors. */
export function toValue(transformers: Transformers, value: unknown): OutputValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value.map((item: unknown) => toValue(transformers, item))
  if (typeof value !== 'object') throw new TypeError(`a pipeline gave a ${typeof value}`)
  if (value instanceof transformers.RawImage) {
    const { height, width, channels, data } = value
    return { type: 'uint8', dims: [height, width, channels], data: Uint8Array.from(data) }
  }
  if (value instanceof transformers.RawAudio) {
    const { data, sampling_rate: rate } = value
    return { audio: { type: 'float32', dims: [data.length], data: data.slice() }, sampling_rate: rate }
  }
  const tensor = toTensor(value)
  if (tensor !== undefined) return tensor
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([key, item]: [string, unknown]) => [key, toValue(transformers, item)]))
}

function toTensor(value: object): Tensor | undefined {
  if (!('type' in value && 'dims' in value && 'data' in value)) return undefined
  const { type, dims, data } = value
  // A Float16Array is kept as its bits.
  const bits = type === 'float16' && ArrayBuffer.isView(data)
  const plain = { type, dims, data: bits ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2) : data }
  // A copy: the runtime may use its memory again.
  return isTensor(plain) ? { type: plain.type, dims: [...plain.dims], data: plain.data.slice() } : undefined
}
