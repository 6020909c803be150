import type { AbortOptions, ContentStore } from '@x/storage-core'

import { listModels, type ModelSummary } from './list-models.ts'
import type { FoundInRegistry } from './registry/find-in-registries.ts'
import { listRegistries, readRegistry } from './registry/followed-registries.ts'

/** What a model has to be: all of it. What a model's manifest does not say, it is not. */
export interface ModelQuery {
  /** `feature-extraction`. */
  task?: string | undefined
  /** `BertModel`; also a part of it, in any case: `bert`. */
  architecture?: string | undefined
  /** One of its variants: `q8`, `BF16`. In any case. */
  dtype?: string | undefined
  /** In any case. */
  licence?: string | undefined
  /** Each of them. In any case. */
  tags?: readonly string[] | undefined
  /** Bytes of all files. */
  minBytes?: number | undefined
  /** Bytes of all files. */
  maxBytes?: number | undefined
  /** A part of a name, of its repository, or of its base models, in any case. */
  text?: string | undefined
}

/** What a registry that is followed calls a model. */
export interface RegistryName {
  name: string
  version?: string | undefined
  /** The name of the registry that says so. */
  registry: string
}

export interface FoundModel extends ModelSummary {
  /** It is found by these as well as by its own names, and is what they mean where no name of the store's is the same. */
  registryNames: readonly RegistryName[]
}

/** The models of a store that answer a query, as `listModels` gives them, with what registries call them. */
export async function* searchModels(
  store: ContentStore,
  query: ModelQuery,
  options: AbortOptions = {},
): AsyncGenerator<FoundModel> {
  let called: ReadonlyMap<string, readonly RegistryName[]> | undefined
  for await (const model of listModels(store, options)) {
    called ??= await namesInRegistries(store, options)
    const registryNames = called.get(model.cid.toV1().toString()) ?? []
    const names = [...model.names, ...registryNames.map((each) => written(each))]
    if (answers({ ...model, names }, query)) yield { ...model, registryNames }
  }
}

/** By the CID that is meant. */
async function namesInRegistries(store: ContentStore, options: AbortOptions): Promise<Map<string, RegistryName[]>> {
  const called = new Map<string, RegistryName[]>()
  for await (const { name: registry } of listRegistries(store, options)) {
    for (const { cid, name, version } of (await readRegistry(store, registry, options)).models) {
      const key = cid.toV1().toString()
      const names = called.get(key) ?? []
      names.push({ name, ...(version !== undefined && { version }), registry })
      called.set(key, names)
    }
  }
  return called
}

const written = ({ name, version }: { name: string; version?: string | undefined }): string =>
  version === undefined ? name : `${name}@${version}`

/** What the registries that a store follows say of models that answer a query, and that it does not hold. */
export async function* searchRegistries(
  store: ContentStore,
  query: ModelQuery,
  options: AbortOptions = {},
): AsyncGenerator<FoundInRegistry> {
  for await (const { name: registry } of listRegistries(store, options)) {
    const { models } = await readRegistry(store, registry, options)
    for (const model of models) {
      if (
        answers({ facts: model, names: [written(model)], size: model.size }, query) &&
        !(await store.has(model.cid, options))
      ) {
        yield { ...model, registry }
      }
    }
  }
}

function answers({ facts, names, size }: Pick<ModelSummary, 'facts' | 'names' | 'size'>, query: ModelQuery): boolean {
  const { task, architecture, dtype, licence, tags = [], minBytes = 0, maxBytes = Infinity, text } = query
  const told = [...names, facts?.origin?.repo ?? '', ...(facts?.baseModels ?? [])]
  return (
    (task === undefined || same(facts?.task, task)) &&
    (architecture === undefined || contains(facts?.architecture, architecture)) &&
    (dtype === undefined || (facts?.dtypes ?? []).some((item) => same(item, dtype))) &&
    (licence === undefined || same(facts?.licence, licence)) &&
    tags.every((tag) => (facts?.tags ?? []).some((item) => same(item, tag))) &&
    size >= minBytes &&
    size <= maxBytes &&
    (text === undefined || told.some((item) => contains(item, text)))
  )
}

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase()

const contains = (whole: string | undefined, part: string): boolean =>
  whole?.toLowerCase().includes(part.toLowerCase()) ?? false
