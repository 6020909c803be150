import { InvalidInputError } from '@x/cid'
import type { Block, CID } from '@x/cid'
import {
  encodeInput,
  encodeOutput,
  encodeParams,
  encodeReceipt,
  type Params,
  type ResultReceipt,
  type TaskName,
  type TaskOutput,
} from '@x/infer-core'

import type { LoadedModel } from './loaded-models.ts'
import { runPipeline, type PipelineRunOptions } from './run-pipeline.ts'
import { readInput, type TaskInput } from './task-input.ts'
import { versionsOf } from './transformers.ts'

export interface TaskResult<Name extends TaskName = TaskName> {
  output: TaskOutput<Name>
  receipt: ResultReceipt
  receiptCid: CID
  /** The task's options with their defaults. */
  params: Params
  /** Why this variant of the model was run. */
  dtypeReason: string
  /** ISO 8601, UTC. Beside the receipt: it decides nothing. */
  startedAt: string
  durationMs: number
  /** Input, parameters, output and receipt, for a caller that keeps them. */
  blocks: readonly Block[]
}

/** Runs one input, and says on what the result rests. */
export async function runInput<Name extends TaskName>(
  task: Name,
  loaded: LoadedModel,
  input: TaskInput<Name>,
  params: Params,
  signal: AbortSignal | undefined,
  { onText }: Pick<PipelineRunOptions, 'onText'> = {},
): Promise<TaskResult<Name>> {
  const startedAt = new Date().toISOString()
  const clock = performance.now()
  const { transformers, pipeline, sampleRate } = loaded
  const canonical = await readInput(task, input, sampleRate, signal)
  const inputBlock = await encodeInput(canonical)
  const output = await runPipeline(transformers, task, pipeline, canonical, params, {
    sampleRate,
    signal,
    onText,
  }).catch((error: unknown) => {
    throw namingInput(error, input)
  })
  signal?.throwIfAborted()
  const paramsBlock = await encodeParams(params)
  const outputBlock = await encodeOutput(output)
  const receipt: ResultReceipt = {
    ...factsOf(task, loaded),
    input: inputBlock.cid,
    params: paramsBlock.cid,
    output: outputBlock.cid,
  }
  const receiptBlock = await encodeReceipt(receipt)
  return {
    output,
    receipt,
    receiptCid: receiptBlock.cid,
    params,
    dtypeReason: pipeline.dtype.reason,
    startedAt,
    durationMs: performance.now() - clock,
    blocks: [inputBlock, paramsBlock, outputBlock, receiptBlock],
  }
}

/** What is the same for every input. */
function factsOf(
  task: TaskName,
  { transformers, model, pipeline }: LoadedModel,
): Omit<ResultReceipt, 'input' | 'params' | 'output'> {
  const used = model.files.filter(({ path }) => pipeline.files.includes(path))
  return {
    schema: 1,
    task,
    model: model.cid,
    manifest: model.manifestCid,
    files: used.map(({ path, root }) => ({ path, cid: root })),
    ...versionsOf(transformers),
    executionProvider: pipeline.executionProvider,
    dtype: pipeline.dtype.dtype,
  }
}

/** Of several files, the one that cannot be decoded. */
function namingInput(error: unknown, input: unknown): unknown {
  const file = typeof input === 'object' && input !== null && 'image' in input ? input.image : input
  if (!(error instanceof InvalidInputError) || !(typeof file === 'string' || file instanceof URL)) return error
  const path = String(file)
  return new InvalidInputError(`${path.slice(0, 200)}: ${error.message}`, { input: path, cause: error })
}
