import { InvalidInputError, isStorageError, NotFoundError, type AbortOptions } from '@x/storage-core'

import { toHex } from './git-object.ts'
import type { HubFile, HubReadOptions, HubRepositories, HubSnapshot, HubStale } from './hub-repositories.ts'
import type { HubKeep, HubListing, HubUpstream, KeptFile, KnownRevision } from './hub-upstream.ts'
import { createSharedWork } from './shared-work.ts'
import { indexSnapshot } from './snapshot-index.ts'

/** What a pull-through did for somebody. */
export type PullThroughEvent = { repo: string; durationMs: number } & (
  | { type: 'revision-resolved'; revision: string; commit: string }
  /** The upstream could not tell, and what was known before was taken. */
  | { type: 'revision-stale'; revision: string; commit: string; checkedAt: Date; reason: unknown }
  | { type: 'listing-kept'; commit: string; files: number }
  /** Verified. */
  | { type: 'file-kept'; commit: string; path: string; size: number }
)

export interface PullThroughOptions {
  upstream: HubUpstream
  keep: HubKeep
  /** A branch or tag that was looked up so long ago is looked up again. Default 60_000. */
  revalidateMs?: number | undefined
  /**
   * When the upstream cannot tell what a revision points to: `prefer` takes what it pointed to before, and says so in the snapshot;
   * `require` fails. Default `prefer`.
   */
  freshness?: 'prefer' | 'require' | undefined
  /** Files that are fetched at a time. Default 4. */
  maxFetches?: number | undefined
  /** Called when something was looked up or kept. Not to throw. */
  onEvent?: ((event: PullThroughEvent) => void) | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

export interface PullThrough extends HubRepositories {
  /** Stops what is being fetched; what is kept stays. */
  close(): Promise<void>
}

const COMMIT = /^[0-9a-f]{40}$/
// Of each, the listing is in memory; 10 of a thousand files take about 5 MB.
const MOST_SNAPSHOTS = 10
const MOST_LOOKUPS = 32

/**
 * Repositories of another hub, each file of which is fetched, verified and kept when it is read first. A file is handed on once all of
 * it was verified, so the first reader of a large one waits for it. A fetch that has begun goes on when its reader goes away.
 *
 * @throws {InvalidInputError} `revalidateMs` or `maxFetches` is no such number.
 */
export function createPullThrough(options: PullThroughOptions): PullThrough {
  const {
    upstream,
    keep,
    revalidateMs = 60_000,
    freshness = 'prefer',
    maxFetches = 4,
    onEvent,
    now = Date.now,
  } = options
  if (!(revalidateMs >= 0)) throw notANumber('revalidateMs', revalidateMs)
  if (!Number.isSafeInteger(maxFetches) || maxFetches < 1) throw notANumber('maxFetches', maxFetches)
  const lookups = createSharedWork<(KnownRevision & { stale?: HubStale }) | undefined>(MOST_LOOKUPS)
  const listings = createSharedWork<HubListing | undefined>(MOST_LOOKUPS)
  const fetches = createSharedWork<KeptFile>(maxFetches)
  const known = new Map<string, HubListing>()

  return {
    async open(repo, revision, { signal }) {
      const found = COMMIT.test(revision) ? { commit: revision } : await lookUp(repo, revision, { signal })
      if (!found) return undefined
      const { commit } = found
      const listing = await listingOf(repo, commit, { signal })
      if (!listing) return undefined
      const stale = 'stale' in found ? found.stale : undefined
      return toSnapshot(repo, commit, listing, stale)
    },
    ...(upstream.refs && { refs: (repo, given) => upstream.refs?.(repo, given) ?? Promise.resolve(undefined) }),
    ...(keep.list && { list: (given) => keep.list?.(given) ?? none() }),
    async close() {
      await Promise.all([lookups.close(), listings.close(), fetches.close()])
    },
  }

  function lookUp(
    repo: string,
    revision: string,
    given: AbortOptions,
  ): Promise<(KnownRevision & { stale?: HubStale }) | undefined> {
    return lookups.run(
      JSON.stringify([repo, revision]),
      async (signal) => {
        const started = now()
        const before = await keep.revision(repo, revision, { signal })
        if (before && started - before.checkedAt.getTime() < revalidateMs) return before
        try {
          const commit = await upstream.resolve(repo, revision, { signal })
          if (commit === undefined) return undefined
          if (!COMMIT.test(commit)) throw new InvalidInputError('the commit is not 40 hex digits', { input: commit })
          const checked = { commit, checkedAt: new Date(started) }
          await keep.setRevision(repo, revision, checked, { signal })
          onEvent?.({ type: 'revision-resolved', repo, revision, commit, durationMs: now() - started })
          return checked
        } catch (reason) {
          signal.throwIfAborted()
          if (!before || freshness === 'require' || !isOutage(reason)) throw reason
          const { commit, checkedAt } = before
          const durationMs = now() - started
          onEvent?.({ type: 'revision-stale', repo, revision, commit, checkedAt, reason, durationMs })
          return { ...before, stale: { checkedAt, reason } }
        }
      },
      given,
    )
  }

  function listingOf(repo: string, commit: string, given: AbortOptions): Promise<HubListing | undefined> {
    const key = JSON.stringify([repo, commit])
    return listings.run(
      key,
      async (signal) => {
        const listing = known.get(key) ?? (await readListing(repo, commit, signal))
        if (!listing) return undefined
        // The one that was used longest ago goes.
        known.delete(key)
        known.set(key, listing)
        const [oldest] = known.keys()
        if (known.size > MOST_SNAPSHOTS && oldest !== undefined) known.delete(oldest)
        return listing
      },
      given,
    )
  }

  async function readListing(repo: string, commit: string, signal: AbortSignal): Promise<HubListing | undefined> {
    const kept = await keep.listing(repo, commit, { signal })
    if (kept) return kept
    const started = now()
    const listing = await upstream.list(repo, commit, { signal })
    if (!listing) return undefined
    // What is no listing is not kept.
    indexSnapshot({ repo, commit, files: listing.files })
    await keep.setListing(repo, commit, listing, { signal })
    const { length } = listing.files
    onEvent?.({ type: 'listing-kept', repo, commit, files: length, durationMs: now() - started })
    return listing
  }

  function toSnapshot(repo: string, commit: string, listing: HubListing, stale: HubStale | undefined): HubSnapshot {
    async function* read(path: string, given: HubReadOptions = {}): AsyncGenerator<Uint8Array> {
      const file = listing.files.find((each) => each.path === path)
      if (!file) throw new NotFoundError(`${repo}/${path}`)
      const kept = (await keep.open(file, given)) ?? (await fetchFile(repo, commit, file, given))
      yield* kept.read(given)
    }
    return { repo, commit, ...listing, stale, read }
  }

  /** The same content, wherever it is listed, is fetched once. */
  function fetchFile(repo: string, commit: string, file: HubFile, given: AbortOptions): Promise<KeptFile> {
    const { path, size } = file
    return fetches.run(
      // As it is verified: what an upstream says of two files must not make them one.
      file.lfs && file.sha256 ? toHex(file.sha256) : file.gitOid,
      async (signal) => {
        const started = now()
        const read = (part: HubReadOptions): AsyncIterable<Uint8Array> => upstream.read(repo, commit, path, part)
        const kept = await keep.add(file, { repo, commit, read }, { signal })
        onEvent?.({ type: 'file-kept', repo, commit, path, size, durationMs: now() - started })
        return kept
      },
      given,
    )
  }
}

async function* none(): AsyncGenerator<string> {}

/** That a revision or a repository is not there is an answer, and no outage. */
const isOutage = (error: unknown): boolean => isStorageError(error) && error.code === 'BACKEND'

const notANumber = (name: string, value: number): InvalidInputError =>
  new InvalidInputError(`${name} ${value} is no such number`, { input: String(value) })
