import { parseReference } from '@x/model-loader'
import { assertReference, resolveModel } from '@x/node'

import type { Context } from '../../command.ts'
import { needsKubo } from '../../resolve-root.ts'

/** The reference itself, or the CID that a name of IPNS points to. */
export async function localReference({ named, backend: open, signal }: Context, reference: string): Promise<string> {
  if (named) assertReference(named.kind, reference)
  if (parseReference(reference).kind !== 'ipns') return reference
  const backend = await open()
  if (!backend) throw needsKubo(reference)
  return `ipfs://${await resolveModel(backend, reference, { signal })}`
}
