import { manifestToJson, type ModelManifest } from '@x/model-loader'
import { showManifest } from '@x/node'

import { BACKEND, type Command } from '../../command.ts'
import { printableJson } from '../../format.ts'
import { onlyOperand } from '../../operands.ts'
import { localReference } from './local-reference.ts'

export const modelManifest: Command = {
  name: 'model manifest',
  needsStore: true,
  operands: 'REF',
  summary: "a model's manifest as JSON: files, digests, origin, what is known of it",
  options: { ...BACKEND },
  async run(context, operands) {
    const { printer } = context
    const reference = await localReference(context, onlyOperand(operands, 'model reference'))
    const { cid, manifest, claimed } = await showManifest(await context.store('manifests'), reference, context)
    const claims = claimed ? claimsOf(manifest) : []
    const view = {
      cid: cid.toString(),
      ...(claims.length > 0 && { claimed: claims }),
      manifest: manifestToJson(manifest),
    }
    if (claims.length > 0) {
      const message = `what it says of ${claims.join(', ')} is the word of who packed or gave it, and was not checked`
      await printer.warning(message, { of: `the manifest ${cid}` })
    }
    await printer.result(view, printableJson(JSON.stringify(view, undefined, 2)))
  },
}

/** What a manifest says that nobody can see in the files: fields of it, and of its files. */
const claimsOf = ({ origin, omitted, absent, parents, files }: ModelManifest): string[] => [
  ...(origin ? ['origin'] : []),
  ...(omitted.length > 0 ? ['omitted'] : []),
  ...(absent.length > 0 ? ['absent'] : []),
  ...(parents.length > 0 ? ['parents'] : []),
  ...(files.some(({ gitOid }) => gitOid !== undefined) ? ['gitOid'] : []),
]
