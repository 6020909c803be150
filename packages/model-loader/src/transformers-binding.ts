import { GatedError } from '@x/storage-core'

import type { OpenedModel } from './opened-model.ts'
import { resourcePath } from './resource-url.ts'

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
  /** Points a copy of transformers.js at the registered models. Installing again is counted. */
  install(env: TransformersEnv): void
  /** Takes one `install` back; with the last, every touched field is `===` what it was. */
  restore(env: TransformersEnv): void
  register(model: OpenedModel): RegisteredModel
}

/** What ONNX Runtime opens by path in Node: graphs and their external data. */
const MAPPED = /\.onnx(?:_data(?:_\d+)?)?$/
/** The longest segment of a model id in transformers.js is 96 characters; CIDs under sha2-512 are longer. */
const MAX_ID_LENGTH = 80

interface Entry {
  model: OpenedModel
  used: Set<string>
  failure: unknown
}

/**
 * Makes transformers.js load every file of a registered model from that model, whatever revision it asks for, and from
 * nowhere else. Both `env.customCache` and `env.fetch` are replaced: the cache hands out what is there, but cannot say
 * that something is absent, so `fetch` has to.
 *
 * While it is installed, a request for anything else goes to the cache and the fetch that the user had put there before.
 * Without them it is refused: nothing reaches the network.
 *
 * Two bindings on one `env` must be restored in the reverse order.
 */
export function createTransformersBinding(): TransformersBinding {
  const entries = new Map<string, Entry>()
  const installed = new WeakMap<TransformersEnv, { count: number; undo: () => void }>()
  let count = 0
  return {
    install(env) {
      const state = installed.get(env)
      if (state) state.count++
      else installed.set(env, { count: 1, undo: replaceFields(env, entries) })
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
      const entry: Entry = { model, used: new Set(), failure: undefined }
      entries.set(id, entry)
      return {
        id,
        used: () => [...entry.used].toSorted(),
        failure: () => entry.failure,
        unregister: () => void entries.delete(id),
      }
    },
  }
}

/** Resolves to how to put everything back. */
function replaceFields(env: TransformersEnv, entries: ReadonlyMap<string, Entry>): () => void {
  const { useCustomCache, customCache, fetch } = env
  const othersCache = useCustomCache ? customCache : null
  const othersFetch = isLibraryDefault(fetch) ? undefined : fetch
  const ours: Pick<TransformersEnv, 'customCache' | 'fetch'> = {
    customCache: createCache(env, entries, othersCache),
    fetch: createFetch(env, entries, othersFetch),
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

/** transformers.js binds the global fetch at import; whatever else is there was put there by the user. */
const isLibraryDefault = (fetch: Fetch): boolean => fetch === globalThis.fetch || fetch.name === 'bound fetch'

/** A file of a registered model that was asked for; `file` is undefined when the model lacks it. */
interface Request {
  entry: Entry
  path: string
  size: number | undefined
}

function locate(env: TransformersEnv, entries: ReadonlyMap<string, Entry>, url: string): Request | undefined {
  for (const [id, entry] of entries) {
    const path = resourcePath(env, id, url)
    if (path === undefined) continue
    const file = entry.model.files.find((candidate) => candidate.path === path)
    return { entry, path, size: file?.size }
  }
  return undefined
}

function createCache(
  env: TransformersEnv,
  entries: ReadonlyMap<string, Entry>,
  others: TransformersCache | null,
): TransformersCache {
  /** A URL, or a local path, which transformers.js asks for first. */
  const isOurs = (key: string): boolean => [...entries.keys()].some((id) => key.includes(`/${id}/`))
  return {
    async match(key) {
      const request = locate(env, entries, key)
      if (request === undefined) return isOurs(key) ? undefined : others?.match(key)
      if (request.size === undefined) return undefined
      return watched(request, async () => pathOf(request) ?? (await wholeFile(request)))
    },
    async put(key, response, onProgress) {
      if (!isOurs(key)) await others?.put(key, response, onProgress)
    },
    async delete(key) {
      return isOurs(key) ? false : ((await others?.delete?.(key)) ?? false)
    },
  }
}

function createFetch(env: TransformersEnv, entries: ReadonlyMap<string, Entry>, others: Fetch | undefined): Fetch {
  return async (input, init) => {
    const url = String(input)
    const request = locate(env, entries, url)
    if (request === undefined) {
      if (others) return others(input, init)
      throw new GatedError(`no network while models come from a store: ${url} was refused`, { feature: 'network' })
    }
    if (request.size === undefined) return new Response(null, { status: 404, statusText: 'Not Found' })
    if (new Headers(init?.headers).has('range')) return probe(request, request.size)
    return watched(request, () => wholeFile(request))
  }
}

/**
 * What transformers.js learns a file's size from. A file given by path reports no progress, so with a size the total would
 * never be reached.
 */
function probe(request: Request, size: number): Response {
  const headers = { ...(pathOf(request) === undefined && { 'content-range': `bytes 0-0/${size}` }) }
  return new Response(new Uint8Array(Math.min(1, size)), { status: 206, headers })
}

/** Other files have to be a Response: transformers.js cannot read JSON by path. */
const pathOf = ({ entry, path }: Request): string | undefined =>
  MAPPED.test(path) ? entry.model.path(path) : undefined

async function wholeFile({ entry, path }: Request): Promise<Response> {
  const bytes = await entry.model.read(path)
  const type = path.endsWith('.json') ? 'application/json' : 'application/octet-stream'
  return new Response(bytes, { headers: { 'content-length': String(bytes.length), 'content-type': type } })
}

async function watched<T>({ entry, path }: Request, give: () => Promise<T>): Promise<T> {
  try {
    const given = await give()
    entry.used.add(path)
    return given
  } catch (error) {
    entry.failure ??= error
    throw error
  }
}
