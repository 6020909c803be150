import { AsyncLocalStorage } from 'node:async_hooks'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Environment, GateSettings } from '@x/gating'
import {
  createTransformersBinding,
  type BindingStatus,
  type ModelProvider,
  type OpenedModel,
  type TransformersBinding,
} from '@x/model-loader/binding'
import { UnsupportedError } from '@x/storage-core'

import { createHubCacheProvider, createHubProvider, type KeepingProvider } from '../hub/providers.ts'
import { createDerivedArea, DERIVED } from '../sessions/derived-area.ts'
import type { OnnxRuntime } from '../sessions/onnx-runtime.ts'
import { createPlannedSession, type SessionReport } from '../sessions/session-creator.ts'
import { createSessionPlanner, type GivenGraph, type MemoryMode } from '../sessions/session-planner.ts'
import { createModelVerdicts, type SigningStatus } from '../signing/model-verdicts.ts'
import { hookSettings, type HookSettings, type SettingsInput } from './hook-settings.ts'
import { createLibraryCache, type LibraryEnv } from './library-cache.ts'
import { createLocalStore } from './local-store.ts'
import { hookModules } from './module-hooks.ts'

export interface TransformersHookOptions {
  /** Asked before the local store. Default: none. */
  providers?: readonly ModelProvider[] | undefined
  /** Asked after it. Default: the Hugging Face cache of this machine, then the hub, where it may be asked. */
  furtherProviders?: readonly ModelProvider[] | undefined
  /** The local store's. Default as `openStorage`. A store that is not there has no models. */
  directory?: string | undefined
  /**
   * `strict`: a request that no provider answers is an error that names its URL. `prefer`: it goes on to the library.
   * Default: `strict` where the network, the hub or the hub's gate is off, or the gate `patch` is at `require`.
   */
  offline?: 'strict' | 'prefer' | undefined
  /** How sessions hold weights. Default `IPFS_ACCELERATE_MEMORY`, else `auto`. */
  memory?: MemoryMode | undefined
  /** How what is mapped is checked first. Default `IPFS_ACCELERATE_VERIFY`, else `stored`. */
  verify?: 'stored' | 'each-open' | undefined
  /** Rows in a run, for `memory: 'auto'`. Default `IPFS_ACCELERATE_BATCH_SIZE`, else 1. */
  batch?: number | undefined
  /** Most bytes of derived files: skeletons, prepacked weights. Default `IPFS_ACCELERATE_DERIVED_BYTES`, else 20 GiB. */
  derivedBytes?: number | undefined
  /**
   * What models have to show before a file of them is given. Each field beats its variable: `IPFS_ACCELERATE_UNSIGNED`,
   * `IPFS_ACCELERATE_TRUSTED_KEYS`, `IPFS_ACCELERATE_PICKLE`. Default: nothing.
   */
  policy?: SettingsInput['policy']
  /** Default `process.env`. */
  environment?: Environment | undefined
  gates?: GateSettings | undefined
  /** Hears of what a person should know, once each. Default: a line on stderr. */
  onWarning?: ((message: string) => void) | undefined
}

/** A copy of transformers.js or onnxruntime-node that the program loaded. */
export interface LoadedCopy {
  name: string
  /** Absolute. */
  file: string
  /** As it says of itself. */
  version: string
  /** `left`: nothing was touched, or all was put back. */
  state: 'patched' | 'left'
  /** Why it is left. */
  why?: string | undefined
}

export interface HookStatus extends BindingStatus {
  /** Whether copies that are loaded from now on are patched. */
  applied: boolean
  /** Why the hook is on or off. */
  why: string
  /** `models`: of files of models, `strict`; of anything else `prefer`. Where unsigned models are refused. */
  offline: HookSettings['offline']
  whyOffline: string
  directory: string
  memory: MemoryMode
  verify: 'stored' | 'each-open'
  /** Absent where models have nothing to show. */
  signing?: SigningStatus | undefined
  copies: LoadedCopy[]
  /** How sessions were made; the last 100. */
  sessions: SessionReport[]
}

/** Makes unmodified programs load models from a store. */
export interface TransformersHook {
  /**
   * Patches every copy of transformers.js that is loaded from now on, and those that `disable` left. Does nothing where the
   * gate `patch` is off; `status()` says why.
   */
  apply(): void
  /** Puts back everything that was touched. Copies are still noted, so that `apply` can take them up again. */
  disable(): void
  /** Closes the stores that are open, for a program that comes to its end; what it asks for all the same opens them again. */
  rest(): Promise<void>
  /** As `disable`, and takes the hooks away. Resolves when the store is closed, which models that are loaded do not need. */
  restore(): Promise<void>
  status(): HookStatus
}

interface Copy extends LoadedCopy {
  patch?: (() => () => void) | undefined
  undo?: (() => void) | undefined
}

const KEPT = 100
const OLDEST = '4.0.0'

/** Nothing happens before `apply`. Only one hook may be applied at a time in a thread. */
export function createTransformersHook(options: TransformersHookOptions = {}): TransformersHook {
  const settings = hookSettings({ ...options, environment: options.environment ?? process.env })
  const { directory, verify, memory, batch, derivedBytes, offline, policy } = settings
  const warn = options.onWarning ?? ((message) => void process.stderr.write(`ipfs-accelerate: ${message}\n`))
  const further = options.furtherProviders === undefined ? defaultProviders(settings, options) : []
  const store = createLocalStore(directory, verify)
  const verdicts = policy && createModelVerdicts(policy, store.open, warn)
  const calls = new AsyncLocalStorage<{ repo: unknown; revision: string | undefined }>()
  const given = new Map<string, GivenGraph>()
  const sessions: SessionReport[] = []
  const copies: Copy[] = []
  const area = createDerivedArea(path.join(directory, DERIVED))
  const planner = createSessionPlanner({ area, memory, verify, batch, maxBytes: derivedBytes })
  let unhook: (() => void) | undefined
  let isApplied = false

  const binding: TransformersBinding = createTransformersBinding({
    providers: [...(options.providers ?? []), store.provider, ...(options.furtherProviders ?? further)],
    offline,
    verify,
    check: verdicts?.check,
    libraryCache: (env) => (isLibraryEnv(env) ? createLibraryCache(env) : undefined),
    whyNotFetch: (url) => settings.whyNotFetch(url),
    revisionInCall: (repo) => {
      const call = calls.getStore()
      return call?.repo === repo ? call.revision : undefined
    },
    onPath: (at: string, model: OpenedModel, file: string) => {
      if (file.endsWith('.onnx')) given.set(at, { path: at, model, file })
    },
  })

  function take(copy: Copy): void {
    copies.push(copy)
    if (isApplied && copy.patch) patchNow(copy)
  }

  function patchNow(copy: Copy): void {
    copy.undo = copy.patch?.()
    copy.state = 'patched'
  }

  function transformers(exports: unknown, url: string): unknown {
    const file = pathOf(url)
    const { env, pipeline } = fieldsOf(exports)
    const version = textOf(fieldsOf(env)['version'])
    const name = url.includes('/@xenova/') ? '@xenova/transformers' : '@huggingface/transformers'
    if (!isLibraryEnv(env)) {
      const why = `${name} ${version} at ${file} has no env.fetch: it cannot be given models; ${OLDEST} and later can`
      take({ name, file, version, state: 'left', why })
      if (isApplied && offline !== 'prefer') throw new UnsupportedError(why)
      if (isApplied) warn(why)
      return undefined
    }
    const patch = (): (() => void) => {
      binding.install(env)
      return () => binding.restore(env)
    }
    take({ name, file, version, state: 'left', patch })
    return typeof pipeline === 'function' ? inCall(pipeline) : undefined
  }

  /** Says which revision the program named, while its call runs. */
  function inCall(pipeline: Function): unknown {
    return Object.defineProperty(
      (...args: unknown[]): unknown => {
        const [, repo, callOptions] = args
        const { revision } = fieldsOf(callOptions)
        const call = { repo, revision: typeof revision === 'string' ? revision : undefined }
        return calls.run(call, () => Reflect.apply(pipeline, undefined, args))
      },
      'name',
      { value: 'pipeline' },
    )
  }

  function runtime(exports: unknown, url: string): void {
    const { InferenceSession: sessionClass, env } = fieldsOf(exports)
    const file = pathOf(url)
    const version = textOf(fieldsOf(fieldsOf(env)['versions'])['node'])
    const copy: Copy = { name: 'onnxruntime-node', file, version, state: 'left' }
    const create: unknown = typeof sessionClass === 'function' ? Reflect.get(sessionClass, 'create') : undefined
    if (typeof sessionClass !== 'function' || typeof create !== 'function') {
      take({ ...copy, why: 'it has no InferenceSession.create' })
      return
    }
    const own: OnnxRuntime = {
      file,
      version,
      sessions: { create: async (...args): Promise<unknown> => Reflect.apply(create, sessionClass, args) },
    }
    const planned = function (this: unknown, ...args: unknown[]): unknown {
      const [model, last] = [args[0], args.length > 1 ? args.at(-1) : undefined]
      const graph = typeof model === 'string' ? given.get(model) : undefined
      if (graph === undefined) return Reflect.apply(create, this, args)
      binding.pathOpened(graph.path)
      return createPlannedSession(planner, { graph, runtime: own, options: fieldsOf(last) }, (report) => {
        sessions.push(report)
        if (sessions.length > KEPT) sessions.shift()
      })
    }
    copy.patch = () => {
      Reflect.set(sessionClass, 'create', planned)
      return () => {
        // What somebody has put there since is theirs.
        if (Reflect.get(sessionClass, 'create') === planned) Reflect.set(sessionClass, 'create', create)
      }
    }
    take(copy)
  }

  function disable(): void {
    isApplied = false
    for (const copy of copies) {
      copy.undo?.()
      copy.undo = undefined
      copy.state = 'left'
    }
  }

  /** All of them let go at once: who asks in the meantime gets none that is about to close. */
  async function rest(): Promise<void> {
    await Promise.all([binding.close(), store.close(), ...further.map((provider) => provider.close())])
  }

  return {
    apply() {
      if (isApplied) return
      if (!settings.isOn) {
        unhook ??= sayWhenLeft(settings, warn)
        return
      }
      unhook ??= hookModules({ transformers, runtime })
      isApplied = true
      for (const copy of copies) if (copy.patch) patchNow(copy)
    },
    disable,
    async restore() {
      disable()
      unhook?.()
      unhook = undefined
      copies.length = 0
      given.clear()
      await rest()
    },
    rest,
    status: () => ({
      applied: isApplied,
      why: settings.gates.features.patch.reason,
      offline,
      whyOffline: settings.whyOffline,
      directory,
      memory,
      verify,
      ...(verdicts && { signing: verdicts.status() }),
      copies: copies.map(({ name, file, version, state, why }) => ({
        name,
        file,
        version,
        state,
        ...(why && { why }),
      })),
      sessions: [...sessions],
      ...binding.status(),
    }),
  }
}

/** The cache is on this machine, and may be read whatever is off; the hub may not where the hook is strict. */
function defaultProviders(
  { directory, offline }: HookSettings,
  { environment = process.env, gates }: TransformersHookOptions,
): KeepingProvider[] {
  const options = { directory, environment, gates }
  return [createHubCacheProvider(options), ...(offline === 'strict' ? [] : [createHubProvider(options)])]
}

/** Where CI turns the hook off by itself, a person is told when it would have mattered: once, when the library is loaded. */
function sayWhenLeft({ gates }: HookSettings, warn: (message: string) => void): (() => void) | undefined {
  const { source, reason } = gates.features.patch
  if (source !== 'ci') return undefined
  let unhook: (() => void) | undefined = undefined
  const say = (): undefined => {
    unhook?.()
    unhook = undefined
    warn(`transformers.js is left as it is. ${reason}`)
  }
  unhook = hookModules({ transformers: say, runtime: () => undefined })
  return () => unhook?.()
}

function isLibraryEnv(env: unknown): env is LibraryEnv {
  const fields = fieldsOf(env)
  return (
    typeof fields['fetch'] === 'function' &&
    typeof fields['remoteHost'] === 'string' &&
    typeof fields['remotePathTemplate'] === 'string' &&
    typeof fields['useCustomCache'] === 'boolean' &&
    'customCache' in fields
  )
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return {}
  return Object.fromEntries(Object.entries(value))
}

const textOf = (version: unknown): string => (typeof version === 'string' ? version : 'of unknown version')

const pathOf = (url: string): string => (url.startsWith('file:') ? fileURLToPath(url) : url)
