import { InvalidInputError, type CID } from '@x/cid'
import {
  ConflictError,
  NotFoundError,
  type AbortOptions,
  type ContentStore,
  type JsonValue,
  type NameRecord,
} from '@x/storage-core'

import { assertVersion } from './assert-version.ts'
import { parseReference } from './parse-reference.ts'

/** How many versions a name remembers to have had. */
const MAX_HISTORY = 100
/** How often a name is set anew when others set it at the same time. */
const MAX_TRIES = 5

/** A version of a named model. It never comes to mean another one. */
export interface ModelVersion {
  /** `org/name`. */
  name: string
  version: string
  /** The model. */
  cid: CID
  /** ISO 8601, UTC. */
  registeredAt: string
  /** Whether the bare name points to it. */
  current: boolean
}

export interface Promotion {
  name: string
  version: string
  cid: CID
  /** What the name stood for until now; absent when it was free, or had no version. */
  previous?: string | undefined
}

/** The name that a version has in a store. */
export const versionName = (name: string, version: string): string => `${name}@${version}`

/**
 * Names a model `name@version`, which keeps it from `gc`. The bare name does not move: `promoteVersion` does that.
 *
 * @throws {ConflictError} The version is there, and is another model.
 * @throws {InvalidInputError} A name that no reference reaches, or no version.
 */
export async function registerVersion(
  store: ContentStore,
  name: string,
  version: string,
  cid: CID,
  { signal }: AbortOptions = {},
): Promise<void> {
  assertModelName(name)
  assertVersion(version)
  const key = versionName(name, version)
  try {
    await store.names.set(key, cid, { metadata: { kind: 'model-version' }, expected: null, signal })
  } catch (cause) {
    if (!(cause instanceof ConflictError)) throw cause
    if (cause.current?.toV1().equals(cid.toV1())) return
    throw new ConflictError(`${key} is ${cause.current} already; a version does not come to mean another model`, {
      current: cause.current,
      cause,
    })
  }
}

/**
 * Lets a name point to one of its versions.
 *
 * @throws {NotFoundError} No such version.
 * @throws {ConflictError} Somebody else moved the name at the same time.
 */
export async function promoteVersion(
  store: ContentStore,
  name: string,
  version: string,
  { signal }: AbortOptions = {},
): Promise<Promotion> {
  const before = await store.names.get(name, { signal })
  const record = await recordOf(store, name, version, signal)
  const { history, version: previous } = pointerOf(before)
  const past = previous === undefined || previous === version ? history : [...history, previous]
  return move(store, before, { name, version, cid: record.cid, previous }, past, signal)
}

/**
 * Lets a name point to the version that it had before.
 *
 * @throws {NotFoundError} The name is free, had no other version before, or that one is gone.
 * @throws {ConflictError} Somebody else moved the name at the same time.
 */
export async function rollBack(store: ContentStore, name: string, { signal }: AbortOptions = {}): Promise<Promotion> {
  const before = await store.names.get(name, { signal })
  const { history, version: previous } = pointerOf(before)
  const version = history.at(-1)
  if (version === undefined) {
    throw new NotFoundError(name, { message: `${name} had no other version before; nothing to go back to` })
  }
  const { cid } = await recordOf(store, name, version, signal)
  return move(store, before, { name, version, cid, previous }, history.slice(0, -1), signal)
}

/**
 * Lets a name point to a model that has no version; that which it stood for can be gone back to.
 *
 * @throws {ConflictError} Others moved the name again and again at the same time.
 */
export async function pointName(
  store: ContentStore,
  name: string,
  cid: CID,
  { signal }: AbortOptions = {},
): Promise<void> {
  for (let left = MAX_TRIES; ; left--) {
    const before = await store.names.get(name, { signal })
    const { history, version } = pointerOf(before)
    const past = version === undefined ? history : [...history, version]
    const metadata = { kind: 'model', ...(past.length > 0 && { history: past.slice(-MAX_HISTORY) }) }
    try {
      await store.names.set(name, cid, { metadata, expected: before?.cid ?? null, signal })
      return
    } catch (error) {
      // Somebody else moved it in between: what that was belongs to the history.
      if (!(error instanceof ConflictError) || left === 1) throw error
    }
  }
}

/** The versions of a name, sorted by their own names. */
export async function* listVersions(
  store: ContentStore,
  name: string,
  { signal }: AbortOptions = {},
): AsyncGenerator<ModelVersion> {
  assertModelName(name)
  const current = pointerOf(await store.names.get(name, { signal })).version
  for await (const record of store.names.list({ prefix: versionName(name, ''), signal })) {
    const version = record.name.slice(versionName(name, '').length)
    yield { name, version, cid: record.cid, registeredAt: record.updatedAt, current: version === current }
  }
}

async function recordOf(
  store: ContentStore,
  name: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<NameRecord> {
  assertModelName(name)
  assertVersion(version)
  const record = await store.names.get(versionName(name, version), { signal })
  if (record) return record
  throw new NotFoundError(versionName(name, version), { message: `${name} has no version ${version}` })
}

async function move(
  store: ContentStore,
  before: NameRecord | undefined,
  promotion: Promotion,
  history: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Promotion> {
  const { name, cid, version, previous } = promotion
  const metadata = { kind: 'model', version, history: history.slice(-MAX_HISTORY) }
  await store.names.set(name, cid, { metadata, expected: before?.cid ?? null, signal })
  return { name, version, cid, ...(previous !== undefined && { previous }) }
}

/** The version that a name was promoted to; `undefined`: it points to a model without one. */
export const currentVersion = (record: NameRecord): string | undefined => pointerOf(record).version

function pointerOf(record: NameRecord | undefined): { version?: string; history: string[] } {
  const { version, history } = record?.metadata ?? {}
  const past = Array.isArray(history) ? history.filter((item: JsonValue) => typeof item === 'string') : []
  return { ...(typeof version === 'string' && { version }), history: past }
}

/** @throws {InvalidInputError} A name that no reference could reach: it would be lost. */
export function assertModelName(name: string): void {
  const parsed = parseReference(name)
  if (parsed.kind === 'name' && parsed.version === undefined) return
  const what = parsed.kind === 'name' ? 'a version of a name' : `a ${parsed.kind === 'cid' ? 'CID' : parsed.kind}`
  throw new InvalidInputError(`name ${JSON.stringify(name)} reads as ${what}`, { input: name })
}
