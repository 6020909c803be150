import { InvalidInputError, type CID } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { assertVersion } from './assert-version.ts'
import { assertModelName, pointName, promoteVersion, registerVersion } from './versions.ts'

export interface Naming {
  /** `org/name`; points to the model afterwards. Default: none. */
  name?: string | undefined
  /** A version of that name, which is promoted. */
  version?: string | undefined
}

/** @throws {InvalidInputError} The name or version cannot be given. */
export function assertNaming({ name, version }: Naming): void {
  if (name !== undefined) assertModelName(name)
  if (version === undefined) return
  if (name === undefined) throw new InvalidInputError(`version ${version} needs a name`, { input: version })
  assertVersion(version)
}

/** Gives a model that is held its name. */
export async function giveName(
  store: ContentStore,
  cid: CID,
  { name, version, signal }: Naming & AbortOptions,
): Promise<void> {
  if (name === undefined) return
  if (version === undefined) return pointName(store, name, cid, { signal })
  await registerVersion(store, name, version, cid, { signal })
  await promoteVersion(store, name, version, { signal })
}
