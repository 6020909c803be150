import type { HubClient } from '@x/hub-client'
import type { HubRepositories, HubSnapshot, HubUpstream, PullThrough } from '@x/hub-server'
import { cidOfRepo } from '@x/model-loader'
import { isStorageError, NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'
import { linkedController } from '@x/storage-core/backend'

import { createSha256 } from '../create-hash.ts'

/** What `@x/hub-server` has for it. */
interface PullThroughTools {
  createPullThrough: (typeof import('@x/hub-server'))['createPullThrough']
  createStoreKeep: (typeof import('@x/hub-server'))['createStoreKeep']
}

export interface UpstreamOptions {
  hub: HubClient
  /** When the upstream cannot be asked: `prefer` answers with what it said last; `require` fails. Default `prefer`. */
  freshness?: 'prefer' | 'require' | undefined
}

/** Hidden, for these are no models that a user named. */
const PREFIX = '.hub-files'
/** How long a hub that could not complete a model is not asked for that again. */
const OUTAGE_MS = 30_000
/** How long it may take to say what a model has, where there is something else to answer. */
const LOOK_UP_MS = 5000

/** A store's own models, and behind them those of a hub, each file of which is fetched when it is asked for first. */
export function createUpstreamRepositories(
  own: HubRepositories,
  store: ContentStore,
  { hub, freshness }: UpstreamOptions,
  { createPullThrough, createStoreKeep }: PullThroughTools,
): PullThrough {
  const keep = createStoreKeep(store, { prefix: PREFIX, createSha256 })
  const further = createPullThrough({ upstream: upstreamOf(hub), keep, freshness })
  let asksFrom = 0

  /** With what a pull left at the hub; without it while that is not there. */
  async function completed(found: HubSnapshot, { signal }: AbortOptions): Promise<HubSnapshot> {
    if (!found.omitted?.length || performance.now() < asksFrom) return found
    const limit = AbortSignal.timeout(LOOK_UP_MS)
    const { controller, release } = linkedController(limit, signal)
    let whole: HubSnapshot | undefined
    try {
      whole = await further.open(found.repo, found.commit, { signal: controller.signal })
    } catch (error) {
      signal?.throwIfAborted()
      if (!isStorageError(error) && !limit.aborted) throw error
      asksFrom = performance.now() + OUTAGE_MS
    } finally {
      release()
    }
    return whole ? joined(found, whole) : found
  }

  return {
    async open(repo, revision, options) {
      try {
        const found = await own.open(repo, revision, options)
        if (found) return await completed(found, options)
      } catch (error) {
        if (!(error instanceof NotFoundError)) throw error
      }
      // A CID is never a hub's to answer.
      return cidOfRepo(repo) ? undefined : further.open(repo, revision, options)
    },
    async refs(repo, options) {
      return (await own.refs?.(repo, options)) ?? (cidOfRepo(repo) ? undefined : further.refs?.(repo, options))
    },
    async *list(options) {
      const seen = new Set<string>()
      for (const repositories of [own, further]) {
        for await (const repo of repositories.list?.(options) ?? []) {
          if (!seen.has(repo)) yield repo
          seen.add(repo)
        }
      }
    },
    close: () => further.close(),
  }
}

/** All that is listed; what is held is read here. */
function joined(found: HubSnapshot, whole: HubSnapshot): HubSnapshot {
  const held = new Set(found.files.map(({ path }) => path))
  const { files } = whole
  return {
    ...found,
    files,
    omitted: undefined,
    read: (path, options) => (held.has(path) ? found : whole).read(path, options),
  }
}

const upstreamOf = (hub: HubClient): HubUpstream => ({
  name: hub.label,
  resolve: (repo, revision, { signal }) => ifRepository(hub.resolve(repo, revision, { signal })),
  list: async (repo, commit, { signal }) => {
    const tree = await ifRepository(hub.tree(repo, commit, { signal }))
    if (!tree) return undefined
    return {
      files: tree.map(({ path, size, gitOid, sha256 }) => ({ path, size, gitOid, sha256, lfs: sha256 !== undefined })),
    }
  },
  read: (repo, commit, path, options) => hub.read(repo, commit, path, options),
})

/** `undefined` where there is no repository; a revision that is not there stays an error. */
async function ifRepository<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND' && isRepoMissing(error)) return undefined
    throw error
  }
}

const isRepoMissing = ({ cause }: Error): boolean =>
  typeof cause === 'object' && cause !== null && 'errorCode' in cause && cause.errorCode === 'RepoNotFound'
