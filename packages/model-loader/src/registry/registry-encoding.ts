import { InvalidInputError, isStorageError, parseCid, type CID } from '@x/cid'
import { assertRepo } from '@x/hub-client/names'

import { assertVersion } from '../assert-version.ts'
import { compareText } from '../compare.ts'
import type { ModelOrigin } from '../manifest.ts'
import { assertModelName } from '../versions.ts'
import type { Registry, RegistryModel } from './registry.ts'

const SCHEMA = 1
const MAX_MODELS = 100_000
/** As in a manifest. */
const MAX_TEXT = 1000
const MAX_ITEMS = 1000
/** Of all lists of a model together, so that it goes into a block. */
const MAX_LISTED = 200_000

const FIELDS = ['schema', 'models']
const MODEL_FIELDS = [
  'name',
  'version',
  'current',
  'cid',
  'manifest',
  'files',
  'size',
  'task',
  'architecture',
  'licence',
  'baseModels',
  'tags',
  'dtypes',
  'origin',
]

/** What is signed: plain data for JSON. What is not known is left out, and so are empty lists and `current: false`. */
export function registryToJson({ models }: Registry): { schema: number; models: object[] } {
  if (models.length > MAX_MODELS) {
    throw new InvalidInputError(`${models.length} models; a registry has ${MAX_MODELS} at most`, { input: 'models' })
  }
  return { schema: SCHEMA, models: models.map((model) => toJson(model)) }
}

function toJson({ cid, manifest, current, baseModels, tags, dtypes, origin, ...rest }: RegistryModel): object {
  const fields: Record<string, unknown> = {
    ...rest,
    current: current || undefined,
    cid: cid.toString(),
    manifest: manifest?.toString(),
    baseModels: filled(baseModels),
    tags: filled(tags),
    dtypes: filled(dtypes),
    origin: origin && { repo: origin.repo, revision: origin.revision },
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

const filled = <T>(items: readonly T[]): readonly T[] | undefined => (items.length === 0 ? undefined : items)

/**
 * Reads a registry. A good signature says who wrote it, not that it makes sense: every field is checked.
 *
 * @param value - What JSON held.
 * @throws {InvalidInputError} It is no registry, of another schema, has a field that is not known, a name or version that no
 *   reference reaches, a CID that is none, a name that is there twice or means two models, or is not sorted.
 */
export function registryFromJson(value: unknown): Registry {
  const fields = fieldsOf(value, FIELDS, 'the registry')
  if (fields.schema !== SCHEMA) {
    throw refusal(`its schema is ${JSON.stringify(fields.schema)?.slice(0, 40) ?? 'missing'}, not ${SCHEMA}`)
  }
  if (!Array.isArray(fields.models)) throw refusal('models is no list')
  if (fields.models.length > MAX_MODELS) throw refusal(`it has over ${MAX_MODELS} models`)
  const models = fields.models.map((model: unknown, index) => toModel(model, `models[${index}]`))
  assertOrder(models)
  return { models }
}

function toModel(value: unknown, at: string): RegistryModel {
  const fields = fieldsOf(value, MODEL_FIELDS, at)
  const name = checked(at, () => {
    const text = toText(fields.name, `${at}.name`)
    assertModelName(text)
    if (!isRegistryModelName(text)) throw refusal(`${at}.name ${JSON.stringify(text)} is not org/name`)
    return text
  })
  const version = optional(fields.version, (given) =>
    checked(at, () => {
      const text = toText(given, `${at}.version`)
      assertVersion(text)
      return text
    }),
  )
  if (fields.current !== undefined && fields.current !== true) throw refusal(`${at}.current is not true`)
  const current = fields.current === true
  if (version === undefined && !current) throw refusal(`${at}: a name without a version is what it means: current`)
  const lists = {
    baseModels: toTexts(fields.baseModels, `${at}.baseModels`),
    tags: toTexts(fields.tags, `${at}.tags`),
    dtypes: toTexts(fields.dtypes, `${at}.dtypes`),
  }
  const listed = Object.values(lists).flat()
  if (listed.reduce((sum, { length }) => sum + length, 0) > MAX_LISTED) {
    throw refusal(`${at} has lists of over ${MAX_LISTED} characters`)
  }
  const texts = { task: fields.task, architecture: fields.architecture, licence: fields.licence }
  return {
    name,
    ...(version !== undefined && { version }),
    current,
    cid: toCid(fields.cid, `${at}.cid`),
    ...(fields.manifest !== undefined && { manifest: toCid(fields.manifest, `${at}.manifest`) }),
    files: toCount(fields.files, `${at}.files`),
    size: toCount(fields.size, `${at}.size`),
    ...Object.fromEntries(
      Object.entries(texts)
        .filter(([, text]) => text !== undefined)
        .map(([field, text]) => [field, toText(text, `${at}.${field}`)]),
    ),
    ...lists,
    ...(fields.origin !== undefined && { origin: toOrigin(fields.origin, `${at}.origin`) }),
  }
}

/** Sorted, nothing twice, and one model at most for a bare name. */
function assertOrder(models: readonly RegistryModel[]): void {
  let before: RegistryModel | undefined
  let meant: string | undefined
  for (const model of models) {
    const { name, version, current } = model
    const order = before === undefined ? -1 : compareModels(before, model)
    const shown = JSON.stringify(version === undefined ? name : `${name}@${version}`)
    if (order >= 0) throw refusal(`${shown} is out of order or there twice`)
    if (current && meant === name) throw refusal(`${JSON.stringify(name)} means two models`)
    if (current) meant = name
    before = model
  }
}

/** `org/name`. A store may call a model otherwise, for itself; what others follow has who says so before it. */
export const isRegistryModelName = (name: string): boolean => /^[^/]+\/[^/]+$/.test(name)

/** By name, then by version; without one first. */
export const compareModels = (
  a: Pick<RegistryModel, 'name' | 'version'>,
  b: Pick<RegistryModel, 'name' | 'version'>,
): number => compareText(a.name, b.name) || compareText(a.version ?? '', b.version ?? '')

function toOrigin(value: unknown, at: string): ModelOrigin {
  const fields = fieldsOf(value, ['repo', 'revision'], at)
  const repo = toText(fields.repo, `${at}.repo`)
  checked(at, () => assertRepo(repo))
  const { revision } = fields
  if (typeof revision !== 'string' || !/^[0-9a-f]{40}$/.test(revision)) throw refusal(`${at}.revision is no commit`)
  return { repo, revision }
}

function toCount(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw refusal(`${at} is no count`)
  return value
}

function toTexts(value: unknown, at: string): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length === 0) throw refusal(`${at} is no list with something in it`)
  if (value.length > MAX_ITEMS) throw refusal(`${at} has over ${MAX_ITEMS} items`)
  return value.map((item: unknown) => toText(item, at))
}

function toText(value: unknown, at: string): string {
  if (typeof value !== 'string') throw refusal(`${at} is no text`)
  if (value.length > MAX_TEXT) throw refusal(`${at} is over ${MAX_TEXT} characters long`)
  return value
}

function toCid(value: unknown, at: string): CID {
  return checked(at, () => parseCid(toText(value, at)))
}

const optional = <T>(value: unknown, read: (value: unknown) => T): T | undefined =>
  value === undefined ? undefined : read(value)

/** What a check of one part refuses, with the place of that part. */
function checked<T>(at: string, check: () => T): T {
  try {
    return check()
  } catch (cause) {
    if (!isStorageError(cause) || cause.code !== 'INVALID_INPUT') throw cause
    if (cause.message.startsWith(PREFIX)) throw cause
    throw refusal(`${at}: ${cause.message}`, cause)
  }
}

/** No fields but these: a registry with others is of a schema that is not known here. */
function fieldsOf(value: unknown, names: readonly string[], at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(`${at} is no map`)
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((name) => !names.includes(name))
  if (stranger !== undefined) throw refusal(`${at} has an unknown field ${JSON.stringify(stranger.slice(0, 60))}`)
  return fields
}

const PREFIX = 'not a registry: '

function refusal(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`${PREFIX}${why}`, { input: 'registry', cause })
}
