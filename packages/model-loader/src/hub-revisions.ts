import { parseCid, type CID } from '@x/cid'
import { assertName, type AbortOptions, type ContentStore, type NameRecord } from '@x/storage-core'

import { forgetLostOrigins } from './remote-origins.ts'

/**
 * `.hub/<repo>@<revision>` points to the manifest that a revision of a repository had when it was fetched: a commit for
 * good, a branch or tag until it is fetched again. The model itself is kept by its own pin or name.
 */
const HUB_NAMES = '.hub/'
/** What the hub takes for the revision when none is given. */
const DEFAULT_REVISION = 'main'

export interface HubRevision {
  manifest: CID
  /** The model: the UnixFS root of its directory. */
  root: CID
  /** 40 hexadecimal digits. */
  commit: string
  /** The repository has files at this commit that the manifest cannot list, for their paths cannot lie beside the others. */
  isUnlisted?: boolean | undefined
  /** When the hub was asked. ISO 8601, UTC. */
  resolvedAt: string
}

export interface HubRevisionQuery {
  /** `org/name`. */
  repo: string
  /** A branch, tag or commit. Default `main`. */
  revision?: string | undefined
}

/** What the names of a repository's revisions begin with; the revision follows. */
export const hubNamesOf = (repo: string): string => `${HUB_NAMES}${repo}@`

const nameOf = ({ repo, revision = DEFAULT_REVISION }: HubRevisionQuery): string => `${hubNamesOf(repo)}${revision}`

/** @throws {InvalidInputError} The revision is too long for what a store can remember. */
export function assertHubRevision(query: HubRevisionQuery): void {
  assertName(nameOf(query))
}

/** Remembers what a revision was, and its commit; branches and tags that are known to be at this commit go with it. */
export async function keepHubRevision(
  store: ContentStore,
  query: HubRevisionQuery,
  { manifest, root, commit, isUnlisted }: Omit<HubRevision, 'resolvedAt'>,
  options: AbortOptions = {},
): Promise<void> {
  const metadata = { kind: 'hub-revision', root: root.toString(), commit, ...(isUnlisted && { isUnlisted }) }
  const revisions = new Set([query.revision ?? DEFAULT_REVISION, commit])
  for await (const known of listHubRevisions(store, query.repo, options)) {
    if (known.commit === commit) revisions.add(known.revision)
  }
  for (const revision of revisions) {
    await store.names.set(nameOf({ ...query, revision }), manifest, { metadata, ...options })
  }
}

/** What is remembered; `undefined`: the revision was never fetched. Whether the model is still held is not looked at. */
export async function findHubRevision(
  store: ContentStore,
  query: HubRevisionQuery,
  options: AbortOptions = {},
): Promise<HubRevision | undefined> {
  const record = await store.names.get(nameOf(query), options)
  return record && toRevision(record)
}

/** Every revision of a repository that is remembered, commits too. Whether its model is still held is not looked at. */
export async function* listHubRevisions(
  store: ContentStore,
  repo: string,
  options: AbortOptions = {},
): AsyncGenerator<HubRevision & { revision: string }> {
  const prefix = hubNamesOf(repo)
  for await (const record of store.names.list({ prefix, ...options })) {
    const found = toRevision(record)
    if (found) yield { revision: record.name.slice(prefix.length), ...found }
  }
}

/** Forgets revisions, and other places that models came from, whose model is not here any more, after a collection: their names would keep manifests for ever. */
export async function forgetLostRevisions(store: ContentStore, options: AbortOptions = {}): Promise<void> {
  for await (const record of store.names.list({ prefix: HUB_NAMES, ...options })) {
    const found = toRevision(record)
    if (found && !(await store.blocks.has(found.root, options))) await store.names.delete(record.name, options)
  }
  await forgetLostOrigins(store, options)
}

function toRevision({ cid, metadata, updatedAt }: NameRecord): HubRevision | undefined {
  const { root, commit, isUnlisted } = metadata
  if (typeof root !== 'string' || typeof commit !== 'string') return undefined
  const revision = { manifest: cid, root: parseCid(root), commit, resolvedAt: updatedAt }
  return isUnlisted === true ? { ...revision, isUnlisted } : revision
}
