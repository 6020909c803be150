import { InvalidInputError } from '@x/cid'
import type { Block, CID } from '@x/cid'
import {
  encodeInput,
  encodeOutput,
  encodeParams,
  encodeReceipt,
  type CanonicalInput,
  type OutputValue,
  type Params,
  type ResultKeyParts,
  type ResultReceipt,
  type ResultVoucher,
  type RunName,
  type RunTokens,
  type Software,
  type TaskName,
  type TaskOutput,
} from '@x/infer-core'
import type { ChosenDtype, OpenedModel } from '@x/model-loader'
import { BackendError } from '@x/storage-core'

import type { LoadedPipeline } from './load-pipeline.ts'
import { messageOf } from './message-of.ts'
import { readInput, type ReadingOptions, type TaskInput } from './task-input.ts'

export interface TaskResult<Name extends RunName = TaskName> {
  output: TaskOutput<Name>
  /** `computed` now; kept from before, in `memory` or on `disk`; or `joined`: computed for another caller at the same moment. */
  from: 'computed' | 'memory' | 'disk' | 'joined'
  /** It was kept, and somebody else computed and signed it. `undefined`: it was computed here. */
  vouchedBy: ResultVoucher | undefined
  receipt: ResultReceipt
  receiptCid: CID
  /** The task's options with their defaults. */
  params: Params
  /**
   * What the model read of the input, and wrote. Of tasks that embed, classify or rank texts, of text-generation, and of image-text-to-text by
   * models that write behind what they were given; kept with a result, where it was computed here. `undefined`: it is not counted.
   */
  tokens: RunTokens | undefined
  /** Why this variant of the model was run. */
  dtypeReason: string
  /** ISO 8601, UTC. Beside the receipt: it decides nothing. */
  startedAt: string
  durationMs: number
  /** Input, parameters, output and receipt, for a caller that keeps them. */
  blocks: readonly Block[]
}

/** One input that is asked for, read so far that it is identified. */
export interface AskedInput<Name extends TaskName> extends Pick<
  ResultParts<Name>,
  'task' | 'started' | 'inputBlock' | 'paramsBlock' | 'params'
> {
  given: TaskInput<Name>
  input: CanonicalInput
}

export async function readAsked<Name extends TaskName>(
  task: Name,
  given: TaskInput<Name>,
  params: Params,
  options: Omit<ReadingOptions, 'reserve'>,
): Promise<AskedInput<Name>> {
  const started = startClock()
  const input = await readInput(task, given, options)
  const [inputBlock, paramsBlock] = await Promise.all([encodeInput(input), encodeParams(params)])
  return { task, given, input, started, inputBlock, paramsBlock, params }
}

/** What came of one input, and what the model read of it. */
export type Ran<Name extends RunName> = Pick<ResultParts<Name>, 'output' | 'tokens'>

/** When a run began. */
export interface Clock {
  startedAt: string
  startMs: number
}

export const startClock = (): Clock => ({ startedAt: new Date().toISOString(), startMs: performance.now() })

export interface Versions {
  runtime: Software
  library: Software
  /** What else makes inputs or outputs of the task. Sorted by name. */
  tools: readonly Software[]
}

/** What loading a model found out. */
export interface RunFacts extends Versions, Pick<LoadedPipeline, 'files' | 'executionProvider'> {
  /** Which variant was run, by session; of a GGUF as llama.cpp calls it. */
  dtype: Omit<ChosenDtype, 'dtype'> & { dtype: Readonly<Record<string, string>> }
  numericClass: string
}

interface ResultParts<Name extends RunName> {
  task: Name
  model: OpenedModel
  facts: RunFacts
  started: Clock
  inputBlock: Block
  paramsBlock: Block
  params: Params
  output: OutputValue & TaskOutput<Name>
  tokens: RunTokens | undefined
}

/**
 * A result with its receipt.
 *
 * @throws {BackendError} There is a number in it, outside a tensor, that is none.
 */
export async function toResult<Name extends RunName>(parts: ResultParts<Name>): Promise<TaskResult<Name>> {
  const { task, model, facts, started, inputBlock, paramsBlock, params, output, tokens } = parts
  const outputBlock = await encodeOutput(output).catch((cause: unknown) => {
    // No fault of the input, whatever says so.
    throw new BackendError(`${task} gave no answer: ${messageOf(cause)}`, { cause, retryable: false })
  })
  const receipt: ResultReceipt = {
    schema: 3,
    model: model.cid,
    ...operandsOf(task, model, facts),
    input: inputBlock.cid,
    params: paramsBlock.cid,
    output: outputBlock.cid,
  }
  const receiptBlock = await encodeReceipt(receipt)
  return {
    output,
    from: 'computed',
    vouchedBy: undefined,
    receipt,
    receiptCid: receiptBlock.cid,
    params,
    tokens,
    dtypeReason: facts.dtype.reason,
    startedAt: started.startedAt,
    durationMs: performance.now() - started.startMs,
    blocks: [inputBlock, paramsBlock, outputBlock, receiptBlock],
  }
}

/** What a result of a model rests on, but for what it was given. */
export function operandsOf(
  task: RunName,
  model: OpenedModel,
  facts: RunFacts,
): Omit<ResultKeyParts, 'input' | 'params'> {
  const { runtime, library, tools, executionProvider, dtype, numericClass } = facts
  const used = model.files.filter(({ path }) => facts.files.includes(path))
  return {
    task,
    manifest: model.manifestCid,
    files: used.map(({ path, root }) => ({ path, cid: root })),
    runtime,
    library,
    tools,
    executionProvider,
    dtype: dtype.dtype,
    numericClass,
  }
}

/** What is wrong with an input, by the error that names it as somebody gave it. */
const ofInputs = new WeakMap<object, InvalidInputError>()

/** Of several files, the one that cannot be decoded. */
export function namingInput(error: unknown, input: unknown): unknown {
  if (!(error instanceof InvalidInputError)) return error
  const file = typeof input === 'object' && input !== null && 'image' in input ? input.image : input
  const path = typeof file === 'string' || file instanceof URL ? String(file) : undefined
  const named =
    path === undefined
      ? error
      : new InvalidInputError(`${path.slice(0, 200)}: ${error.message}`, { input: path, cause: error })
  ofInputs.set(named, error)
  return named
}

/** The same of one who gave the same input under another name; what is no fault of the input stays as it is. */
export function namingInputAgain(error: unknown, input: unknown): unknown {
  const own = error instanceof Error ? ofInputs.get(error) : undefined
  return own ? namingInput(own, input) : error
}
