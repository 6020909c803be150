import type { ModelReference } from '@x/model-loader'

import type { Values } from '../../command.ts'
import { UsageError } from '../../usage-error.ts'

const OF_HUB = ['dtype', 'include', 'exclude', 'all']
const OF_CID = ['from', 'manifest']

const PLACES: Partial<Record<ModelReference['kind'], string>> = { hub: 'hf://...', s3: 's3://...' }

/** What a name is, the store has to say. @throws {UsageError} An option was given that would do nothing for such a reference. */
export function assertPullOptions(kind: ModelReference['kind'], values: Values): void {
  const given = (options: readonly string[]): string | undefined => options.find((name) => values[name] !== undefined)
  const ofHub = kind === 'cid' || kind === 'ipns' ? given(OF_HUB) : undefined
  if (ofHub !== undefined) {
    throw new UsageError(`model pull: --${ofHub} chooses files of a hub; by CID all of a model is pulled`)
  }
  const ofCid = kind === 'hub' || kind === 's3' ? given(OF_CID) : undefined
  if (ofCid !== undefined) {
    throw new UsageError(`model pull: --${ofCid} is for a model by CID; ${PLACES[kind] ?? kind} comes from there`)
  }
}
