import { IntegrityError } from '@x/cid'
import {
  decodeInput,
  decodeOutput,
  decodeParams,
  RAW_TENSORS,
  receiptToJson,
  toJson,
  type OutputDifference,
  type ResultReceipt,
  type TaskName,
} from '@x/infer-core'
import { createRunner, verifyReceipt, type ReceiptVerdict, type Runner } from '@x/infer-node'
import type { OpenedModel } from '@x/model-loader'
import { BackendError } from '@x/storage-core'

import { textOption, textOptions, type Command, type Context, type Values } from '../command.ts'
import { formatCount, formatNumber, formatOutput, formatTable, printable } from '../format.ts'
import { ABOUT_POLICY, openTrustedModel, POLICY } from '../open-trusted-model.ts'
import { onlyOperand } from '../operands.ts'
import { PROVIDER, providersOption } from '../provider-option.ts'
import { givenReceipts, type GivenReceipt } from '../receipt-operand.ts'
import { sayVoucher } from '../say-voucher.ts'
import { parseTaskInput } from '../task-operand.ts'
import { OPTION, taskOptions } from '../task-options.ts'
import { UsageError } from '../usage-error.ts'

const ABOUT_FILES =
  'A FILE is what run --receipt wrote, the CAR that a server has of an answer (of several inputs too), the block of a receipt, or a line of run --json; a CID is of a result that run has kept.'

export const receiptShow: Command = {
  name: 'receipt show',
  needsStore: true,
  operands: 'CID|FILE',
  summary: 'on what a result rests, and what it was, where that is here',
  options: {},
  notes: ABOUT_FILES,
  async run(context, operands) {
    for (const given of await givenReceipts(context, onlyOperand(operands, 'receipt'))) await show(context, given)
  },
}

async function show(context: Context, { receipt, cid, blocks, vouchedBy }: GivenReceipt): Promise<void> {
  const bytesOf = (wanted: typeof cid): Uint8Array | undefined =>
    blocks.find((block) => block.cid.equals(wanted))?.bytes
  const [input, params, output] = [bytesOf(receipt.input), bytesOf(receipt.params), bytesOf(receipt.output)]
  const shown = {
    input: input && inputToJson(input),
    params: params && decodeParams(params),
    output: output && toJson(decodeOutput(output)),
  }
  const json = receiptToJson(receipt, cid)
  const { runtime, library, files, dtype } = receipt
  await context.printer.result(
    {
      receipt: json,
      input: shown.input ?? null,
      params: shown.params ?? null,
      output: shown.output ?? null,
      vouchedBy: vouchedBy ?? null,
    },
    formatTable([
      ['receipt', cid.toString()],
      ...(vouchedBy ? [['signed by', `${sayVoucher(vouchedBy)}, who computed it elsewhere`]] : []),
      ['task', receipt.task],
      ['model', receipt.model.toString()],
      ['manifest', receipt.manifest.toString()],
      ...files.map((file) => ['file', printable(`${file.path}  ${file.cid}`)]),
      ...(['input', 'params', 'output'] as const).map((part) => [
        part,
        `${receipt[part]}  ${shown[part] === undefined ? 'not here' : formatOutput(shown[part])}`,
      ]),
      ['runtime', printable(`${runtime.name} ${runtime.version}, ${receipt.executionProvider}`)],
      ['library', printable(`${library.name} ${library.version}`)],
      [
        'dtype',
        printable(
          Object.entries(dtype)
            .map(([session, name]) => `${session} ${name}`)
            .join(', '),
        ),
      ],
      ['numeric class', printable(receipt.numericClass ?? 'not said')],
      ['tools', printable(receipt.tools?.map(({ name, version }) => `${name} ${version}`).join(', ') ?? 'not said')],
    ]),
  )
}

/** @throws {UsageError} It is of raw tensors, which are given as blocks alone. */
function taskOf({ task }: ResultReceipt): TaskName {
  if (task !== RAW_TENSORS) return task
  throw new UsageError(
    'receipt verify: a receipt of raw tensors takes neither an input nor options: they have to be here as blocks',
  )
}

function inputToJson(bytes: Uint8Array): unknown {
  const input = decodeInput(bytes)
  if (input.kind === 'file') return { [input.what]: input.cid.toString() }
  if (input.kind === 'tensors') return { tensors: toJson(input.tensors) }
  const { kind: _, ...parts } = input
  return Object.fromEntries(
    Object.entries(parts).map(([name, part]) => [name, part instanceof Float32Array ? Array.from(part) : part]),
  )
}

export const receiptVerify: Command = {
  name: 'receipt verify',
  needsStore: true,
  operands: 'CID|FILE [INPUT]',
  summary: 'run the model of a receipt again, on the same input, and compare what comes out',
  options: {
    model: { type: 'string', metavar: 'REF', help: 'where its model is; default ipfs://CID, in the store' },
    ...PROVIDER,
    option: { ...OPTION, help: 'an option of the task, where the parameters are not here; may be repeated' },
    tolerance: {
      type: 'string',
      metavar: 'N',
      help: 'where runtime, library, tools or numeric class are others: numbers may differ by so much',
    },
    ...POLICY,
  },
  notes: [
    ABOUT_FILES,
    'INPUT is needed where it is not here: of images and sounds only the CID is kept. Its CID has to be that of the receipt.',
    'Exit code 0: the same output. 4: another one, under the same conditions. 1: another one, under others, so that nothing can be told',
    'but by how much it differs; or a model that gives another output each time.',
    ABOUT_POLICY,
  ].join('\n'),
  async run(context, [operand, input, ...more], values) {
    const { printer } = context
    if (operand === undefined || more.length > 0) {
      throw new UsageError('receipt verify: one receipt is wanted, and perhaps its input')
    }
    const all = await givenReceipts(context, operand)
    const hasOptions = textOptions(values, 'option').length > 0
    if (all.length > 1 && (input !== undefined || hasOptions))
      throw new UsageError('receipt verify: an input and --option are of one receipt, and the file has several')
    const providers = providersOption(values)
    const settings = { tolerance: toleranceOption(values), values, model: modelsOf(context, values), input }
    const runner = createRunner({ providers, onWarning: (message) => void printer.warning(message) })
    const failures: Error[] = []
    try {
      for (const given of all) failures.push(...(await verifyOne(context, runner, given, settings)))
    } finally {
      await runner.close()
    }
    // That one is not true counts for more than that it cannot be told of another.
    const worst = failures.find((error) => error instanceof IntegrityError) ?? failures[0]
    if (worst) throw worst
  },
}

interface VerifySettings {
  tolerance: number | undefined
  values: Values
  /** Opens the model of a receipt, each once. */
  model: (receipt: ResultReceipt) => Promise<OpenedModel>
  input: string | undefined
}

function modelsOf(context: Context, values: Values): VerifySettings['model'] {
  const opened = new Map<string, Promise<OpenedModel>>()
  return ({ model }) => {
    const reference = textOption(values, 'model') ?? `ipfs://${model.toString()}`
    const opening = opened.get(reference) ?? openTrustedModel(context, reference, values)
    opened.set(reference, opening)
    return opening
  }
}

/** @returns What is wrong with it, if anything is. */
async function verifyOne(
  { printer, signal }: Context,
  runner: Runner,
  given: GivenReceipt,
  { tolerance, values, model, input }: VerifySettings,
): Promise<Error[]> {
  const { receipt, blocks } = given
  const text = input ?? given.input
  const options = textOptions(values, 'option').length > 0 ? taskOptions(taskOf(receipt), values) : undefined
  const found = await verifyReceipt(runner, receipt, await model(receipt), {
    blocks,
    input: text === undefined ? undefined : parseTaskInput(taskOf(receipt), text),
    options,
    signal,
  })
  const { verdict, conditions, difference, result } = found
  const isWithin = verdict === 'incomparable' && tolerance !== undefined && differsByAtMost(difference, tolerance)
  const said = isWithin ? 'within tolerance' : verdict
  const output = result.receipt.output.toString()
  await printer.result(
    { receipt: given.cid.toString(), verdict: said, output, conditions, difference: difference ?? null },
    [
      `${given.cid.toString()}  ${said}: output ${output}`,
      ...conditions.map((each) => `  ${each.part}: ${printable(`${each.here}, not ${each.receipt}`)}`),
      ...(difference ? sayDifference(difference).map((line) => `  ${printable(line)}`) : []),
    ].join('\n'),
  )
  return verdict === 'same' || isWithin ? [] : [failureOf(given, found, tolerance)]
}

/** @throws {UsageError} It is no number from 0. */
function toleranceOption(values: Values): number | undefined {
  const text = textOption(values, 'tolerance')
  if (text === undefined) return undefined
  const tolerance = Number(text)
  if (text.trim() !== '' && Number.isFinite(tolerance) && tolerance >= 0) return tolerance
  throw new UsageError(`--tolerance ${text} is no number from 0`)
}

const differsByAtMost = (difference: OutputDifference | undefined, tolerance: number): boolean =>
  difference !== undefined && difference.otherCount === 0 && difference.largest <= tolerance

function sayDifference({ numbers, differing, largest, at, others, otherCount }: OutputDifference): string[] {
  const said = others.length < otherCount ? [...others, `and ${formatNumber(otherCount - others.length)} more`] : others
  if (differing === 0) return said
  const by = `by ${largest.toPrecision(3)} at most, at ${at || 'the output'}`
  return [`${formatNumber(differing)} of ${formatCount(numbers, 'number')} differ, ${by}`, ...said]
}

function failureOf(
  { receipt }: GivenReceipt,
  { verdict, conditions, difference, result }: ReceiptVerdict,
  tolerance: number | undefined,
): Error {
  const actual = result.receipt.output
  if (verdict === 'other') {
    return new IntegrityError(`the model gives ${actual}, and not ${receipt.output} as the receipt says`, {
      cid: receipt.output,
      actual,
    })
  }
  const why =
    verdict === 'undetermined'
      ? 'the model gives another output each time, or is told what day it is'
      : `${conditions.map(({ part }) => part).join(', ')} differ, so that outputs are not to be equal bit for bit; ${sayTolerance(difference, tolerance)}`
  return new BackendError(`it cannot be told whether the receipt is true: ${why}`, { retryable: false })
}

function sayTolerance(difference: OutputDifference | undefined, tolerance: number | undefined): string {
  if (difference === undefined) return 'by how much they differ is not known, for that of the receipt is not here'
  if (difference.otherCount > 0) return 'they differ in more than numbers'
  return tolerance === undefined
    ? `they differ by ${difference.largest.toPrecision(3)} at most (--tolerance)`
    : `they differ by ${difference.largest.toPrecision(3)}, which is over ${tolerance}`
}
