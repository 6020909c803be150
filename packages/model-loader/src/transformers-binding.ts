import { GatedError } from '@x/storage-core'

import { askedRequest, isReading, type AskedRequest } from './asked-request.ts'
import { createBindingReport, type BindingStatus } from './binding-report.ts'
import { cidOfRepo } from './cid-of-repo.ts'
import { fileResponse } from './file-response.ts'
import { knownOrigin } from './known-origin.ts'
import {
  bodyOf,
  bytesOf,
  contentsOf,
  isMapped,
  standsInFor,
  typeOf,
  type FileRequest,
  type GivenBytes,
  type Source,
} from './model-answers.ts'
import { MAIN, type ModelProvider } from './model-provider.ts'
import type { OpenedModel } from './opened-model.ts'
import { createPathChecks } from './path-checks.ts'
import { parseResource, resourcePath, type Resource } from './resource-url.ts'
import { createSmallFiles } from './small-files.ts'

/** What transformers.js calls a cache. */
export interface TransformersCache {
  match(key: string): Promise<unknown>
  put(
    key: string,
    response: Response,
    onProgress?: (progress: { progress: number; loaded: number; total: number }) => void,
  ): Promise<void>
  delete?: ((key: string) => Promise<boolean>) | undefined
}

type Fetch = (input: string | URL, init?: RequestInit) => Promise<Response>

/** The fields of transformers.js's `env` that are read or replaced. */
export interface TransformersEnv {
  remoteHost: string
  remotePathTemplate: string
  useCustomCache: boolean
  customCache: TransformersCache | null
  fetch: Fetch
}

export interface RegisteredModel {
  /** What to give transformers.js as the model: `cid/<cid>.<n>`. */
  readonly id: string
  /** The files that transformers.js asked for and was given so far, sorted. */
  used: () => string[]
  /** What kept a file from being given; transformers.js swallows it, or waits for ever. `undefined`: nothing. */
  failure: () => unknown
  unregister: () => void
}

export interface TransformersBinding {
  /** Points a copy of transformers.js at the models. Installing again is counted. */
  install(env: TransformersEnv): void
  /** Takes one `install` back; with the last, every touched field is `===` what it was. */
  restore(env: TransformersEnv): void
  register(model: OpenedModel): RegisteredModel
  /**
   * Says that a graph was opened by the path that was given for it. The library asks for a graph more than once before it
   * opens it, and with `each-open` all these get one check; the next after this gets another.
   */
  pathOpened(path: string): void
  status(): BindingStatus
  /** Closes the models that providers opened. What is asked for later is opened again. */
  close(): Promise<void>
}

export interface TransformersBindingOptions {
  /** Asked in this order for a repository that is not registered. Default: none. */
  providers?: readonly ModelProvider[] | undefined
  /**
   * What becomes of a request that none of them answers. `strict`: an error that names the URL. `prefer`: the library's
   * own cache, then its own fetch, and `status()` says so. `models`: `strict` for what is a file of a repository, `prefer` for
   * anything else. Default `strict`. What the user had put into `env` before comes first in all.
   */
  offline?: 'strict' | 'models' | 'prefer' | undefined
  /**
   * Hears of a model that a provider has, before any file of it is given. What it throws refuses every request for that repository
   * and revision: no other provider, cache, folder or fetch is asked, the user's included. Default: all may be used.
   */
  check?:
    | ((model: OpenedModel, asked: { repo: string; revision: string | undefined; provider: string }) => Promise<void>)
    | undefined
  /** How a graph and its data are checked whenever one is given by path. Default `stored`. */
  verify?: 'stored' | 'each-open' | undefined
  /**
   * What the library would use for a cache if it were left alone, for `prefer`: with a custom cache in place it does not
   * come to its own. Default: none.
   */
  libraryCache?: ((env: TransformersEnv) => TransformersCache | undefined) | undefined
  /** Why the library may not fetch a URL; `undefined` when it may. Default: it may. */
  whyNotFetch?: ((url: string) => string | undefined) | undefined
  /**
   * The revision that the program named in the call of `pipeline()` that runs now, for a repository. The library lists
   * the files of `main` first, whatever was named. Default: not known.
   *
   * @see https://github.com/huggingface/transformers.js/pull/1751
   */
  revisionInCall?: ((repo: string) => string | undefined) | undefined
  /** Hears of every path that is given, with the model's file it is. */
  onPath?: ((path: string, model: OpenedModel, file: string) => void) | undefined
}

/** The longest segment of a model id in transformers.js is 96 characters; CIDs under sha2-512 are longer. */
const MAX_ID_LENGTH = 80

/** What `pipeline()` wants to know of `main` before it asks for the revision that the program named. */
const LISTING = new Set(['config.json', 'tokenizer_config.json', 'preprocessor_config.json'])
/** Held in memory; nothing is asked for over the network. */
const LOCAL_URL = /^(?:blob|data):/i

/** What a request comes to when no model answers it. */
interface Unanswered {
  resource: Resource | undefined
  /** Why not, for a person. */
  why: string
  /** What a provider threw. */
  cause: unknown
  /** Somebody has it, and it may not be used. */
  refusal?: RefusedModel | undefined
}

/** A model that somebody has and `check` refuses; `cause` is what it threw. */
class RefusedModel extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
  }
}

/**
 * Makes transformers.js load every file of a model from where it was verified. A registered model has an id of its own
 * and answers for whatever revision; any other repository is looked for in the providers, by name and revision, and the
 * first that has it answers for all of its files: what it lacks is 404, and what was left out of it when it was pulled is looked for in
 * the providers behind. Both `env.customCache` and `env.fetch` are
 * replaced: the cache hands out what is there, but cannot say that something is absent, so `fetch` has to.
 *
 * A model that was opened for a repository and revision answers for them until `close`: what a branch points to later is
 * seen by the next process.
 *
 * Two bindings on one `env` must be restored in the reverse order.
 */
export function createTransformersBinding(options: TransformersBindingOptions = {}): TransformersBinding {
  const { providers = [], offline = 'strict', verify = 'stored' } = options
  const registered = new Map<string, Source>()
  const opened = new Map<string, Promise<Source | undefined>>()
  /** Models that another one with more files took the place of. */
  const replaced: Source[] = []
  const installed = new WeakMap<TransformersEnv, { count: number; undo: () => void }>()
  const checks = createPathChecks(verify)
  const small = createSmallFiles()
  const report = createBindingReport(providers.map(({ name }) => name))
  let count = 0

  /** The model that answers for a repository at a revision; opened once. */
  function sourceOf(repo: string, revision: string | undefined, path: string): Promise<Source | undefined> {
    const key = keyOf(repo, revision)
    const known = opened.get(key)
    if (known) return known
    const opening = open(repo, revision, { path, from: 0 }).then(
      (source) => {
        // What is not there now may be later.
        if (source === undefined) opened.delete(key)
        return source
      },
      (error: unknown) => {
        opened.delete(key)
        throw error
      },
    )
    opened.set(key, opening)
    return opening
  }

  /** @param options.from - The first provider that is asked. @param options.must - Only a model that has the file counts. */
  async function open(
    repo: string,
    revision: string | undefined,
    { path, from, must = false }: { path: string; from: number; must?: boolean },
  ): Promise<Source | undefined> {
    const failures: unknown[] = []
    for (const provider of providers.slice(from)) {
      try {
        const model = await provider.open(repo, revision, { path })
        if (model && isAnswerFor(repo, model) && (!must || model.files.some((file) => file.path === path))) {
          await assertUsable(model, { repo, revision, provider: provider.name })
          report.opened(provider.name, { repo, revision, cid: model.cid })
          return { provider: provider.name, model, used: new Set(), failure: undefined }
        }
        report.missed(provider.name)
      } catch (error) {
        report.failed(provider.name, error)
        if (error instanceof RefusedModel) throw error
        failures.push(error)
      }
    }
    if (failures.length === 0) return undefined
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(messageOf).join('; '))
  }

  async function assertUsable(
    model: OpenedModel,
    asked: { repo: string; revision: string | undefined; provider: string },
  ): Promise<void> {
    try {
      await options.check?.(model, asked)
    } catch (error) {
      await model.close()
      throw new RefusedModel(error)
    }
  }

  /**
   * A file of a model that somebody has; one that was left out of it, or may have been, is looked for in the providers behind. What these
   * have answers from then on. `undefined`: it is not here, and that it is nowhere is not known.
   */
  async function fileOrElse(
    source: Source,
    { repo, revision, path }: { repo: string; revision: string | undefined; path: string },
  ): Promise<FileRequest | undefined> {
    const request = fileIn(source, path)
    const isLeftOut = source.model.manifest.omitted.some((file) => file.path === path)
    if (request.size !== undefined || (!isLeftOut && source.model.isPartial !== true)) return request
    const own = providers.findIndex(({ name }) => name === source.provider)
    const from = providers[own]?.fetchesFiles ? own : own + 1
    // Of the same commit, where it is known: a branch may have moved since.
    const origin = knownOrigin(source.model)
    const same = origin?.repo === repo ? origin.revision : revision
    const further = await open(repo, same, { path, from, must: true })
    if (further) {
      opened.set(keyOf(repo, revision), Promise.resolve(further))
      replaced.push(source)
      return fileIn(further, path)
    }
    return isLeftOut || offline === 'prefer' ? undefined : request
  }

  async function find(env: TransformersEnv, url: string): Promise<FileRequest | Unanswered> {
    for (const [id, source] of registered) {
      const path = resourcePath(env, id, url)
      if (path !== undefined) return fileIn(source, path)
    }
    const resource = providers.length === 0 ? undefined : parseResource(env, url)
    if (resource === undefined) return { resource, why: 'it is no file of a model that is known', cause: undefined }
    const { repo, path } = resource
    const asked = resource.revision ?? MAIN
    const isListing = asked === MAIN && LISTING.has(path)
    const revision = (isListing ? options.revisionInCall?.(repo) : undefined) ?? asked
    try {
      const source = await sourceOf(repo, revision, path)
      if (source) {
        const request = await fileOrElse(source, { repo, revision, path })
        if (request) return request
        return {
          resource,
          why: `${source.provider}: ${repo} at ${revision} is there without ${path}`,
          cause: undefined,
        }
      }
      // The listing alone: files of a revision that was not asked for are never given for it.
      const standIn = isListing && revision === MAIN ? await sourceOf(repo, undefined, path) : undefined
      if (standIn) return fileIn(standIn, path)
    } catch (cause) {
      const why = `${repo}@${revision}: ${messageOf(cause)}`
      return { resource, why, cause, ...(cause instanceof RefusedModel && { refusal: cause }) }
    }
    const names = providers.map(({ name }) => name).join(', ')
    return { resource, why: `${names}: there is no ${repo} at ${revision}`, cause: undefined }
  }

  const isRegistered = (key: string): boolean => [...registered.keys()].some((id) => key.includes(`/${id}/`))

  function createCache(env: TransformersEnv, others: TransformersCache | null): TransformersCache {
    /** Where what is not ours belongs: what the user had put there, else what the library would have. */
    const elsewhere = (): TransformersCache | undefined =>
      others ?? (offline === 'prefer' ? options.libraryCache?.(env) : undefined)
    const isOurs = async (key: string): Promise<boolean> => {
      if (isRegistered(key)) return true
      const request = await find(env, key)
      return 'source' in request || request.refusal !== undefined
    }
    return {
      async match(key) {
        const request = await find(env, key)
        if ('source' in request) {
          if (request.size === undefined) return standsInFor(request.path)
          return contentsOf(request, { checks, report, small, onPath: options.onPath })
        }
        if (isRegistered(key)) return undefined
        // Where the cache has nothing, the library looks below `env.localModelPath`.
        if (request.refusal) return standsInFor(request.resource?.path ?? '') ?? unreadable(request.refusal.cause)
        if (isByCid(request)) return undefined
        const found = await elsewhere()?.match(key)
        if (found !== undefined && request.resource) report.passedOn(key, 'cache', request.why)
        return found
      },
      async put(key, response, onProgress) {
        if (await isOurs(key)) return
        await elsewhere()?.put(key, response, onProgress)
      },
      async delete(key) {
        return (await isOurs(key)) ? false : ((await elsewhere()?.delete?.(key)) ?? false)
      },
    }
  }

  function createFetch(env: TransformersEnv, original: Fetch): Fetch {
    const others = isLibraryDefault(original) ? undefined : original
    return async (input, init) => {
      const asked = askedRequest(input, init)
      const { url } = asked
      const request = isReading(asked) ? await find(env, url) : unread(asked)
      if ('source' in request) return respond(request, asked)
      if (request.refusal) {
        report.refused(url, request.why)
        throw request.refusal.cause
      }
      if (isByCid(request)) throw refused(url, request, 'a CID is answered by that content or not at all')
      if (others || LOCAL_URL.test(url)) return (others ?? original)(input, init)
      const isAnswerWanted = offline === 'strict' || (offline === 'models' && request.resource !== undefined)
      const why = isAnswerWanted ? undefined : (options.whyNotFetch?.(url) ?? '')
      if (why === '') {
        report.passedOn(url, 'fetch', request.why)
        return original(input, init)
      }
      throw refused(url, request, why)
    }
  }

  function refused(url: string, { why: reason, cause }: Unanswered, why: string | undefined): GatedError {
    report.refused(url, reason)
    const whole = why === undefined ? reason : `${why}; ${reason}`
    const message = `no network while models come from a store: ${url} was refused (${whole})`
    return new GatedError(message, { feature: 'network', cause })
  }

  async function respond(request: FileRequest, asked: AskedRequest): Promise<Response> {
    const { source, path, size } = request
    if (size === undefined) {
      report.lacked(source.provider)
      return new Response(null, { status: 404, statusText: 'Not Found' })
    }
    const read = (): Promise<GivenBytes> => bytesOf(request, { checks, report, small })
    if (asked.method === 'HEAD' || asked.range === PROBE) return probe(request, { asked, size, read })
    try {
      const given = await read()
      return fileResponse(asked, { size, headers: typeOf(path), bytes: (start, end) => bodyOf(given, start, end) })
    } catch (error) {
      // The library waits for the data of a graph first, whose answer was ready just now: were the graph refused before it
      // has arrived, nobody would be listening.
      if (isMapped(path)) await new Promise((resolve) => void setTimeout(resolve))
      throw error
    }
  }

  function replaceFields(env: TransformersEnv): () => void {
    const { useCustomCache, customCache, fetch } = env
    const ours: Pick<TransformersEnv, 'customCache' | 'fetch'> = {
      customCache: createCache(env, useCustomCache ? customCache : null),
      fetch: createFetch(env, fetch),
    }
    env.useCustomCache = true
    env.customCache = ours.customCache
    env.fetch = ours.fetch
    return () => {
      // What somebody has put there since is theirs.
      if (env.customCache === ours.customCache) {
        env.useCustomCache = useCustomCache
        env.customCache = customCache
      }
      if (env.fetch === ours.fetch) env.fetch = fetch
    }
  }

  return {
    install(env) {
      const state = installed.get(env)
      if (state) state.count++
      else installed.set(env, { count: 1, undo: replaceFields(env) })
    },
    restore(env) {
      const state = installed.get(env)
      if (!state) return
      state.count--
      if (state.count > 0) return
      installed.delete(env)
      state.undo()
    },
    register(model) {
      // A new id each time: transformers.js remembers what it found under one.
      const id = `cid/${model.cid.toString().slice(0, MAX_ID_LENGTH)}.${++count}`
      const source: Source = { provider: undefined, model, used: new Set(), failure: undefined }
      registered.set(id, source)
      return {
        id,
        used: () => [...source.used].toSorted(),
        failure: () => source.failure,
        unregister: () => void registered.delete(id),
      }
    },
    pathOpened(path) {
      checks.forget(path)
    },
    status: () => report.read(),
    async close() {
      const all = [...opened.values()]
      opened.clear()
      small.clear()
      // Whoever asked for one that could not be opened was told.
      for (const result of await Promise.allSettled(all)) {
        if (result.status === 'fulfilled') await result.value?.model.close()
      }
      for (const { model } of replaced.splice(0)) await model.close()
    },
  }
}

/** Whoever gives another model for a CID is not believed. */
function isAnswerFor(repo: string, { cid }: OpenedModel): boolean {
  const wanted = cidOfRepo(repo)
  return wanted === undefined || wanted.toV1().equals(cid.toV1())
}

const isByCid = ({ resource }: Unanswered): boolean => resource !== undefined && cidOfRepo(resource.repo) !== undefined

const unread = ({ method }: AskedRequest): Unanswered => ({
  resource: undefined,
  why: `${method} asks for no file`,
  cause: undefined,
})

/** What fails its reader, with why. */
function unreadable(cause: unknown): Response {
  const body = new ReadableStream({ pull: (controller) => controller.error(cause) }, { highWaterMark: 0 })
  return new Response(body)
}

const keyOf = (repo: string, revision: string | undefined): string => JSON.stringify([repo, revision ?? null])

function fileIn(source: Source, path: string): FileRequest {
  const file = source.model.files.find((candidate) => candidate.path === path)
  return { source, path, size: file?.size }
}

/** transformers.js binds the global fetch at import; whatever else is there was put there by the user. */
const isLibraryDefault = (fetch: Fetch): boolean => fetch === globalThis.fetch || fetch.name === 'bound fetch'

/** What transformers.js learns a file's size from. It looks at the headers alone. */
const PROBE = 'bytes=0-0'

/** Reads nothing until somebody wants the byte. */
function probe(
  { source, path }: FileRequest,
  { asked, size, read }: { asked: AskedRequest; size: number; read: () => Promise<GivenBytes> },
): Response {
  const bytes = (start: number, end: number): ReadableStream<Uint8Array> => {
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      controller.enqueue((await read()).bytes.slice(start, end))
      controller.close()
    }
    return new ReadableStream({ pull }, { highWaterMark: 0 })
  }
  const response = fileResponse(asked, { size, headers: typeOf(path), bytes })
  // A file given by path reports no progress, so with a size the total would never be reached.
  const isPath = isMapped(path) && source.model.path(path) !== undefined
  if (isPath && asked.range === PROBE)
    for (const name of ['content-range', 'content-length']) response.headers.delete(name)
  return response
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
