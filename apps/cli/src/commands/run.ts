import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'

import { writePartialCar } from '@x/cid'
import { receiptToJson, toJson, toTask } from '@x/infer-core'
import { createRunner, type TaskResult } from '@x/infer-node'
import { resultMode, writeWholeFile } from '@x/node'

import { BACKEND, textOption, type Command, type Context, type Values } from '../command.ts'
import { formatOutput, printable } from '../format.ts'
import type { Io } from '../io.ts'
import { ABOUT_POLICY, openTrustedModel, POLICY } from '../open-trusted-model.ts'
import { resultCache } from '../results.ts'
import { assertSparesInputs } from '../spare-inputs.ts'
import { parseTaskInput } from '../task-operand.ts'
import { OPTION, taskOptions } from '../task-options.ts'
import { UsageError } from '../usage-error.ts'

export const run: Command = {
  name: 'run',
  needsStore: true,
  operands: 'TASK [INPUT... or -]',
  summary: 'run a model on texts, paths of images or WAV files, or JSON; - reads one input a line',
  options: {
    model: {
      type: 'string',
      metavar: 'REF',
      help: 'ipfs://<cid>, CID, name, hf:// or s3:// that was pulled, or a directory such as ./model',
    },
    option: OPTION,
    cache: {
      type: 'string',
      metavar: 'C',
      help: 'use (default) what was computed before, refresh it, or bypass: neither read nor kept',
    },
    receipt: {
      type: 'string',
      metavar: 'FILE',
      help: 'write the receipt there, with its output, parameters and input: a CAR, for receipt verify',
    },
    force: { type: 'boolean', help: 'replace the FILE of --receipt when it is there' },
    ...POLICY,
    ...BACKEND,
  },
  notes: [
    'An input of several parts is a JSON object: {"question": "...", "context": "..."}, {"query": "...", "documents": ["..."]},',
    '{"question": "...", "image": PATH}, {"text": "...", "image": PATH}; for speech {"text": "...", "voice": PATH}.',
    'With --backend the model is fetched into the local store first, where it is not there, and run from there.',
    'Without --cache: IPFS_ACCELERATE_RESULTS. The model is verified, and has to be trusted, also where its result is kept.',
    ABOUT_POLICY,
  ].join('\n'),
  async run(context, [name, ...inputs], values) {
    const { printer, signal } = context
    const reference = textOption(values, 'model')
    if (name === undefined) throw new UsageError('run: a task is wanted')
    const task = toTask(name)
    if (reference === undefined) throw new UsageError('run: --model REF is wanted')
    if (inputs.length === 0) throw new UsageError('run: an input is wanted; - reads one a line from standard input')
    const file = await receiptFile(context, inputs, values)
    const options = taskOptions(task, values)
    const mode = resultMode(context.io.environment, '--cache', textOption(values, 'cache'))
    const model = await openTrustedModel(context, reference, values)
    const cache = mode === 'bypass' ? undefined : await resultCache(context)
    const onWarning = (message: string): void => void printer.warning(message)
    const runner = createRunner({ cache, onWarning })
    try {
      for await (const input of eachInput(inputs, context.io)) {
        const given = [parseTaskInput(task, input)]
        for await (const result of runner.run(task, model, given, { options, cache: mode, signal })) {
          if (file !== undefined) {
            await writeWholeFile(file, receiptCar(result), { force: values['force'] === true, signal })
          }
          await print(context, input, result)
        }
      }
    } finally {
      await runner.close()
    }
  },
}

/**
 * Where the receipt shall be written.
 *
 * @throws {UsageError} There may be several, or it would replace what is read.
 */
async function receiptFile(
  context: Context,
  [first = '-', ...more]: readonly string[],
  values: Values,
): Promise<string | undefined> {
  const file = textOption(values, 'receipt')
  if (file === undefined && values['force']) throw new UsageError('run: --force needs --receipt FILE')
  if (file === undefined) return undefined
  if (file === '') throw new UsageError('run: --receipt is empty')
  if (more.length > 0 || first === '-') throw new UsageError('run: --receipt is of one result, so of one input')
  await assertSparesInputs(context, file, [['INPUT', first]], '--receipt')
  return file
}

/** The receipt, and of what it names what is no model. */
function receiptCar({ receiptCid, blocks }: TaskResult): AsyncIterable<Uint8Array> {
  const find = async (cid: typeof receiptCid): Promise<Uint8Array> => {
    const block = blocks.find((each) => each.cid.equals(cid))
    if (block === undefined) throw new TypeError('a result without its receipt')
    return block.bytes
  }
  return writePartialCar(find, receiptCid, {
    scope: 'block',
    before: blocks.filter(({ cid }) => !cid.equals(receiptCid)),
  })
}

/** The inputs as given; `-` stands for the lines of standard input, empty ones left out. */
async function* eachInput(inputs: readonly string[], { stdin, signal }: Io): AsyncGenerator<string> {
  for (const input of inputs) {
    if (input !== '-') {
      yield input
      continue
    }
    const lines = createInterface({ input: Readable.from(stdin, { signal }), crlfDelay: Infinity, signal })
    for await (const line of lines) {
      signal.throwIfAborted()
      if (line !== '') yield line
    }
    // A reader that was stopped ends like one that is through.
    signal.throwIfAborted()
  }
}

async function print(
  { printer }: Context,
  input: string,
  { output, from, vouchedBy, receipt, receiptCid }: TaskResult,
): Promise<void> {
  const json = toJson(output)
  const by = vouchedBy && printable(vouchedBy.name ?? vouchedBy.fingerprint ?? vouchedBy.subject ?? vouchedBy.method)
  const signed = by === undefined ? '' : `, computed elsewhere and signed by ${by}`
  await printer.result(
    { input, output: json, from, vouchedBy: vouchedBy ?? null, receipt: receiptToJson(receipt, receiptCid) },
    `${printable(input)}\n  ${formatOutput(json)}\n  ${FROM[from]}${signed}; model ${receipt.model.toString()}, output ${receipt.output.toString()}, receipt ${receiptCid.toString()}`,
  )
}

const FROM: Readonly<Record<TaskResult['from'], string>> = {
  computed: 'computed',
  joined: 'computed',
  memory: 'kept in memory',
  disk: 'kept on disk',
}
