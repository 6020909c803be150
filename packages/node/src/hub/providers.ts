import type { FsStore } from '@x/backend-fs'
import type { Environment, GateSettings } from '@x/gating'
import { isRepo } from '@x/hub-client/names'
import { cidOfRepo, findHubRevision, openModel, type ModelProvider, type OpenedModel } from '@x/model-loader/binding'
import { BackendError, NotFoundError, type AbortOptions } from '@x/storage-core'
import { linkedController } from '@x/storage-core/backend'

export interface HubProviderOptions {
  /** The local store's, which is made where it is missing. */
  directory: string
  environment: Environment
  gates?: GateSettings | undefined
}

/** Somebody waits for the program to start. */
const RETRY = { attempts: 2, baseMs: 200 }
/** How long a hub that is not there, or a repository that it does not give, is not asked for again. */
const OUTAGE_MS = 30_000
/** Of a hub that has no time for anybody, whatever is asked for. */
const OVERLOADED = new Set([429, 502, 503, 504])

/** A provider that keeps what it finds in the local store. */
export interface KeepingProvider extends ModelProvider {
  /** Stops what is being fetched, and closes the store until somebody asks again; models that were opened do not need it. */
  close(): Promise<void>
}

type Open = (store: FsStore, repo: string, revision: string, options: AskOptions) => Promise<OpenedModel | undefined>
type AskOptions = Parameters<ModelProvider['open']>[2]

/**
 * Models of the Hugging Face cache of this machine, taken into the store where they lie: nothing is copied. A snapshot that
 * may be a part of its repository is a partial model.
 */
export function createHubCacheProvider({ directory, environment }: HubProviderOptions): KeepingProvider {
  return keeping({ name: 'hub-cache', fetchesFiles: false }, directory, async (store, repo, revision, options) => {
    const { findHubCache, findSnapshot } = await import('./hub-cache.ts')
    const cache = await findHubCache({ environment })
    const snapshot = cache && (await findSnapshot(cache, repo, revision, options))
    if (!snapshot) return undefined
    // The store had its turn; without the file there is nothing to take in again.
    const { path } = options
    if (path !== undefined && !snapshot.files.some((file) => file.path === path)) {
      const known = await findHubRevision(store, { repo, revision: snapshot.commit }, options)
      if (known && (await store.has(known.root, options))) return undefined
    }
    const { importFromHubCache } = await import('./import-hub-cache.ts')
    const { cid, isWhole } = await importFromHubCache(store, cache, { repo, revision }, { pin: false, ...options })
    const model = await opened(store, cid.toString(), options)
    return isWhole ? model : { ...model, isPartial: true }
  })
}

/**
 * Models of the Hugging Face hub, file by file: what is small at once, of the weights what is asked for. They are verified and
 * kept in the store, unpinned.
 */
export function createHubProvider({ directory, environment, gates }: HubProviderOptions): KeepingProvider {
  const outages = new Map<string, { error: unknown; until: number }>()
  return keeping({ name: 'hub', fetchesFiles: true }, directory, async (store, repo, revision, { path, signal }) => {
    const [{ openHub }, { pullHubModel }, { createHasher, createSha256 }] = await Promise.all([
      import('./open-hub.ts'),
      import('@x/model-loader'),
      import('../create-hash.ts'),
    ])
    // A program asks for a dozen files; it does not wait for each that nobody is there.
    for (const [what, { error, until }] of outages) {
      if (performance.now() >= until) outages.delete(what)
      else if (what === repo || what === EVERYTHING) throw error
    }
    const hub = await openHub({ environment, gates, retry: RETRY, signal })
    const before = await filesBefore(store, { repo, revision }, { signal })
    const partials = await store.openPartials({ signal })
    try {
      const { cid } = await pullHubModel(store, partials, {
        repo,
        revision,
        hub,
        weights: 'none',
        // A graph is of no use without its data.
        also: (file) => before.has(file) || (path !== undefined && (file === path || file.startsWith(`${path}_data`))),
        pin: false,
        createHasher,
        createSha256,
        signal,
      })
      return await opened(store, cid.toString(), { signal })
    } catch (error) {
      // That it was stopped says nothing of the hub.
      if (signal?.aborted) throw error
      if (error instanceof NotFoundError && error.cid === undefined) return undefined
      if (error instanceof BackendError) {
        const until = performance.now() + OUTAGE_MS
        const { HubStatusError } = await import('@x/hub-client')
        const status = error.cause instanceof HubStatusError ? error.cause.status : undefined
        // Nobody answered; what was answered is about what was asked for.
        const isOfAll = status === undefined ? error.retryable : OVERLOADED.has(status)
        outages.set(isOfAll ? EVERYTHING : repo, { error, until })
      }
      throw error
    } finally {
      await partials.close()
    }
  })
}

const EVERYTHING = ''

/** What was fetched of it for an earlier question stays part of the model. */
async function filesBefore(
  store: FsStore,
  query: { repo: string; revision: string },
  options: AbortOptions,
): Promise<ReadonlySet<string>> {
  const known = await findHubRevision(store, query, options)
  if (!known || !(await store.has(known.root, options))) return new Set()
  const { files } = await opened(store, known.root.toString(), options)
  return new Set(files.map(({ path }) => path))
}

async function opened(store: FsStore, cid: string, { signal }: AbortOptions): Promise<OpenedModel> {
  const { createSha256 } = await import('../create-hash.ts')
  // What is given is checked when it is given.
  return openModel(store, cid, { createSha256, verify: 'stored', signal })
}

function keeping(who: { name: string; fetchesFiles: boolean }, directory: string, open: Open): KeepingProvider {
  let opening: Promise<FsStore> | undefined
  const store = async (): Promise<FsStore> => {
    const { openFsStore } = await import('@x/backend-fs')
    opening ??= openFsStore({ directory })
    try {
      return await opening
    } catch (error) {
      // It may be mended later.
      opening = undefined
      throw error
    }
  }
  /** One after another: each builds on what is kept. */
  let last: Promise<unknown> = Promise.resolve()
  let ending = new AbortController()
  return {
    ...who,
    async open(repo, revision, options) {
      // Of any revision that is held the store knows; a CID is never a hub's to answer.
      if (revision === undefined || !isRepo(repo) || cidOfRepo(repo)) return undefined
      const { controller, release } = linkedController(ending.signal, options.signal)
      const { signal } = controller
      const turn = last.then(async () => {
        try {
          signal.throwIfAborted()
          return await open(await store(), repo, revision, { ...options, signal })
        } finally {
          release()
        }
      })
      // Who asked is told; the next one goes on.
      last = turn.catch(() => undefined)
      return turn
    },
    async close() {
      ending.abort(new BackendError(`${who.name} was closed while it was asked`, { retryable: false }))
      ending = new AbortController()
      await last
      const closing = opening
      opening = undefined
      // A store that did not open leaves nothing to close; who asked for it was told.
      await (await closing?.catch(() => undefined))?.close()
    },
  }
}
