import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'

import { parseOption, receiptToJson, toJson, toTask, type ParamValue } from '@x/infer-core'
import { createRunner, type TaskResult } from '@x/infer-node'
import type { OpenedModel } from '@x/model-loader'
import { assertReference, fetchModel, openModel, signingSettings } from '@x/node'
import type { AbortOptions } from '@x/storage-core'

import { BACKEND, textOption, textOptions, type Command, type Context } from '../command.ts'
import { formatOutput, printable } from '../format.ts'
import type { Io } from '../io.ts'
import { signingValues, TRUST } from '../signing-options.ts'
import { parseTaskInput } from '../task-operand.ts'
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
    option: { type: 'string', multiple: true, metavar: 'K=V', help: 'an option of the task; may be repeated' },
    trust: TRUST,
    unsigned: { type: 'string', metavar: 'P', help: 'allow (default), warn or refuse; with --trust default refuse' },
    pickle: {
      type: 'string',
      metavar: 'P',
      help: 'list (default), or refuse models with files that Python would unpickle',
    },
    ...BACKEND,
  },
  notes: [
    'An input of several parts is a JSON object: {"question": "...", "context": "..."}, {"query": "...", "documents": ["..."]},',
    '{"question": "...", "image": PATH}, {"text": "...", "image": PATH}; for speech {"text": "...", "voice": PATH}.',
    'With --backend the model is fetched into the local store first, where it is not there, and run from there.',
    'Without --trust, --unsigned and --pickle: IPFS_ACCELERATE_TRUSTED_KEYS, IPFS_ACCELERATE_UNSIGNED, IPFS_ACCELERATE_PICKLE.',
  ].join('\n'),
  async run(context, [name, ...inputs], values) {
    const { signal } = context
    const reference = textOption(values, 'model')
    if (name === undefined) throw new UsageError('run: a task is wanted')
    const task = toTask(name)
    if (reference === undefined) throw new UsageError('run: --model REF is wanted')
    if (inputs.length === 0) throw new UsageError('run: an input is wanted; - reads one a line from standard input')
    const options: Record<string, ParamValue> = {}
    for (const text of textOptions(values, 'option')) {
      const { key, value } = splitOption(text)
      options[key] = parseOption(task, key, value)
    }
    const policy = signingSettings(context.io.environment, signingValues(values))
    const onWarning = (message: string): void => void context.printer.warning(message)
    const open = (wanted: string, given: AbortOptions): Promise<OpenedModel> =>
      openModel(context.storage, wanted, { policy, onWarning, ...given })
    const runner = createRunner({ openModel: open })
    try {
      const model = await open(await localReference(context, reference), { signal })
      for await (const input of eachInput(inputs, context.io)) {
        for await (const result of runner.run(task, model, [parseTaskInput(task, input)], { options, signal })) {
          await print(context, input, result)
        }
      }
      await model.close()
    } finally {
      await runner.close()
    }
  },
}

/** The reference itself, or the CID of what was fetched because of it. */
async function localReference(
  { named, backend: open, storage, printer, signal }: Context,
  reference: string,
): Promise<string> {
  if (named) assertReference(named.kind, reference)
  const backend = await open()
  if (backend === undefined) return reference
  const bar = printer.progress(reference, { unit: 'block' })
  const cid = await fetchModel(await storage(), backend, reference, {
    signal,
    onProgress: ({ fetched, blocks }) => bar.update({ bytes: fetched, items: blocks }),
  })
  bar.clear()
  return `ipfs://${cid}`
}

function splitOption(text: string): { key: string; value: string } {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`--option ${text} is not of the form key=value`)
  return { key: text.slice(0, equals), value: text.slice(equals + 1) }
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

async function print({ printer }: Context, input: string, { output, receipt, receiptCid }: TaskResult): Promise<void> {
  const json = toJson(output)
  await printer.result(
    { input, output: json, receipt: receiptToJson(receipt, receiptCid) },
    `${printable(input)}\n  ${formatOutput(json)}\n  model ${receipt.model.toString()}, output ${receipt.output.toString()}, receipt ${receiptCid.toString()}`,
  )
}
