import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'

import { InvalidInputError } from '@x/cid'
import { assertRevision, isCommit } from '@x/hub-client'
import { BackendError, isStorageError, NotFoundError, type AbortOptions } from '@x/storage-core'

import { isOwnDirectory, repoLayout, type RepoLayout } from './cache-layout.ts'
import { compareText } from './compare.ts'
import { ifThere, onDisk, systemCode } from './disk.ts'
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

export interface CachedSnapshot extends SnapshotContent {
  repo: string
  /** 40 hex. */
  commit: string
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

  async function commitOf(layout: RepoLayout, revision: string): Promise<string> {
    const held = await snapshotNames(layout)
    const absent = (more: string): NotFoundError => {
      const what = `${layout.repo}@${revision}`
      return new NotFoundError(what, { message: `not in the cache: ${what}${more}` })
    }
    if (isCommit(revision)) {
      if (held.includes(revision)) return revision
      throw absent('')
    }
    const named = await readRef(layout, revision)
    if (named !== undefined) {
      if (held.includes(named)) return named
      throw absent(`; it was ${named}, of which there is nothing`)
    }
    const short = /^[0-9a-f]{7,39}$/.test(revision) ? held.filter((commit) => commit.startsWith(revision)) : []
    const [only, another] = short
    if (only !== undefined && another === undefined) return only
    if (another !== undefined) throw absent('; more than one commit begins with it')
    throw absent(held.length === 0 ? '' : `; there is ${held.toSorted().slice(0, 5).join(', ')}`)
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
      const commit = await commitOf(layout, revision)
      return { repo, commit, ...(await readSnapshot(layout, commit, signal)) }
    },
  }
}

async function snapshotNames({ snapshots }: RepoLayout): Promise<string[]> {
  const entries = await ifThere(`read ${snapshots}`, readdir(snapshots, { withFileTypes: true }))
  // @huggingface/hub names some by a file's digest; those belong to no commit.
  return (entries ?? []).filter((entry) => entry.isDirectory() && isCommit(entry.name)).map(({ name }) => name)
}

/** A part of the cache that is a link would have us read, or believe, what is elsewhere. */
async function assertInside(folder: string): Promise<void> {
  const info = await ifThere(`look at ${folder}`, lstat(folder))
  if (!info || (await isOwnDirectory(folder))) return
  const what = info.isSymbolicLink() ? 'a link' : 'not a directory'
  throw new BackendError(`hub-cache: ${folder} is ${what}; a cache is read where it is itself`, { retryable: false })
}

/** The commit that a name stood for; `undefined` where nobody asked for it, or what is noted is no commit. */
async function readRef({ refs }: RepoLayout, name: string): Promise<string | undefined> {
  const path = join(refs, ...name.split('/'))
  // A link on the way could lead to any file; its first 40 signs would be shown.
  let real: string | undefined
  try {
    real = await realpath(path)
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined
    return onDisk(`read ${path}`, Promise.reject(cause))
  }
  if (real !== path) return undefined
  const info = await ifThere(`look at ${path}`, stat(path))
  if (!info?.isFile() || info.size > 128) return undefined
  const text = (await ifThere(`read ${path}`, readFile(path, 'utf8')))?.trim() ?? ''
  return isCommit(text) ? text : undefined
}

async function readRefs(layout: RepoLayout): Promise<{ name: string; commit: string }[]> {
  const entries = await ifThere(`read ${layout.refs}`, readdir(layout.refs, { recursive: true, withFileTypes: true }))
  const found: { name: string; commit: string }[] = []
  for (const entry of entries ?? []) {
    if (!entry.isFile()) continue
    const name = relative(layout.refs, join(entry.parentPath, entry.name)).split(sep).join('/')
    if (!isRevision(name)) continue
    const commit = await readRef(layout, name)
    if (commit !== undefined) found.push({ name, commit })
  }
  return found.toSorted((a, b) => compareText(a.name, b.name))
}

function isRevision(name: string): boolean {
  try {
    assertRevision(name)
    // A temporary file of a client that is about to move a name.
    return !/\.[0-9a-f]{8}\.tmp$/.test(name)
  } catch (error) {
    if (isStorageError(error)) return false
    throw error
  }
}
