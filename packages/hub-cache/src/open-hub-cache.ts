import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'

import { InvalidInputError } from '@x/cid'
import { assertRevision } from '@x/hub-client'
import { BackendError, NotFoundError, type AbortOptions } from '@x/storage-core'

import { isOwnDirectory, repoLayout, type RepoLayout } from './cache-layout.ts'
import { commitOf, readRefs, snapshotNames, type FoundCommit } from './cached-revisions.ts'
import { compareText } from './compare.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { readSnapshot, type SnapshotContent } from './read-snapshot.ts'
import { fromRepoFolder } from './repo-folder.ts'

export interface HubCacheOptions {
  /** As `hubCacheDirectory` says. */
  directory: string
}

export interface CachedRevision {
  /** 40 hex. */
  commit: string
  /** Branches, tags and the rest that stood for it when somebody asked. */
  refs: string[]
}

export interface CachedSnapshot extends SnapshotContent, FoundCommit {
  repo: string
}

/** A Hugging Face cache, read where it is. Nothing in it has been checked until its bytes are. */
export interface HubCache {
  /** Where it really is. Absolute. */
  readonly directory: string
  /** Names of the models, sorted; each has at least a folder. */
  repos(options?: AbortOptions): Promise<string[]>
  /**
   * Snapshots of a model, by commit. One may be partial, or empty.
   *
   * @throws {NotFoundError} There is no folder of that model.
   */
  revisions(repo: string, options?: AbortOptions): Promise<CachedRevision[]>
  /**
   * What is there of a model.
   *
   * @param revision - A commit, one shortened to 7 signs or more, or a name that a client asked for. Default `main`.
   * @throws {NotFoundError} No such model, or no snapshot of that revision. Says nothing about the hub.
   */
  snapshot(repo: string, revision?: string, options?: AbortOptions): Promise<CachedSnapshot>
}

/**
 * Writes nothing, and holds nothing open.
 *
 * @throws {NotFoundError} There is no such directory.
 */
export async function openHubCache(options: HubCacheOptions): Promise<HubCache> {
  const given = resolve(options.directory)
  const directory = await ifThere(`look at ${given}`, realpath(given))
  if (directory === undefined) throw new NotFoundError(given, { message: `no such directory: ${given}` })
  if (!(await onDisk(`look at ${directory}`, stat(directory))).isDirectory()) {
    throw new InvalidInputError(`${given} is not a directory`, { input: given })
  }

  async function open(repo: string): Promise<RepoLayout> {
    const layout = repoLayout(directory ?? given, repo)
    const info = await ifThere(`look at ${layout.folder}`, lstat(layout.folder))
    if (!info) throw new NotFoundError(repo, { message: `not in the cache: ${repo}` })
    for (const folder of [layout.folder, layout.snapshots, layout.refs, layout.blobs, layout.trees]) {
      await assertInside(folder)
    }
    return layout
  }

  return {
    directory,
    async repos({ signal } = {}) {
      signal?.throwIfAborted()
      const entries = await onDisk(`read ${directory}`, readdir(directory, { withFileTypes: true }))
      const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => fromRepoFolder(name))
      return names.filter((name) => name !== undefined).toSorted(compareText)
    },
    async revisions(repo, { signal } = {}) {
      signal?.throwIfAborted()
      const layout = await open(repo)
      const refs = await readRefs(layout)
      const commits = await snapshotNames(layout)
      return commits
        .toSorted()
        .map((commit) => ({ commit, refs: refs.filter((ref) => ref.commit === commit).map(({ name }) => name) }))
    },
    async snapshot(repo, revision = 'main', { signal } = {}) {
      signal?.throwIfAborted()
      assertRevision(revision)
      const layout = await open(repo)
      const found = await commitOf(layout, revision)
      return { repo, ...found, ...(await readSnapshot(layout, found.commit, signal)) }
    },
  }
}

/** A part of the cache that is a link would have us read, or believe, what is elsewhere. */
async function assertInside(folder: string): Promise<void> {
  const info = await ifThere(`look at ${folder}`, lstat(folder))
  if (!info || (await isOwnDirectory(folder))) return
  const what = info.isSymbolicLink() ? 'a link' : 'not a directory'
  throw new BackendError(`hub-cache: ${folder} is ${what}; a cache is read where it is itself`, { retryable: false })
}
