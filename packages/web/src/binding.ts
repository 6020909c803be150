import { isStorageError } from '@x/cid'
import { createSkeleton } from '@x/model-formats'
import {
  askedRequest,
  fileResponse,
  isReading,
  type AskedRequest,
  type TransformersCache,
  type TransformersEnv,
} from '@x/model-loader'
import { GatedError } from '@x/storage-core'

import { parseHubUrl, type HubFile } from './hub-url.ts'
import type { WebModel } from './open-model.ts'
import type { ChosenRuntime, ExternalFile, Runtime } from './runtime.ts'
import type { StoredModels } from './stored-models.ts'

/** Those of transformers.js's `env` in a page that are read or replaced. */
export interface WebEnv extends TransformersEnv {
  version: string
  useWasmCache: boolean
}

export interface WebBindingOptions {
  models: StoredModels
  runtime: Runtime
  /**
   * `prefer`: what the storage does not have is left to transformers.js and what was set there before. `strict`: any request
   * that leaves the page's origin rejects with a `GatedError` that names the URL. Default `prefer`.
   */
  offline?: 'prefer' | 'strict' | undefined
}

export interface BindingStatus {
  enabled: boolean
  offline: 'prefer' | 'strict'
  /** Copies of transformers.js whose `env` is patched. */
  patched: { version: string; fields: readonly string[] }[]
  /** Of ONNX Runtime; `undefined` where it is not ours, and weights are copied. */
  runtime: ChosenRuntime | undefined
  /** Files that were given whole. */
  hits: number
  /** Files that were fetched, and known to be absent or left to the library. */
  misses: number
  /** Bytes of these files. Weights that the runtime reads itself are not among them. */
  bytes: number
  /** Files given, by where they came from. */
  sources: Record<string, number>
  /** What kept files from being given, newest last; transformers.js does not hand all of them on. */
  failures: string[]
}

export interface WebBinding {
  /** Points a copy of transformers.js at the storage. Again is no error. */
  apply(env: WebEnv): void
  /** Every touched field is `===` what it was, unless somebody else has set it since. */
  restore(env: WebEnv): void
  /** Leaves everything to what was there before, without taking the fields back. */
  disable(): void
  /** Takes `disable` back. */
  enable(): void
  status(): BindingStatus
}

type Fetch = TransformersEnv['fetch']

const MOST_FAILURES = 20

type Asked = Omit<AskedRequest, 'url'>
const WHOLE: Asked = { method: 'GET', range: null }
/** The library asks for sizes too, which gives it no file. */
const isWhole = ({ method, range }: Asked): boolean => method === 'GET' && range === null

/** What is given for a path: bytes, or a file of the storage. */
type Given = Uint8Array<ArrayBuffer> | File

export function createWebBinding({ models, runtime, offline = 'prefer' }: WebBindingOptions): WebBinding {
  const applied = new Map<WebEnv, { fields: readonly string[]; undo: () => void }>()
  const graphs = new Map<string, Promise<Given>>()
  const counts = { hits: 0, misses: 0, bytes: 0 }
  const failures: string[] = []
  let enabled = true

  const fail = (file: string, error: unknown): void => {
    failures.push(`${file}: ${error instanceof Error ? error.message : String(error)}`)
    if (failures.length > MOST_FAILURES) failures.shift()
  }

  /** The graph of a model, whose weights the runtime finds by itself. */
  function graphOf(model: WebModel, path: string): Promise<Given> {
    const key = `${model.cid}/${path}`
    const known = graphs.get(key)
    if (known) return known
    const making = makeGraph(model, path, key)
    graphs.set(key, making)
    // Who asked hears of it; who asks next tries again.
    making.catch(() => graphs.delete(key))
    return making
  }

  async function makeGraph(model: WebModel, path: string, key: string): Promise<Given> {
    const file = await model.file(path)
    const beside = dataFilesOf(model, path)
    if (beside.length > 0) {
      const files = beside.map((data): ExternalFile => ({ path: baseName(data), open: () => model.file(data) }))
      return runtime.mark(key, new Uint8Array(await file.arrayBuffer()), files)
    }
    const read = async (offset: number, length: number): Promise<Uint8Array> =>
      new Uint8Array(await file.slice(offset, offset + length).arrayBuffer())
    const location = baseName(path)
    const skeleton = await createSkeleton({ size: file.size, read }, { location }).catch((error: unknown) => {
      if (!isStorageError(error) || error.code !== 'INVALID_INPUT') throw error
      // Whether it is a model after all is for the runtime to say.
      fail(path, error)
      return undefined
    })
    if (!skeleton || skeleton.externalised.length === 0) return file
    return runtime.mark(key, skeleton.bytes, [{ path: location, open: () => model.file(path) }])
  }

  /** `undefined`: the model has no such file. */
  async function give(model: WebModel, path: string): Promise<Given | undefined> {
    const listed = model.files.find((file) => file.path === path)
    if (!listed) return undefined
    if (!runtime.chosen) return model.file(path)
    if (path.endsWith('.onnx')) return graphOf(model, path)
    // Its bytes go from the storage to the runtime.
    if (ownerOf(model, path) !== undefined) return new Uint8Array()
    return model.file(path)
  }

  /** The answer to a request for a file; `undefined` where the storage has no such model. */
  async function answer({ repo, revision, path }: HubFile, asked: Asked): Promise<Response | undefined> {
    const model = await models.open(repo, revision)
    if (!model) return undefined
    const given = await give(model, path)
    if (given === undefined) return new Response(null, { status: 404, statusText: 'Not Found' })
    const size = given instanceof Blob ? given.size : given.length
    if (isWhole(asked)) {
      counts.hits += 1
      counts.bytes += size
    }
    const type = path.endsWith('.json') ? 'application/json' : 'application/octet-stream'
    return fileResponse(asked, {
      size,
      headers: { 'content-type': type },
      bytes: (start, end) => (given instanceof Blob ? given.slice(start, end) : given.subarray(start, end)),
    })
  }

  async function watched<T>(url: string, task: () => Promise<T>): Promise<T> {
    try {
      return await task()
    } catch (error) {
      fail(url, error)
      throw error
    }
  }

  function createCache(env: WebEnv, others: TransformersCache | null): TransformersCache {
    return {
      async match(key) {
        const file = enabled ? parseHubUrl(env, key) : undefined
        const found = file && (await watched(key, () => answer(file, WHOLE)))
        if (found) return found.ok ? found : undefined
        return others?.match(key)
      },
      async put(key, response, onProgress) {
        const file = enabled ? parseHubUrl(env, key) : undefined
        if (file && (await models.open(file.repo))) return
        await others?.put(key, response, onProgress)
      },
      async delete(key) {
        const file = enabled ? parseHubUrl(env, key) : undefined
        if (file && (await models.open(file.repo))) return false
        return (await others?.delete?.(key)) ?? false
      },
    }
  }

  function createFetch(env: WebEnv, others: Fetch): Fetch {
    return async (input, init) => {
      if (!enabled) return others(input, init)
      const asked = askedRequest(input, init)
      const url = new URL(asked.url, globalThis.location.href).href
      const file = isReading(asked) ? parseHubUrl(env, url) : undefined
      const found = file && (await watched(url, () => answer(file, asked)))
      if (file && isWhole(asked) && found?.ok !== true) counts.misses += 1
      if (found) return found
      if (offline === 'strict' && !isOwn(url)) {
        const error = new GatedError(`no network while models come from a store: ${url} was refused`, {
          feature: 'network',
        })
        fail(url, error)
        throw error
      }
      return others(input, init)
    }
  }

  return {
    apply(env) {
      if (applied.has(env)) return
      const { useCustomCache, customCache, fetch, useWasmCache } = env
      const ours = {
        customCache: createCache(env, useCustomCache ? customCache : browserCache(env)),
        fetch: createFetch(env, fetch),
      }
      env.useCustomCache = true
      env.customCache = ours.customCache
      env.fetch = ours.fetch
      // The runtime's own files are of the page's origin, whose HTTP cache has them.
      const isRuntimeOurs = runtime.chosen !== undefined
      if (isRuntimeOurs) env.useWasmCache = false
      const fields = ['useCustomCache', 'customCache', 'fetch', ...(isRuntimeOurs ? ['useWasmCache'] : [])]
      const undo = (): void => {
        if (env.customCache === ours.customCache) {
          env.useCustomCache = useCustomCache
          env.customCache = customCache
        }
        if (env.fetch === ours.fetch) env.fetch = fetch
        if (isRuntimeOurs) env.useWasmCache = useWasmCache
      }
      applied.set(env, { fields, undo })
    },
    restore(env) {
      applied.get(env)?.undo()
      applied.delete(env)
    },
    disable() {
      enabled = false
    },
    enable() {
      enabled = true
    },
    status: () => ({
      enabled,
      offline,
      patched: [...applied].map(([{ version }, { fields }]) => ({ version, fields })),
      runtime: runtime.chosen,
      ...counts,
      sources: counts.hits > 0 ? { [models.name]: counts.hits } : {},
      failures: [...failures],
    }),
  }
}

const isOwn = (url: string): boolean => {
  const { origin, protocol } = new URL(url)
  return origin === globalThis.location.origin || protocol === 'blob:' || protocol === 'data:'
}

/** What transformers.js would have used; a custom cache takes its place. */
function browserCache(env: WebEnv): TransformersCache | null {
  const { useBrowserCache, cacheKey } = { useBrowserCache: true, cacheKey: 'transformers-cache', ...env }
  if (!useBrowserCache || typeof caches === 'undefined') return null
  const open = (): Promise<Cache> => caches.open(cacheKey)
  return {
    // It asks for local paths too, which no cache of a browser has.
    match: async (key) => (URL.canParse(key) ? (await open()).match(key) : undefined),
    put: async (key, response) => (await open()).put(key, response),
    delete: async (key) => (await open()).delete(key),
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const DATA = /^(?<graph>.+\.onnx)_data(?:_\d+)?$/

/** The graph that a file of external data belongs to, as transformers.js names them. */
function ownerOf(model: WebModel, path: string): string | undefined {
  const graph = DATA.exec(path)?.groups?.graph
  return graph !== undefined && model.files.some((file) => file.path === graph) ? graph : undefined
}

const dataFilesOf = (model: WebModel, graph: string): string[] =>
  model.files.map(({ path }) => path).filter((path) => DATA.exec(path)?.groups?.graph === graph)
