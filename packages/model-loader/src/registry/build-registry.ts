import { isStorageError, type CID } from '@x/cid'
import type { AbortOptions, ContentStore, NameRecord } from '@x/storage-core'

import { isModel } from '../list-models.ts'
import { manifestSummaries } from '../manifest-record.ts'
import { listModelFiles } from '../model-files.ts'
import { parseReference } from '../parse-reference.ts'
import { isHiddenName } from '../sidecars.ts'
import { currentVersion } from '../versions.ts'
import { compareModels, isRegistryModelName } from './registry-encoding.ts'
import type { Registry, RegistryModel } from './registry.ts'

export interface BuildRegistryOptions extends AbortOptions {
  /** Names that begin so. Default: all. */
  prefix?: string | undefined
}

export interface BuiltRegistry extends Registry {
  /** Names that are left out: they are not `org/name`, or what they point to is no model, or not held. */
  omitted: readonly string[]
}

/** What the names of a store that users gave mean. Files are not verified. */
export async function buildRegistry(
  store: ContentStore,
  { prefix = '', signal }: BuildRegistryOptions = {},
): Promise<BuiltRegistry> {
  const records: NameRecord[] = []
  for await (const record of store.names.list({ prefix, signal })) {
    if (!isHiddenName(record.name)) records.push(record)
  }
  const names = new Set(records.map(({ name }) => name))
  const manifests = await manifestSummaries(store, { signal })
  const measured = new Map<string, Promise<{ files: number; size: number } | undefined>>()
  const models: RegistryModel[] = []
  const omitted: string[] = []
  for (const record of records) {
    const parsed = modelName(record.name)
    if (!parsed) {
      omitted.push(record.name)
      continue
    }
    const { name, version } = parsed
    const promoted = version === undefined ? currentVersion(record) : undefined
    // The bare name is said by the version that it stands for.
    if (promoted !== undefined && names.has(`${name}@${promoted}`)) continue
    const key = record.cid.toV1().toString()
    const measuring = measured.get(key) ?? measure(store, record.cid, { signal })
    measured.set(key, measuring)
    const size = await measuring
    if (!size) {
      omitted.push(record.name)
      continue
    }
    const pointer = version === undefined ? record : await store.names.get(name, { signal })
    const known = manifests.get(key)
    models.push({
      ...(known?.summary ?? { baseModels: [], tags: [], dtypes: [] }),
      name,
      ...(version !== undefined && { version }),
      current: version === undefined || (pointer !== undefined && currentVersion(pointer) === version),
      cid: record.cid,
      ...(known?.cid && { manifest: known.cid }),
      ...size,
    })
  }
  return { models: models.toSorted(compareModels), omitted }
}

/** `undefined`: a store takes it for a name, and no reference reaches it, or it is not `org/name`. */
function modelName(text: string): { name: string; version?: string } | undefined {
  try {
    const parsed = parseReference(text)
    return parsed.kind === 'name' && isRegistryModelName(parsed.name) ? parsed : undefined
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}

/** `undefined`: no model, or not held. */
async function measure(
  store: ContentStore,
  cid: CID,
  options: AbortOptions,
): Promise<{ files: number; size: number } | undefined> {
  if (!(await store.has(cid, options)) || !(await isModel(store, cid, options))) return undefined
  const files = await listModelFiles(store, cid, options)
  return { files: files.length, size: files.reduce((sum, file) => sum + file.size, 0) }
}
