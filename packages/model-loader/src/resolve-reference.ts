import { InvalidInputError, type CID } from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentSource, type ContentStore, type Names } from '@x/storage-core'

import { findHubRevision } from './hub-revisions.ts'
import { hubReference, parseReference, remoteLabel, type ModelReference } from './parse-reference.ts'
import { findInRegistries } from './registry/find-in-registries.ts'
import { findRemoteModel } from './remote-origins.ts'
import { versionName } from './versions.ts'

export interface ResolvedReference {
  /** The root of the model's directory. */
  cid: CID
  /** The name it was asked by: `org/name`, or `org/name@version`. */
  name?: string | undefined
}

/**
 * What a reference to something in a store points to. Nothing is fetched. A name is one of the store, else of a registry that it
 * follows if that model is held, else a repository of the hub that was fetched before. A prefix of a bucket is what was pulled from it
 * last.
 *
 * @throws {NotFoundError} No such name, path, or revision of the hub or bucket that was fetched before; or a registry knows the name, and
 *   the model is not held: the error has its CID.
 * @throws {InvalidInputError} Not a reference; one to a local directory or to a name of IPNS, which somebody
 *   else has to resolve; or a name, and a source has none.
 */
export async function resolveReference(
  store: ContentSource | ContentStore,
  reference: string,
  options: AbortOptions = {},
): Promise<ResolvedReference> {
  const parsed = parseReference(reference)
  if (parsed.kind === 'cid') return { cid: await directoryAt(store, parsed.cid, parsed.path, options) }
  if (parsed.kind === 's3' && 'names' in store) {
    return { cid: await findRemoteModel(store, remoteLabel(parsed), options) }
  }
  if (parsed.kind !== 'name' && parsed.kind !== 'hub') throw refusal(reference, parsed)
  if (!('names' in store)) {
    throw new InvalidInputError(`${reference}: ${store.name} has no names; give a CID`, { input: reference })
  }
  const own = await fromNames(store.names, parsed, options)
  if (own) return own
  const known = parsed.kind === 'name' ? await findInRegistries(store, parsed, options) : undefined
  if (known && (await store.has(known.cid, options))) return { cid: known.cid, name: reference }
  // To follow a registry changes nothing that works until its model is here.
  const fetched = await fromHub(store, parsed, options)
  if (fetched) return fetched
  if (known) {
    const message = `${reference} is ipfs://${known.cid}, as registry ${known.registry} says, and is not held; pull it`
    throw new NotFoundError(reference, { cid: known.cid, message })
  }
  const hint = parsed.kind === 'name' && parsed.version === undefined ? `; a directory is written ./${reference}` : ''
  throw new NotFoundError(reference, { message: `no model is named ${reference}${hint}` })
}

async function fromNames(
  names: Names,
  parsed: ModelReference,
  options: AbortOptions,
): Promise<ResolvedReference | undefined> {
  if (parsed.kind !== 'name') return undefined
  const name = parsed.version === undefined ? parsed.name : versionName(parsed.name, parsed.version)
  const record = await names.get(name, options)
  return record && { cid: record.cid, name }
}

async function fromHub(
  store: ContentStore,
  parsed: ModelReference,
  options: AbortOptions,
): Promise<ResolvedReference | undefined> {
  const wanted = hubReference(parsed)
  const found = wanted && (await findHubRevision(store, wanted, options))
  return found && { cid: found.root }
}

async function directoryAt(
  store: ContentSource,
  root: CID,
  path: string | undefined,
  options: AbortOptions,
): Promise<CID> {
  return path === undefined ? root : (await store.stat(root, { path, ...options })).cid
}

function refusal(reference: string, { kind }: ModelReference): InvalidInputError {
  const why: Partial<Record<ModelReference['kind'], string>> = {
    path: 'is a path, not a model in a store',
    ipns: 'is a name that somebody has to resolve, such as a Kubo daemon',
    s3: 'lies in a bucket, not in a store',
  }
  return new InvalidInputError(`${reference} ${why[kind] ?? 'is no model in a store'}`, { input: reference })
}
