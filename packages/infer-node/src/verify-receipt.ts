import { IntegrityError, InvalidInputError, type Block, type CID } from '@x/cid'
import {
  compareOutputs,
  decodeInput,
  decodeOutput,
  decodeParams,
  describeKey,
  differingParts,
  parseTool,
  RAW_TENSORS,
  type GivenOptions,
  type KeyPart,
  type OutputDifference,
  type ResultReceipt,
  type RunName,
  type TaskName,
} from '@x/infer-core'
import { isDtype, type Dtype, type OpenedModel } from '@x/model-loader'
import type { TaskInput, TaskResult } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

import { isDated, isGgufDated } from './dated-template.ts'
import { isGgufName, type GgufVariant } from './gguf/gguf-files.ts'
import type { Runner, RunOptions } from './runner.ts'

export interface VerifyReceiptOptions extends AbortOptions {
  /** Blocks of the receipt's input, parameters and output, as far as they are there; their bytes were verified. */
  blocks?: readonly Block[] | undefined
  /** The input, where its block is not there, or names a file. */
  input?: TaskInput | undefined
  /** The parameters, where their block is not there. */
  options?: GivenOptions | undefined
}

export interface ReceiptVerdict {
  /**
   * - `same`: the output is the one that the receipt names.
   * - `other`: it is another one, and all that decides it is as the receipt says: the receipt is not true.
   * - `incomparable`: it is another one, and so is something that decides its last bits; see `conditions`.
   * - `undetermined`: it is another one, and another one again the next time: the model draws lots; or a chat template writes the
   *   day into the prompt.
   */
  verdict: 'same' | 'other' | 'incomparable' | 'undetermined'
  /** What is not as the receipt says; the output may be the same all the same. */
  conditions: { part: KeyPart; receipt: string; here: string }[]
  /** By how much the outputs differ; `undefined` where they do not, or where the receipt's is not there to be compared. */
  difference: OutputDifference | undefined
  /** What ran now. */
  result: TaskResult<RunName>
}

/**
 * Runs the model of a receipt again, on the same input and parameters, and compares what comes out.
 *
 * @param model - Opened, and trusted: it is run.
 * @throws {InvalidInputError} It is another model; the input or the parameters are not there, or are not those of the receipt.
 * @throws {IntegrityError} The receipt names a file that its model has not. Nothing was run.
 */
export async function verifyReceipt(
  runner: Runner,
  receipt: ResultReceipt,
  model: OpenedModel,
  { blocks = [], input, options, signal }: VerifyReceiptOptions = {},
): Promise<ReceiptVerdict> {
  if (model.cid.toString() !== receipt.model.toString()) {
    throw new InvalidInputError(`the receipt is of the model ${receipt.model}, not of ${model.cid}`, {
      input: model.cid.toString(),
    })
  }
  assertItsFiles(receipt, model)
  const bytesOf = (cid: CID): Uint8Array | undefined => blocks.find((block) => block.cid.equals(cid))?.bytes
  const { task } = receipt
  if (task === RAW_TENSORS) return verifyRaw(runner, receipt, model, bytesOf, signal)
  const params = paramsOf(bytesOf(receipt.params), options)
  const given = inputOf(receipt, bytesOf(receipt.input), input)
  const asked = { options: params, dtype: dtypeOf(receipt), cache: 'bypass', signal } as const
  // What a run would be of, before it is run.
  const { parts } = await runner.explain(task, model, given, asked)
  assertSame('input', receipt.input, parts.input)
  assertSame('parameters', receipt.params, parts.params)
  const run = (): Promise<TaskResult> => runOnce(runner, task, model, given, asked)
  const [isChat, gguf] = [isChatInput(given), ggufOf(receipt)]
  const isOfToday = (): Promise<boolean> =>
    gguf === undefined ? isDated(task, isChat, model) : isGgufDated(isChat, model, gguf)
  return verdictOf(receipt, bytesOf, run, isOfToday)
}

/** Of a graph that was run on tensors as they are. */
async function verifyRaw(
  runner: Runner,
  receipt: ResultReceipt,
  model: OpenedModel,
  bytesOf: BytesOf,
  signal: AbortSignal | undefined,
): Promise<ReceiptVerdict> {
  const [kept, params] = [bytesOf(receipt.input), bytesOf(receipt.params)]
  const input = kept && decodeInput(kept)
  if (input?.kind !== 'tensors') throw wanted(receipt, 'its tensors are not here')
  if (params === undefined) throw wanted(receipt, 'which graph it was of is not here')
  const { graph, outputs } = decodeParams(params)
  const session = await runner.session(model, { file: String(graph), signal })
  const names = Array.isArray(outputs) ? outputs.map(String) : []
  return verdictOf(receipt, bytesOf, async () => {
    const result = await session.run(input.tensors, { outputs: names, signal, cache: 'bypass' })
    assertSame('input', receipt.input, result.receipt.input)
    assertSame('parameters', receipt.params, result.receipt.params)
    return result
  })
}

type BytesOf = (cid: CID) => Uint8Array | undefined

async function verdictOf(
  receipt: ResultReceipt,
  bytesOf: BytesOf,
  run: () => Promise<TaskResult<RunName>>,
  isOfToday: () => Promise<boolean> = () => Promise.resolve(false),
): Promise<ReceiptVerdict> {
  const result = await run()
  const [claimed, here] = [describeKey(receipt), describeKey(result.receipt)]
  const conditions = differingParts(receipt, result.receipt).map((part) => ({
    part,
    receipt: claimed[part],
    here: here[part],
  }))
  if (result.receipt.output.equals(receipt.output))
    return { verdict: 'same', conditions, difference: undefined, result }
  const kept = bytesOf(receipt.output)
  const difference = kept && compareOutputs(decodeOutput(kept), decodeOutput(outputBlockOf(result).bytes))
  // Which revision the files came from decides nothing: they are the same.
  if (conditions.some(({ part }) => part !== 'manifest'))
    return { verdict: 'incomparable', conditions, difference, result }
  // The day is no condition that a receipt has.
  if (await isOfToday()) return { verdict: 'undetermined', conditions, difference, result }
  const again = await run()
  const isFirm = again.receipt.output.equals(result.receipt.output)
  return { verdict: isFirm ? 'other' : 'undetermined', conditions, difference, result }
}

async function runOnce(
  runner: Runner,
  task: TaskName,
  model: OpenedModel,
  input: TaskInput,
  options: RunOptions,
): Promise<TaskResult> {
  for await (const result of runner.run(task, model, [input], options)) return result
  throw new TypeError('a run without a result')
}

function outputBlockOf({ blocks, receipt }: TaskResult<RunName>): Block {
  const block = blocks.find(({ cid }) => cid.equals(receipt.output))
  if (block) return block
  throw new TypeError('a result without its output')
}

/** The first file of the GGUF that was run; `undefined`: it was none. */
const ggufOf = ({ runtime, files }: ResultReceipt): GgufVariant | undefined =>
  runtime.name === 'llama.cpp' ? files.map(({ path }) => path).find((path) => isGgufName(path)) : undefined

/** The variant that was run, where it is one for all of its sessions; else what the model's own files say. */
function dtypeOf(receipt: ResultReceipt): Dtype | GgufVariant | undefined {
  const gguf = ggufOf(receipt)
  if (gguf !== undefined) return gguf
  const [only, ...others] = new Set(Object.values(receipt.dtype))
  return others.length === 0 && isDtype(only) ? only : undefined
}

function paramsOf(kept: Uint8Array | undefined, given: GivenOptions | undefined): GivenOptions {
  // Without either these are the defaults, and perhaps the receipt's.
  return given ?? (kept ? decodeParams(kept) : {})
}

function inputOf(receipt: ResultReceipt, kept: Uint8Array | undefined, given: TaskInput | undefined): TaskInput {
  if (given !== undefined) return given
  if (kept === undefined) throw wanted(receipt, 'its input is not kept here')
  const input = decodeInput(kept)
  if (input.kind === 'text') return input.text
  if (input.kind === 'chat') {
    const { messages, tools } = input
    return tools ? { messages, tools: tools.map((tool) => parseTool(tool)) } : messages
  }
  if (input.kind === 'pair') return { text: input.text, text_pair: input.text_pair }
  if (input.kind === 'question') return { question: input.question, context: input.context }
  if (input.kind === 'ranking') return { query: input.query, documents: input.documents }
  if (input.kind === 'samples') return Float32Array.from(input.samples)
  if (input.kind === 'speech') return { text: input.text, voice: Float32Array.from(input.voice) }
  if (input.kind === 'tensors') throw wanted(receipt, 'it is one of raw tensors')
  throw wanted(receipt, `of its ${input.what} only the CID is kept, ${input.cid}`)
}

const isChatInput = (input: TaskInput): boolean =>
  Array.isArray(input) || (typeof input === 'object' && 'messages' in input)

function wanted({ input }: ResultReceipt, why: string): InvalidInputError {
  return new InvalidInputError(`the input of the receipt is wanted: ${why}`, { input: input.toString() })
}

function assertItsFiles({ files }: ResultReceipt, model: OpenedModel): void {
  for (const { path, cid } of files) {
    const actual = model.files.find((file) => file.path === path)?.root
    if (actual?.equals(cid)) continue
    const held = actual === undefined ? 'has none of that path' : `has ${actual} there`
    const message = `the receipt names the file ${path} as ${cid}; its model ${held}`
    throw new IntegrityError(message, { cid, actual, file: path })
  }
}

function assertSame(what: string, receipt: CID, here: CID): void {
  if (receipt.toString() === here.toString()) return
  throw new InvalidInputError(`not the ${what} of the receipt: ${here}, and not ${receipt}`, {
    input: here.toString(),
  })
}
