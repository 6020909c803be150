import { listModels, showModel } from '@x/model-loader'

import { BACKEND, type Command } from '../../command.ts'
import { noOperands, onlyOperand } from '../../operands.ts'
import { localReference } from './local-reference.ts'
import { printModel, toLine } from './print-model.ts'

export const modelLs: Command = {
  name: 'model ls',
  needsStore: true,
  operands: '',
  summary: 'list the models that are stored: directories with a config.json or a .gguf file',
  options: { ...BACKEND },
  async run(context, operands) {
    noOperands(operands)
    const store = await context.store('list of roots; `model show CID` shows a model')
    for await (const model of listModels(store, { signal: context.signal })) await printModel(context, toLine(model))
  },
}

export const modelShow: Command = {
  name: 'model show',
  needsStore: true,
  operands: 'REF',
  summary: 'one model, by ipfs://<cid>, CID, name, or ipns://<name> with a Kubo daemon',
  options: { ...BACKEND },
  async run(context, operands) {
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const model = await showModel(await context.source(), reference, { signal: context.signal })
    await printModel(context, toLine(model))
  },
}
