import { BackendError, InvalidInputError, isStorageError, NotFoundError, type AbortOptions } from '@x/storage-core'
import { startStallTimer } from '@x/storage-core/backend'

import { toHex } from './git-object.ts'
import type { HubFile, HubReadOptions, HubRepositories, HubSnapshot, HubStale } from './hub-repositories.ts'
import type { HubKeep, HubListing, HubUpstream, KeptFile, KnownRevision } from './hub-upstream.ts'
import { createSharedWork } from './shared-work.ts'
import { indexSnapshot } from './snapshot-index.ts'
import { withinStall } from './within-stall.ts'

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
  /** How long the upstream may take to tell, where `prefer` has something else to answer. Default 5000. */
  lookUpTimeoutMs?: number | undefined
  /** How long a file that is fetched may bring nothing. Default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Whether a repository may be asked for; of another, there is none. Default: everything may be. */
  allow?: ((repo: string, options: AbortOptions) => boolean | Promise<boolean>) | undefined
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
const MOST_REVISIONS = 1000
const MOST_LOOKUPS = 32
// How long an upstream that could not tell is left alone.
const OUTAGE_MS = 10_000

type LookedUp = KnownRevision & { stale?: HubStale }

/**
 * Repositories of another hub, each file of which is fetched, verified and kept when it is read first. A file is handed on once all of
 * it was verified, so the first reader of a large one waits for it. A fetch that has begun goes on when its reader goes away.
 *
 * @throws {InvalidInputError} A number in the options is none.
 */
export function createPullThrough(options: PullThroughOptions): PullThrough {
  const {
    upstream,
    keep,
    revalidateMs = 60_000,
    freshness = 'prefer',
    lookUpTimeoutMs = 5000,
    stallTimeoutMs = 30_000,
    allow: isAllowed = () => true,
    maxFetches = 4,
    onEvent,
    now = Date.now,
  } = options
  if (!(revalidateMs >= 0)) throw notANumber('revalidateMs', revalidateMs)
  if (!(stallTimeoutMs > 0)) throw notANumber('stallTimeoutMs', stallTimeoutMs)
  if (!(lookUpTimeoutMs > 0)) throw notANumber('lookUpTimeoutMs', lookUpTimeoutMs)
  if (!Number.isSafeInteger(maxFetches) || maxFetches < 1) throw notANumber('maxFetches', maxFetches)
  const lookups = createSharedWork<LookedUp | undefined>(MOST_LOOKUPS)
  const listings = createSharedWork<HubListing | undefined>(MOST_LOOKUPS)
  const fetches = createSharedWork<KeptFile>(maxFetches)
  const known = new Map<string, HubListing>()
  const revisions = new Map<string, LookedUp & { validUntil: number }>()

  return {
    async open(repo, revision, { signal }) {
      if (!(await isAllowed(repo, { signal }))) return undefined
      const found = COMMIT.test(revision) ? { commit: revision } : await lookUp(repo, revision, { signal })
      if (!found) return undefined
      const { commit } = found
      const listing = await listingOf(repo, commit, { signal })
      if (!listing) return undefined
      const stale = 'stale' in found ? found.stale : undefined
      return toSnapshot(repo, commit, listing, stale)
    },
    ...(upstream.refs && {
      refs: async (repo, given) => ((await isAllowed(repo, given)) ? upstream.refs?.(repo, given) : undefined),
    }),
    ...(keep.list && { list: (given) => keep.list?.(given) ?? none() }),
    async close() {
      await Promise.all([lookups.close(), listings.close(), fetches.close()])
    },
  }

  function lookUp(repo: string, revision: string, given: AbortOptions): Promise<LookedUp | undefined> {
    const key = JSON.stringify([repo, revision])
    return lookups.run(
      key,
      async (signal) => {
        const started = now()
        const remembered = revisions.get(key)
        if (remembered && started < remembered.validUntil) return remembered
        const before = remembered ?? (await keep.revision(repo, revision, { signal }))
        if (before && started - before.checkedAt.getTime() < revalidateMs) return remember(key, before)
        let commit: string | undefined
        try {
          const canWait = before === undefined || freshness === 'require'
          commit = await resolveWithin(canWait ? undefined : lookUpTimeoutMs, repo, revision, signal)
        } catch (reason) {
          signal.throwIfAborted()
          if (!before || freshness === 'require' || !isOutage(reason)) throw reason
          const { commit: last, checkedAt } = before
          const durationMs = now() - started
          onEvent?.({ type: 'revision-stale', repo, revision, commit: last, checkedAt, reason, durationMs })
          // Not every request is to wait for an upstream that is down.
          const validUntil = now() + Math.min(revalidateMs, OUTAGE_MS)
          return remember(key, { commit: last, checkedAt, stale: { checkedAt, reason } }, validUntil)
        }
        if (commit === undefined) return undefined
        const checked = { commit, checkedAt: new Date(started) }
        await keep.setRevision(repo, revision, checked, { signal })
        onEvent?.({ type: 'revision-resolved', repo, revision, commit, durationMs: now() - started })
        return remember(key, checked)
      },
      given,
    )
  }

  function remember(key: string, found: LookedUp, validUntil = found.checkedAt.getTime() + revalidateMs): LookedUp {
    revisions.delete(key)
    revisions.set(key, { ...found, validUntil })
    forgetOldest(revisions, MOST_REVISIONS)
    return found
  }

  async function resolveWithin(
    timeoutMs: number | undefined,
    repo: string,
    revision: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const late = new BackendError(`${upstream.name}: no answer within ${timeoutMs} ms`, { retryable: true })
    const tooLate = new AbortController()
    const stopTimer = timeoutMs === undefined ? undefined : startStallTimer(timeoutMs, () => tooLate.abort(late))
    try {
      const commit = await upstream.resolve(repo, revision, { signal: AbortSignal.any([signal, tooLate.signal]) })
      if (commit === undefined || COMMIT.test(commit)) return commit
      throw new BackendError(`${upstream.name}: the commit of ${repo} is not 40 hex digits`, { retryable: false })
    } finally {
      stopTimer?.()
    }
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
        forgetOldest(known, MOST_SNAPSHOTS)
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
    indexSnapshot({ ...listing, repo, commit })
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
        const what = `${upstream.name}: ${repo}/${path}`
        const read = ({ signal: asked, ...part }: HubReadOptions): AsyncIterable<Uint8Array> =>
          withinStall((open) => upstream.read(repo, commit, path, { ...part, ...open }), {
            timeoutMs: stallTimeoutMs,
            what,
            signal: asked,
          })
        const kept = await keep.add(file, { repo, commit, read }, { signal })
        onEvent?.({ type: 'file-kept', repo, commit, path, size, durationMs: now() - started })
        return kept
      },
      given,
    )
  }
}

function forgetOldest<T>(map: Map<string, T>, most: number): void {
  const [oldest] = map.keys()
  if (map.size > most && oldest !== undefined) map.delete(oldest)
}

async function* none(): AsyncGenerator<string> {}

/** That a revision or a repository is not there is an answer, and no outage. */
const isOutage = (error: unknown): boolean => isStorageError(error) && error.code === 'BACKEND'

const notANumber = (name: string, value: number): InvalidInputError =>
  new InvalidInputError(`${name} ${value} is no such number`, { input: String(value) })
