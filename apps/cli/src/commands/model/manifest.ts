import { manifestToJson } from '@x/model-loader'
import { showManifest } from '@x/node'

import { BACKEND, type Command } from '../../command.ts'
import { onlyOperand } from '../../operands.ts'
import { localReference } from './local-reference.ts'

export const modelManifest: Command = {
  name: 'model manifest',
  needsStore: true,
  operands: 'REF',
  summary: "a model's manifest as JSON: files, digests, origin, what is known of it",
  options: { ...BACKEND },
  async run(context, operands) {
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const { cid, manifest } = await showManifest(await context.store('manifests'), reference, context)
    const view = { cid: cid.toString(), manifest: manifestToJson(manifest) }
    await context.printer.result(view, JSON.stringify(view, undefined, 2))
  },
}
