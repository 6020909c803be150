import type { CID } from '@x/cid'

import type { ManifestSummary } from '../manifest-summary.ts'

/** A model under one of its names, as a registry has it. */
export interface RegistryModel extends ManifestSummary {
  /** `org/name`. */
  name: string
  /** Absent: the name means this model, and no version of it was given. */
  version?: string | undefined
  /** Whether the bare name means it. */
  current: boolean
  /** The root of the model's directory. */
  cid: CID
  /** Its manifest's block, where the publisher has one. */
  manifest?: CID | undefined
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
}

/** What names and versions mean. A stranger's, signed or not: it says which CID, and the CID says which bytes. */
export interface Registry {
  /** Sorted by name, then by version; a name without a version comes first. */
  models: readonly RegistryModel[]
}

/** Of the signed document, in JSON. */
export const MAX_REGISTRY_BYTES = 16_777_216
export const REGISTRY_KIND = 'registry'
