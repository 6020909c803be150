import { InvalidInputError } from '@x/cid'
import type { RunName } from '@x/infer-core'
import type { Dtype, OpenedModel } from '@x/model-loader'
import type { AbortOptions } from '@x/storage-core'
import { reasonOf, untilAborted } from '@x/storage-core/backend'

import { closeAll } from '../close-all.ts'
import type { GgufVariant } from '../gguf/gguf-files.ts'
import { cidIn } from '../loaded-models.ts'
import type { ProviderLadder } from '../providers/ladder.ts'
import { openResidence, type PrepareGraph, type Residence } from './residence.ts'

/** Which variant of a model. */
interface Variant {
  dtype: Dtype | GgufVariant | undefined
  /** The graph that is run on raw tensors. */
  graphFile?: string | undefined
}

/** The models that an engine has opened, each once for all who ask for it. */
export interface Residences {
  /** Calls `work` with a model, which is not let go before that has ended. */
  use<T>(
    task: RunName,
    model: string | OpenedModel,
    options: AbortOptions & Variant,
    work: (residence: Residence) => Promise<T>,
  ): Promise<T>
  /** Those that are open. */
  all(): Residence[]
  /** It was not let go. */
  has(residence: Residence): boolean
  /** Nobody has it in hand, and nothing of it waits or runs. */
  isIdle(residence: Residence): boolean
  /** Lets go of one that is idle. */
  release(residence: Residence): Promise<void>
  /** Closes what is open now, and what is being opened as soon as it is. Whoever waits for that gets the reason. */
  close(reason: unknown): Promise<void>
}

export interface ResidencesOptions {
  openModel: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  prepare: PrepareGraph | undefined
  ladder: ProviderLadder
  /** Of ONNX Runtime, in each worker. */
  threads: number
  /** Of a run of llama.cpp. */
  llamaThreads: number
  /** Told of each that is open from now on. */
  onOpen: (residence: Residence) => void
  /** Told of each that is not any more, before it is closed. */
  onClose: (residence: Residence) => void
  isBusy: (residence: Residence) => boolean
  onWarning: (message: string) => void
}

interface Tenant {
  readonly key: string
  /** Calls that have it in hand, or wait for it to be open. */
  users: number
  opening: Promise<Residence>
  /** Aborts when nobody waits for it any more. */
  readonly stop: AbortController
  residence: Residence | undefined
}

export function createResidences(options: ResidencesOptions): Residences {
  const { openModel, prepare, ladder, threads, llamaThreads, onOpen, onClose, isBusy, onWarning } = options
  const tenants = new Map<string, Tenant>()
  let closed: { reason: unknown } | undefined

  /** Counted at once, so that it cannot be let go between two turns. */
  function join(key: string): Tenant | undefined {
    const tenant = tenants.get(key)
    if (tenant) tenant.users += 1
    return tenant
  }

  async function enter(
    task: RunName,
    model: string | OpenedModel,
    { signal, ...variant }: AbortOptions & Variant,
  ): Promise<Tenant> {
    const { dtype, graphFile = '' } = variant
    const keyOf = (of: string): string => `${of} ${task} ${dtype ?? 'auto'} ${graphFile}`
    const cid = typeof model === 'string' ? cidIn(model) : model.cid
    const known = cid && join(keyOf(cid.toString()))
    if (known) return known
    if (typeof model !== 'string') {
      return start(keyOf(model.cid.toString()), task, model, { ...variant, isOwned: false })
    }
    const own = await open(model, signal)
    if (closed) {
      await own.close()
      throw closed.reason
    }
    const key = keyOf(own.cid.toString())
    if (!tenants.has(key)) return start(key, task, own, { ...variant, isOwned: true })
    await own.close()
    // It may have been let go meanwhile.
    return join(key) ?? enter(task, model, { ...variant, signal })
  }

  async function open(reference: string, signal: AbortSignal | undefined): Promise<OpenedModel> {
    if (openModel) return openModel(reference, { signal })
    throw new InvalidInputError(`${reference}: this engine takes opened models, not references`, { input: reference })
  }

  function start(
    key: string,
    task: RunName,
    own: OpenedModel,
    { isOwned, ...variant }: Variant & { isOwned: boolean },
  ): Tenant {
    const stop = new AbortController()
    const { promise: opening, resolve, reject } = Promise.withResolvers<Residence>()
    const tenant: Tenant = { key, users: 1, stop, residence: undefined, opening }
    tenants.set(key, tenant)
    const work = async (): Promise<Residence> => {
      try {
        // Of no caller's signal: the others wait for it too.
        const residence = await openResidence(key, task, own, {
          ...variant,
          isOwned,
          prepare,
          ladder,
          threads,
          llamaThreads,
          onWarning,
          signal: stop.signal,
        })
        stop.signal.throwIfAborted()
        tenant.residence = residence
        onOpen(residence)
        return residence
      } catch (error) {
        drop(tenant)
        if (isOwned) await own.close()
        throw error
      }
    }
    work().then(resolve, reject)
    opening.catch((error: unknown) => {
      if (error !== stop.signal.reason && tenant.users === 0) onWarning(`a model was not opened: ${reasonOf(error)}`)
    })
    return tenant
  }

  /** What failed or was given up may be tried again. */
  function drop(tenant: Tenant): void {
    if (tenants.get(tenant.key) === tenant) tenants.delete(tenant.key)
  }

  function leave(tenant: Tenant): void {
    tenant.users -= 1
    if (tenant.users > 0) return
    if (tenant.residence) tenant.residence.usedMs = Date.now()
    else {
      drop(tenant)
      tenant.stop.abort(new Error('nobody waits for it any more'))
    }
  }

  const isIdle = (residence: Residence): boolean => !isBusy(residence) && (tenants.get(residence.key)?.users ?? 0) === 0

  return {
    async use(task, model, given, work) {
      const tenant = await enter(task, model, given)
      try {
        return await work(await untilAborted(tenant.opening, given.signal))
      } finally {
        leave(tenant)
      }
    },
    all: () => [...tenants.values()].flatMap(({ residence }) => residence ?? []),
    has: (residence) => tenants.get(residence.key)?.residence === residence,
    isIdle,
    async release(residence) {
      tenants.delete(residence.key)
      onClose(residence)
      await residence.close()
    },
    async close(reason) {
      closed = { reason }
      const all = [...tenants.values()]
      tenants.clear()
      for (const { stop, residence } of all) if (!residence) stop.abort(reason)
      await closeAll(all.flatMap(({ residence }) => residence?.close() ?? []))
    },
  }
}
