import type { Engine } from '@x/infer-node'
import { HttpError, type ServedModel } from '@x/inference-server'
import type { OpenedModel } from '@x/model-loader'
import type { AbortOptions } from '@x/storage-core'
import { reasonOf, sleep, untilAborted } from '@x/storage-core/backend'

import type { ModelToServe } from '../start-server.ts'
import { loadServed, toServed } from './serve-model.ts'
import type { ServedList } from './served-list.ts'

/** Opens what a reference points to, verified, under whatever policy the server has. The server closes it. */
export type OpenModelToServe = (
  reference: string,
  options: AbortOptions & { onProgress?: ((done: { bytes: number; blocks: number }) => void) | undefined },
) => Promise<OpenedModel>

/** A model that a running server is to serve, too. */
export interface ModelWanted extends Omit<ModelToServe, 'model'> {
  /** As of the server's own: a CID, a name, also a path of the machine that it runs on. */
  reference: string
}

/** What is told of a load while it goes on. */
export type LoadEvent =
  | { event: 'opening' }
  | { event: 'progress'; bytes: number; blocks: number }
  | { event: 'loading'; cid: string }

export interface ModelLoads {
  /**
   * Opens, verifies and loads a model, and has it served. Who wants the same at the same time shares that; it stops when all of them have gone, and
   * leaves nothing then.
   *
   * @throws {InvalidInputError} It is served already, or is for nothing that is served.
   */
  load(wanted: ModelWanted, onEvent: (event: LoadEvent) => void, options: AbortOptions): Promise<ServedModel>
  /**
   * Has a model served no more, and gives back what it took. What was asked before is answered.
   *
   * @param options.drain - Waits while requests are about it. Default: then it is an error.
   * @throws {HttpError} 404: it is not served. 409: requests are about it.
   */
  unload(reference: string, options: { drain: boolean }): Promise<ServedModel>
  /** Stops what is being loaded. Resolves when it has. */
  stop(): Promise<void>
  /** Closes what was opened here. For when nothing runs any more. */
  close(): Promise<void>
}

export interface ModelLoadsOptions {
  engine: Engine
  served: ServedList
  open: OpenModelToServe
  onWarning: ((message: string) => void) | undefined
}

interface Load {
  readonly stop: AbortController
  readonly listeners: Set<(event: LoadEvent) => void>
  /** The last, for who comes later. */
  latest: LoadEvent
  readonly done: Promise<ServedModel>
}

/** How long until it is looked again whether what nobody waits for any more has ended in its thread. */
const LOOK_AGAIN_MS = 20

/** Models that come and go while a server runs. */
export function createModelLoads({ engine, served, open, onWarning }: ModelLoadsOptions): ModelLoads {
  const loads = new Map<string, Load>()
  /** What was opened here. */
  const own = new Map<ServedModel, OpenedModel>()
  let isStopped = false

  function begin(key: string, wanted: ModelWanted): Load {
    const { promise: done, resolve, reject } = Promise.withResolvers<ServedModel>()
    const load: Load = { stop: new AbortController(), listeners: new Set(), latest: { event: 'opening' }, done }
    const tell = (event: LoadEvent): void => {
      load.latest = event
      for (const listener of load.listeners) listener(event)
    }
    loads.set(key, load)
    openAndLoad(wanted, tell, load.stop.signal)
      .finally(() => loads.delete(key))
      .then(resolve, reject)
    // Who waits for it is told; it may be that nobody does any more.
    done.catch(() => undefined)
    return load
  }

  async function openAndLoad(
    { reference, ...wanted }: ModelWanted,
    tell: (event: LoadEvent) => void,
    signal: AbortSignal,
  ): Promise<ServedModel> {
    const onProgress = (done: { bytes: number; blocks: number }): void => tell({ event: 'progress', ...done })
    const model = await open(reference, { signal, onProgress })
    const source: ModelToServe = { ...wanted, model }
    try {
      const entry = await toServed(source, new Date(), { signal })
      served.reserve(entry, source)
      tell({ event: 'loading', cid: model.cid.toString() })
      try {
        await loadServed(engine, entry, source, { signal })
        signal.throwIfAborted()
      } catch (error) {
        await letGo(model.cid.toString())
        served.forget(entry)
        throw error
      }
      own.set(entry, model)
      served.publish(entry)
      return entry
    } catch (error) {
      await model.close()
      throw error
    }
  }

  /** What a client left in a thread ends there first. */
  async function letGo(cid: string): Promise<void> {
    for (;;) {
      await engine.unload(cid)
      if (!engine.stats().models.some((held) => held.cid === cid)) return
      await sleep(LOOK_AGAIN_MS)
    }
  }

  return {
    async load(wanted, onEvent, { signal }) {
      signal?.throwIfAborted()
      if (isStopped) throw closing()
      const key = JSON.stringify([wanted.reference, wanted.name, wanted.task, wanted.dtype])
      const load = loads.get(key) ?? begin(key, wanted)
      onEvent(load.latest)
      load.listeners.add(onEvent)
      try {
        return await untilAborted(load.done, signal)
      } finally {
        load.listeners.delete(onEvent)
        if (load.listeners.size === 0) load.stop.abort(new Error('nobody waits for it any more'))
      }
    },
    async unload(reference, { drain }) {
      const model = served.find(reference)
      if (!model) throw notServed()
      const requests = served.requestsOf(model)
      if (requests > 0 && !drain) throw inUse(requests)
      await served.remove(model)
      await letGo(model.cid.toString())
      const opened = own.get(model)
      own.delete(model)
      served.forget(model)
      // It is not served any more, whatever becomes of this.
      await opened?.close().catch((error: unknown) => onWarning?.(`${model.cid} was not closed: ${reasonOf(error)}`))
      return model
    },
    async stop() {
      isStopped = true
      const all = [...loads.values()]
      for (const { stop } of all) stop.abort(closing())
      await Promise.allSettled(all.map(({ done }) => done))
    },
    async close() {
      const all = [...own.values()]
      own.clear()
      const closed = await Promise.allSettled(all.map((model) => model.close()))
      for (const one of closed) if (one.status === 'rejected') throw one.reason
    },
  }
}

const closing = (): HttpError => new HttpError(503, 'the server is closing', { type: 'server_error' })

const notServed = (): HttpError =>
  new HttpError(404, 'there is no such model here', { type: 'not_found_error', code: 'model_not_found' })

const inUse = (requests: number): HttpError =>
  new HttpError(409, `${requests} requests are about it; drain=true waits for them`, {
    type: 'invalid_request_error',
    code: 'model_in_use',
  })
