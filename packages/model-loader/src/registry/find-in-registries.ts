import { InvalidInputError } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { listRegistries, readRegistry } from './followed-registries.ts'
import type { RegistryModel } from './registry.ts'

export interface FoundInRegistry extends RegistryModel {
  /** The name of the registry that says so. */
  registry: string
}

/**
 * What the registries that a store follows say of a name. It says which CID it is, not whether anybody has it.
 *
 * @param wanted.version - Default: the one that is current.
 * @returns `undefined`: none knows the name, or that version of it.
 * @throws {InvalidInputError} Two of them say that it is another model each.
 */
export async function findInRegistries(
  store: ContentStore,
  { name, version }: { name: string; version?: string | undefined },
  { signal }: AbortOptions = {},
): Promise<FoundInRegistry | undefined> {
  let found: FoundInRegistry | undefined
  for await (const { name: registry } of listRegistries(store, { signal })) {
    const { models } = await readRegistry(store, registry, { name, signal })
    const model = models.find((each) => (version === undefined ? each.current : each.version === version))
    if (!model) continue
    if (found && !found.cid.toV1().equals(model.cid.toV1())) {
      const reference = version === undefined ? name : `${name}@${version}`
      const both = `${found.cid} by ${found.registry}, and ${model.cid} by ${registry}`
      throw new InvalidInputError(`${reference} is ${both}; give a CID`, { input: reference })
    }
    found ??= { ...model, registry }
  }
  return found
}
