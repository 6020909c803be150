import { listModels, showModel, type ModelSummary } from '@x/model-loader'
import { addModel, pathSource } from '@x/node'

import { withAddProgress } from '../add-progress.ts'
import { MAX_BYTES, textOption, type Command, type Context } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { noOperands, onlyOperand } from '../operands.ts'

export const modelAdd: Command = {
  name: 'model add',
  operands: 'DIR',
  summary: 'store a model repository; its CID is the root of the directory',
  options: {
    name: { type: 'string', placeholder: 'ORG/NAME', help: 'a name that shall point to it' },
    'no-pin': { type: 'boolean', help: 'let garbage collection take it' },
    ...MAX_BYTES,
  },
  async run(context, operands, values) {
    const directory = onlyOperand(operands, 'model directory')
    const source = await pathSource(directory, { symlinks: 'follow' })
    const store = await context.storage()
    const { cid, name, files, size } = await withAddProgress(context, directory, source, (onProgress) =>
      addModel(store, directory, {
        name: textOption(values, 'name'),
        pin: !values['no-pin'],
        signal: context.signal,
        onProgress,
      }),
    )
    await printModel(context, { cid: cid.toString(), name: name ?? null, files, size })
  },
}

export const modelLs: Command = {
  name: 'model ls',
  needsStore: true,
  operands: '',
  summary: 'list the models that are stored',
  options: {},
  async run(context, operands) {
    noOperands(operands)
    const store = await context.storage()
    for await (const model of listModels(store, { signal: context.signal })) await printModel(context, toLine(model))
  },
}

export const modelShow: Command = {
  name: 'model show',
  needsStore: true,
  operands: 'REF',
  summary: 'one model, by ipfs://<cid>, CID or name',
  options: {},
  async run(context, operands) {
    const reference = onlyOperand(operands, 'model reference')
    const model = await showModel(await context.storage(), reference, { signal: context.signal })
    await printModel(context, toLine(model))
  },
}

interface ModelLine {
  cid: string
  name: string | null
  files: number
  size: number
}

const toLine = ({ cid, name, files, size }: ModelSummary): ModelLine => ({
  cid: cid.toString(),
  name: name ?? null,
  files,
  size,
})

async function printModel({ printer }: Context, model: ModelLine): Promise<void> {
  const { cid, name, files, size } = model
  await printer.result(
    model,
    `ipfs://${cid}  ${files} files  ${formatBytes(size)}  ${name === null ? '' : printable(name)}`.trimEnd(),
  )
}
