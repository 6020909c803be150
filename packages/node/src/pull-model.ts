import type { CID } from '@x/cid'
import { decideGates, mayReach, type Environment, type GateSettings } from '@x/gating'
import { createCacheFileSource } from '@x/hub-cache'
import {
  findInRegistries,
  hubReference,
  parseReference,
  pullHubModel,
  pullModelByCid,
  pullRemoteModel,
  resolveReference,
  type PulledHubModel,
  type PulledModel,
  type PulledRemoteModel,
  type FoundInRegistry,
  type ModelReference,
  type PullModelOptions as LoaderOptions,
  type SelectFilesOptions,
} from '@x/model-loader'
import {
  BackendError,
  GatedError,
  InvalidInputError,
  isStorageError,
  NotFoundError,
  type AbortOptions,
} from '@x/storage-core'
import { httpSource, type ByteSource } from '@x/transfer'

import type { Backend } from './backends/open-backend.ts'
import { plainUrl } from './backends/plain-url.ts'
import { createHasher, createSha256 } from './create-hash.ts'
import { resolveIpns } from './fetch-model.ts'
import { findHubCache, findSnapshot } from './hub/hub-cache.ts'
import { openHub } from './hub/open-hub.ts'
import type { Storage } from './open-storage.ts'
import { assertFits } from './pull-options.ts'
import { assertMayGoOn, assertRequiredGive, watchRequired } from './required.ts'
import { openBucket } from './s3/open-bucket.ts'

export interface PullModelOptions
  extends Omit<LoaderOptions, 'createHasher' | 'createSha256'>, Omit<SelectFilesOptions, 'config'> {
  /** Where a model that is named by a CID may be; all are asked at once. */
  backends?: readonly Backend[] | undefined
  /** Plain web servers with a model's files below their URLs; they have no directories, which come from `backends`. */
  mirrors?: readonly string[] | undefined
  /** The manifest of a model that is named by a CID; see `pullModelByCid`. */
  manifest?: CID | undefined
  /** Ask the Hugging Face cache of this machine beside the hub. Default true. */
  hubCache?: boolean | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
  /** A source of directories failed, and another one stands in. */
  onFailover?: ((label: string, error: unknown) => void) | undefined
}

export type PulledFrom =
  | ({ kind: 'cid' } & PulledModel)
  | ({ kind: 'hub' } & PulledHubModel)
  | ({ kind: 'bucket' } & PulledRemoteModel)

/**
 * Brings a model into the local store: by CID from the backends that are named, from the Hugging Face hub, or from a bucket. Each
 * leaf (1 MiB) of which all had come when it was stopped is there the next time, also after a crash.
 *
 * @param reference - `ipfs://<cid>[/path]`, `ipns://<name>` with a Kubo daemon, `hf://org/name[@revision]`, `s3://bucket/prefix`, or `org/name[@version]`: a
 *   name of the store, which is there, else of a registry that it follows, else of the hub. A CID is answered by that CID, and
 *   never by the hub.
 * @throws {GatedError} A gate requires a backend that failed, and no other one of its kind is left: it lacks the model's root, does not
 *   answer within its stall limit, or failed in what it was asked for later. Of a model that is held nobody is asked.
 * @throws {InvalidInputError} A registry knows the name, and neither `backends` nor anything else says where its CID may be; an option that is
 *   for a hub or bucket was given for a CID, or the other way about.
 */
export async function pullModel(
  storage: Storage,
  reference: string,
  options: PullModelOptions = {},
): Promise<PulledFrom> {
  const { backends = [], signal } = options
  const parsed = parseReference(reference)
  if (parsed.kind === 'path') {
    const message = `${reference}: a model is pulled by CID, from IPNS, from a hub or from a bucket`
    throw new InvalidInputError(message, { input: reference })
  }
  if (parsed.kind === 'cid' || parsed.kind === 'ipns') assertFits(reference, 'cid', options)
  if (parsed.kind === 'hub' || parsed.kind === 's3') assertFits(reference, parsed.kind, options)
  const partials = await storage.openPartials({ signal })
  try {
    if (parsed.kind === 's3') {
      const { environment, gates, stallTimeoutMs } = options
      const directory = await openBucket(parsed, { environment, gates, stallTimeoutMs, signal })
      const pulled = await pullRemoteModel(storage, partials, { ...options, directory, createHasher, createSha256 })
      return { kind: 'bucket', ...pulled }
    }
    const own = parsed.kind === 'name' ? await rootOfName(storage, reference, { signal }) : undefined
    const known = own ? undefined : await knownToRegistry(storage, reference, parsed, options)
    // A name of its own whose model is gone is fetched again by its CID, where somebody may have that.
    const named = own && (backends.length > 0 || (await storage.has(own, { signal }))) ? own : known?.cid
    if (parsed.kind === 'cid' || parsed.kind === 'ipns' || named) {
      if (named) assertFits(reference, 'cid', options, `. It is ipfs://${named}${orAskHub(reference, parsed)}`)
      const root = named ?? (await rootOf(storage, reference, options))
      if (!(await storage.has(root, { signal }))) {
        assertDirectories(reference, options)
        await assertRequiredGive(backends, root, options)
      }
      const sources = backends.map(({ label, source, store }) => ({ label, source: store ?? source }))
      const kindOf = new Map(backends.map(({ label, kind }) => [label, kind]))
      const byteSources = (options.mirrors ?? []).map((url) => mirrorSource(url, options))
      const required = watchRequired(backends, options)
      const pulled = await pullModelByCid(storage, partials, root, {
        ...options,
        signal: required.signal,
        namedManifest: known?.manifest,
        sources,
        byteSources,
        createHasher,
        createSha256,
        onFailover: ({ source, error, left }) => {
          const kind = kindOf.get(source)
          const kinds = left.flatMap((label) => kindOf.get(label) ?? [])
          if (kind) assertMayGoOn({ kind, error }, kinds, options)
          options.onFailover?.(source, error)
        },
        onEvent: (event) => {
          if (event.type === 'source-dropped' || event.type === 'source-refused')
            required.lose(event.source, event.error)
          options.onEvent?.(event)
        },
      }).finally(required.release)
      return { kind: 'cid', ...pulled }
    }
    const wanted = hubReference(parsed)
    if (!wanted) throw new NotFoundError(reference, { message: `no model is named ${reference}` })
    assertFits(reference, 'hub', options, whyTheHub(parsed))
    const { environment = process.env, gates, stallTimeoutMs } = options
    const hub = await openHub({ environment, gates, stallTimeoutMs, signal })
    const pulled = await pullHubModel(storage, partials, {
      ...options,
      ...wanted,
      hub: { ...hub, resolve: (...asked) => hub.resolve(...asked).catch(notAsked(storage, reference, options)) },
      createHasher,
      createSha256,
      localSource: (commit) => cacheSource(wanted.repo, commit, { ...options, environment }),
    })
    return { kind: 'hub', ...pulled }
  } finally {
    await partials.close()
  }
}

/** Whoever named places meant a model that somebody else's registry has. */
function whyTheHub(parsed: ModelReference): string {
  if (parsed.kind !== 'name') return ''
  const called = parsed.version === undefined ? 'that name' : 'that version of that name'
  return `, for neither this store nor a registry that it follows has ${called}`
}

/** A hub that is not there says so of itself; what was asked for may as well be a name that was misspelt. */
function notAsked(storage: Storage, reference: string, { signal }: AbortOptions) {
  return async (cause: unknown): Promise<never> => {
    // What will not pass is an answer of the hub's.
    if (!(cause instanceof BackendError && cause.retryable)) throw cause
    const isHere = await isHeld(storage, reference, { signal })
    const state = isHere ? 'is here as it was pulled last' : 'is not here'
    const message = `${reference} ${state}, and the hub cannot be asked: ${cause.message}`
    throw new BackendError(message, { cause, retryable: true })
  }
}

async function isHeld(storage: Storage, reference: string, options: AbortOptions): Promise<boolean> {
  try {
    return await storage.has((await resolveReference(storage, reference, options)).cid, options)
  } catch (error) {
    if (error instanceof NotFoundError) return false
    throw error
  }
}

/** `undefined`: the store does not know the name. */
async function rootOfName(storage: Storage, reference: string, options: AbortOptions): Promise<CID | undefined> {
  try {
    const { cid, name } = await resolveReference(storage, reference, options)
    return name === undefined ? undefined : cid
  } catch (error) {
    if (error instanceof NotFoundError && error.what === reference) return undefined
    throw error
  }
}

/** `undefined`: no registry has it. */
async function knownToRegistry(
  storage: Storage,
  reference: string,
  parsed: ModelReference,
  { backends = [], signal }: PullModelOptions,
): Promise<FoundInRegistry | undefined> {
  if (parsed.kind !== 'name') return undefined
  const known = await findInRegistries(storage, parsed, { signal })
  if (!known || backends.length > 0 || (await storage.has(known.cid, { signal }))) return known
  // The hub may have another model of this name.
  const instead = orAskHub(reference, parsed)
  throw new InvalidInputError(
    `${reference} is ipfs://${known.cid}, as registry ${known.registry} says; name a place where it may be${instead}`,
    { input: reference },
  )
}

const orAskHub = (reference: string, parsed: ModelReference): string =>
  hubReference(parsed) ? `, or ask the hub for hf://${reference}` : ''

async function rootOf(storage: Storage, reference: string, options: PullModelOptions): Promise<CID> {
  const { backends = [], signal } = options
  const parsed = parseReference(reference)
  if (parsed.kind === 'ipns') {
    const kubo = backends.find((backend) => backend.kubo !== undefined)?.kubo
    if (kubo) return resolveIpns(kubo, parsed.name, { signal })
    throw new InvalidInputError(`${reference} is a name that a Kubo daemon resolves, and none is named`, {
      input: reference,
    })
  }
  if (parsed.kind !== 'cid') throw new Error(`${reference} is no CID`)
  if (parsed.path === undefined) return parsed.cid
  const failures: unknown[] = []
  for (const [at, { source, kind }] of [{ source: storage, kind: undefined }, ...backends].entries()) {
    try {
      return (await source.stat(parsed.cid, { path: parsed.path, signal })).cid
    } catch (error) {
      if (!isStorageError(error)) throw error
      const left = backends.slice(at)
      if (kind)
        assertMayGoOn(
          { kind, error },
          left.map((backend) => backend.kind),
          options,
        )
      failures.push(error)
    }
  }
  const [here, elsewhere] = failures
  if (await storage.has(parsed.cid, { signal })) throw here
  assertDirectories(reference, options)
  throw elsewhere
}

/** @throws {InvalidInputError} Nobody was named who could say what is in a directory. */
function assertDirectories(reference: string, { backends = [], mirrors = [] }: PullModelOptions): void {
  if (backends.length > 0) return
  if (mirrors.length === 0) throw new InvalidInputError(`no source was named for ${reference}`, { input: reference })
  const message = `${reference}: a mirror has files alone; name a backend that has the directory`
  throw new InvalidInputError(message, { input: reference })
}

/** What the Hugging Face cache of this machine has of a commit, in place. It is no more trusted than the hub. */
async function cacheSource(
  repo: string,
  commit: string,
  { hubCache = true, environment = process.env, signal }: PullModelOptions,
): Promise<ByteSource | undefined> {
  const cache = hubCache ? await findHubCache({ environment }) : undefined
  const snapshot = cache && (await findSnapshot(cache, repo, commit, { signal }))
  return snapshot && createCacheFileSource(snapshot)
}

/** @throws {InvalidInputError} No plain URL. @throws {GatedError} The network's switch does not let it connect there. */
function mirrorSource(url: string, { environment = process.env, gates }: PullModelOptions): ByteSource {
  const base = plainUrl(url.endsWith('/') ? url : `${url}/`, 'mirror')
  const decided = decideGates({ environment, options: gates })
  const allowRedirect = ({ hostname }: URL): boolean => mayReach(decided, 'network', hostname)
  if (!allowRedirect(base)) {
    throw new GatedError(`no connection to ${base.hostname}. ${decided.features.network.reason}`, {
      feature: 'network',
    })
  }
  return httpSource({
    name: `mirror=${base.host}`,
    allowRedirect,
    url: ({ path }) => new URL(path.split('/').map(encodeURIComponent).join('/'), base),
  })
}
