import { searchModels, searchRegistries } from '@x/model-loader'

import { BACKEND, textOption, textOptions, type Command } from '../../command.ts'
import { parseByteCount } from '../../operands.ts'
import { UsageError } from '../../usage-error.ts'
import { printModel, toLine } from './print-model.ts'

export const modelSearch: Command = {
  name: 'model search',
  needsStore: true,
  operands: '[TEXT]',
  summary: 'models by what their files say of them; TEXT is part of a name, repository or base model',
  options: {
    task: { type: 'string', metavar: 'T', help: 'such as feature-extraction' },
    architecture: { type: 'string', metavar: 'A', help: 'a part of it, such as bert' },
    dtype: { type: 'string', metavar: 'D', help: 'has such a variant: fp32, q8, BF16' },
    licence: { type: 'string', metavar: 'L', help: 'such as apache-2.0' },
    tag: { type: 'string', multiple: true, metavar: 'T', help: 'may be repeated; all of them are wanted' },
    'min-size': { type: 'string', metavar: 'N', help: 'bytes of all files' },
    'max-size': { type: 'string', metavar: 'N', help: 'bytes of all files' },
    ...BACKEND,
  },
  notes: `Models that are held are found by the names of registries that are followed, too. What only these have is listed after it; \`model pull\`
fetches one by its name.`,
  async run(context, [text, ...more], values) {
    if (more.length > 0) throw new UsageError('model search: one text at most')
    const query = {
      text,
      task: textOption(values, 'task'),
      architecture: textOption(values, 'architecture'),
      dtype: textOption(values, 'dtype'),
      licence: textOption(values, 'licence'),
      tags: textOptions(values, 'tag'),
      minBytes: parseByteCount('min-size', textOption(values, 'min-size')),
      maxBytes: parseByteCount('max-size', textOption(values, 'max-size')),
    }
    const store = await context.store('list of roots')
    for await (const model of searchModels(store, query, context)) {
      await printModel(context, { ...toLine(model), registryNames: model.registryNames })
    }
    for await (const { cid, manifest: _manifest, current: _current, ...model } of searchRegistries(
      store,
      query,
      context,
    )) {
      await printModel(context, { cid: cid.toString(), ...model })
    }
  },
}
