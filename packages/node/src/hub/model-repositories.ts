import { lfsPointer, type CID } from '@x/cid'
import { isRepo } from '@x/hub-client/names'
import type { HubFile, HubRef, HubRepositories, HubSnapshot } from '@x/hub-server'
import {
  findHubRevision,
  isHiddenName,
  isModel,
  knownOrigin,
  listHubRevisions,
  listSidecars,
  listVersions,
  resolveReference,
  showManifest,
  type FoundManifest,
  type ModelManifest,
} from '@x/model-loader'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { createSha256 } from '../create-hash.ts'
import { commitOfModel } from './commit-of-model.ts'

/** What `@x/hub-server` has for it. */
export interface HubTools {
  gitBlobOid: (bytes: Uint8Array) => Promise<string>
  isLfs: (path: string, size: number) => boolean
}

const MAIN = 'main'
const COMMIT = /^[0-9a-f]{40}$/
/** Snapshots in memory; one of a thousand files takes about half a megabyte. */
const MOST_SNAPSHOTS = 32

/**
 * The models of a store as repositories: `org/name` at `main` is what the name points to, versions are tags, and what was fetched from
 * a hub answers to its repository, branch and commit. Files are verified as they are read.
 */
export function createModelRepositories(store: ContentStore, tools: HubTools): HubRepositories {
  const snapshots = new Map<string, HubSnapshot>()

  async function open(repo: string, revision: string, options: AbortOptions): Promise<HubSnapshot | undefined> {
    if (!isRepo(repo)) return undefined
    const found = COMMIT.test(revision)
      ? await byCommit(repo, revision, options)
      : await byName(repo, revision, options)
    if (found) return found
    if (!(await exists(repo, options))) return undefined
    throw new NotFoundError(revision, { message: `${repo} has no revision ${revision}` })
  }

  async function byName(repo: string, revision: string, options: AbortOptions): Promise<HubSnapshot | undefined> {
    const reference = revision === MAIN ? repo : `${repo}@${revision}`
    try {
      const { cid } = await resolveReference(store, reference, options)
      return (await store.has(cid, options)) ? await snapshotOf(repo, cid, options) : undefined
    } catch (error) {
      if (error instanceof NotFoundError && error.what === reference) return undefined
      throw error
    }
  }

  async function byCommit(repo: string, commit: string, options: AbortOptions): Promise<HubSnapshot | undefined> {
    const fetched = await findHubRevision(store, { repo, revision: commit }, options)
    if (fetched && (await store.has(fetched.root, options))) {
      const snapshot = await snapshotOf(repo, fetched.root, options)
      if (snapshot.commit === commit) return snapshot
    }
    for await (const { cid } of rootsOf(repo, options)) {
      const snapshot = await snapshotOf(repo, cid, options)
      if (snapshot.commit === commit) return snapshot
    }
    return undefined
  }

  /** Everything that is called so, and held. */
  async function* rootsOf(repo: string, options: AbortOptions): AsyncGenerator<{ revision: string; cid: CID }> {
    const main = await store.names.get(repo, options)
    if (main && (await store.has(main.cid, options))) yield { revision: MAIN, cid: main.cid }
    for await (const { version, cid } of listVersions(store, repo, options)) {
      if (await store.has(cid, options)) yield { revision: version, cid }
    }
  }

  async function exists(repo: string, options: AbortOptions): Promise<boolean> {
    for await (const _ of rootsOf(repo, options)) return true
    for await (const { root } of listHubRevisions(store, repo, options)) if (await store.has(root, options)) return true
    return false
  }

  async function snapshotOf(repo: string, cid: CID, options: AbortOptions): Promise<HubSnapshot> {
    // Manifests come and go beside a model; the model, and what one says of it, stay.
    const beside = await listSidecars(store, 'manifests', cid, options)
    // What is claimed may come to be known.
    const key = [
      repo,
      cid,
      ...beside.map((manifest) => `${manifest.cid}${manifest.metadata.claimed === true ? '?' : ''}`),
    ].join(' ')
    const known = snapshots.get(key)
    if (known) return known
    const found = await showManifest(store, cid.toString(), { createSha256, ...options })
    const snapshot = await toSnapshot(store, repo, found, tools, options)
    // Without one, it has one now.
    if (beside.length > 0) snapshots.set(key, snapshot)
    const [oldest] = snapshots.keys()
    if (snapshots.size > MOST_SNAPSHOTS && oldest !== undefined) snapshots.delete(oldest)
    return snapshot
  }

  return {
    open,
    async refs(repo, options) {
      if (!isRepo(repo)) return undefined
      const refs: HubRef[] = []
      for await (const { revision, cid } of rootsOf(repo, options)) {
        const { commit } = await snapshotOf(repo, cid, options)
        refs.push({ name: revision === MAIN ? 'refs/heads/main' : `refs/tags/${revision}`, commit })
      }
      for await (const { revision, commit, root } of listHubRevisions(store, repo, options)) {
        const name = revision.startsWith('refs/') ? revision : `refs/heads/${revision}`
        const isNew = !COMMIT.test(revision) && !refs.some((ref) => ref.name === name)
        if (isNew && (await store.has(root, options))) refs.push({ name, commit })
      }
      return refs.length === 0 ? undefined : refs
    },
    async *list(options) {
      const seen = new Set<string>()
      for await (const { name } of store.names.list(options)) {
        const hub = /^\.hub\/([^@]+)@/.exec(name)?.[1]
        const repo = hub ?? (isHiddenName(name) ? '' : (name.split('@')[0] ?? ''))
        if (seen.has(repo) || !isRepo(repo)) continue
        seen.add(repo)
        if (await isModelName(repo, options)) yield repo
      }
    },
  }

  /** Other content has names too. */
  async function isModelName(repo: string, options: AbortOptions): Promise<boolean> {
    for await (const { cid } of rootsOf(repo, options)) return isModel(store, cid, options)
    return exists(repo, options)
  }
}

async function toSnapshot(
  store: ContentStore,
  repo: string,
  { cid, manifest, claimed }: FoundManifest,
  tools: HubTools,
  options: AbortOptions,
): Promise<HubSnapshot> {
  const origin = knownOrigin({ manifest, manifestClaimed: claimed })
  const isOwn = origin?.repo === repo
  const files: HubFile[] = []
  for (const file of manifest.files) files.push(await toHubFile(store, manifest, file, isOwn, tools, options))
  return {
    repo,
    commit: commitOfModel(repo, { origin, cid }),
    ...(manifest.task !== undefined && { task: manifest.task }),
    files,
    ...(isOwn && { omitted: manifest.omitted.map(({ path }) => path) }),
    read: (path, given = {}) => store.cat(manifest.root, { path, ...given }),
  }
}

/** Where the origin is known, it says what is in LFS: then the object in git is that of the pointer. */
async function toHubFile(
  store: ContentStore,
  { root }: ModelManifest,
  { path, size, sha256, gitOid: known }: ModelManifest['files'][number],
  isOwn: boolean,
  { gitBlobOid, isLfs }: HubTools,
  { signal }: AbortOptions,
): Promise<HubFile> {
  const pointer = await gitBlobOid(new TextEncoder().encode(lfsPointer({ sha256, size })))
  if (isOwn && known !== undefined) return { path, size, lfs: known === pointer, sha256, gitOid: known }
  if (isLfs(path, size)) return { path, size, lfs: true, sha256, gitOid: pointer }
  const pieces: Uint8Array[] = []
  for await (const piece of store.cat(root, { path, signal })) pieces.push(piece.slice())
  return { path, size, lfs: false, sha256, gitOid: await gitBlobOid(Buffer.concat(pieces)) }
}
