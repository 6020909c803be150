import { InvalidInputError } from '@x/cid'
import type { CanonicalInput, OutputValue, Params, TaskName, Tensor } from '@x/infer-core'
import { isTensor } from '@x/infer-core'
import { BackendError } from '@x/storage-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { resample } from './resample.ts'
import type { Transformers } from './transformers.ts'
import { decodeWav } from './wav.ts'

/**
 * Runs one input, alone: what else is run never changes an answer.
 *
 * @param options.sampleRate - Of the model, hertz; sound of another rate is resampled.
 * @param options.signal - Ends the generation of text at the next token; any other run of a graph cannot be interrupted.
 * @throws {InvalidInputError} An image or a sound that cannot be decoded.
 * @throws {BackendError} The library failed.
 */
export async function runPipeline(
  transformers: Transformers,
  task: TaskName,
  { call, dtype }: LoadedPipeline,
  input: CanonicalInput,
  params: Params,
  { sampleRate, signal }: { sampleRate: number | undefined; signal: AbortSignal | undefined },
): Promise<OutputValue> {
  const value = await toPipelineInput(transformers, input, sampleRate)
  const stop = new transformers.InterruptableStoppingCriteria()
  const interrupt = (): void => stop.interrupt()
  signal?.addEventListener('abort', interrupt)
  let output: unknown
  try {
    output = await call(value, ...argumentsOf(task, params, stop))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new BackendError(`${task} failed on ${dtype.files.join(', ')}: ${why}`, { cause, retryable: false })
  } finally {
    signal?.removeEventListener('abort', interrupt)
  }
  return toOutput(task, output)
}

async function toPipelineInput(
  { RawImage }: Transformers,
  input: CanonicalInput,
  sampleRate: number | undefined,
): Promise<unknown> {
  if (input.kind === 'text') return input.text
  if (input.kind === 'chat') return input.messages.map(({ role, content }) => ({ role, content }))
  if (input.kind === 'samples') return input.samples
  if (input.kind === 'audio') {
    const sound = decodeWav(input.bytes)
    return resample(sound.samples, sound.sampleRate, sampleRate ?? sound.sampleRate)
  }
  try {
    return await RawImage.fromBlob(new Blob([Uint8Array.from(input.bytes)]))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`the image cannot be decoded: ${why}`, { input: 'image', cause })
  }
}

function argumentsOf(task: TaskName, params: Params, stop: object): unknown[] {
  if (task === 'zero-shot-image-classification') {
    const { candidate_labels: labels, ...options } = params
    return [labels, options]
  }
  // A repository's generation_config.json may ask for sampling; without it the same input gives the same answer.
  if (task === 'text-generation') return [{ ...params, do_sample: false, stopping_criteria: stop }]
  return [params]
}

function toOutput(task: TaskName, output: unknown): OutputValue {
  const value = toValue(output)
  if (task === 'feature-extraction') {
    if (!isTensor(value)) throw unexpected(task, output)
    // The first dimension is that of the batch, which is one input.
    return { ...value, dims: value.dims.slice(1) }
  }
  if (task === 'text-generation') {
    const first: OutputValue | undefined = Array.isArray(value) ? value[0] : undefined
    if (first === undefined) throw unexpected(task, output)
    return first
  }
  return value
}

/** Plain data, with the library's tensors as plain ones. */
function toValue(value: unknown): OutputValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  if (Array.isArray(value)) return value.map((item: unknown) => toValue(item))
  if (typeof value !== 'object') throw new TypeError(`a pipeline gave a ${typeof value}`)
  const tensor = toTensor(value)
  if (tensor !== undefined) return tensor
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([key, item]: [string, unknown]) => [key, toValue(item)]))
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

function unexpected(task: TaskName, output: unknown): BackendError {
  return new BackendError(`${task} gave no result of its kind: ${typeof output}`, { retryable: false })
}
