import type { ModelsPort, ServedModel } from '@x/inference-server'
import { InvalidInputError } from '@x/storage-core'

import type { ModelToServe } from '../start-server.ts'

/** The models that are served, each by its name and its CID. */
export interface ServedList {
  readonly port: ModelsPort
  list(): readonly ServedModel[]
  /** @param reference - A name, or a CID in its canonical text. */
  find(reference: string): ServedModel | undefined
  /**
   * Takes its name and its CID for a model that is to be listed.
   *
   * @throws {InvalidInputError} Another has one of them, or has not gone yet.
   */
  reserve(model: ServedModel, source: ModelToServe): void
  /** Lists what was reserved. */
  publish(model: ServedModel): void
  /** What a model of the list is served from, also of one that was taken off it while requests are about it. */
  sourceOf(model: ServedModel): ModelToServe
  /** How many requests are about it. */
  requestsOf(model: ServedModel): number
  /**
   * Takes it off the list, so that no request is about it any more that was not before; its name and CID stay taken until `forget`.
   *
   * @returns Resolves when no request is about it.
   */
  remove(model: ServedModel): Promise<void>
  /** Its name and CID are free again: it is closed, or never came to be listed. */
  forget(model: ServedModel): void
}

interface Entry {
  readonly model: ServedModel
  readonly source: ModelToServe
  requests: number
  isListed: boolean
  /** Called when nobody is about it any more. */
  onFree: (() => void) | undefined
}

/** @param describe - What the repository of a model says of it. */
export function createServedList(describe: (source: ModelToServe) => ModelsPort['describe']): ServedList {
  /** Those that come and go are among them. */
  const entries = new Map<ServedModel, Entry>()

  const listed = (): ServedModel[] => [...entries.values()].filter(({ isListed }) => isListed).map(({ model }) => model)
  const find = (reference: string): ServedModel | undefined =>
    listed().find(({ name, cid }) => name === reference || cid.toString() === reference)

  function entryOf(model: ServedModel): Entry {
    const entry = entries.get(model)
    if (entry) return entry
    throw new TypeError(`${model.cid} is not one of the models that are served`)
  }

  function assertFree({ name, cid }: ServedModel): void {
    for (const { model } of entries.values()) {
      const taken = [model.name, model.cid.toString()]
      const twice = [name, cid.toString()].find((reference) => taken.includes(reference))
      if (twice !== undefined) throw new InvalidInputError(`${twice} would be served more than once`, { input: twice })
    }
  }

  return {
    port: {
      async find(reference, { signal }) {
        signal?.throwIfAborted()
        return find(reference)
      },
      list: listed,
      describe: (model, options) => describe(entryOf(model).source)(model, options),
      hold(model) {
        const entry = entries.get(model)
        if (!entry?.isListed) return undefined
        entry.requests += 1
        return () => {
          entry.requests -= 1
          if (entry.requests === 0) entry.onFree?.()
        }
      },
    },
    list: listed,
    find,
    reserve(model, source) {
      assertFree(model)
      entries.set(model, { model, source, requests: 0, isListed: false, onFree: undefined })
    },
    publish: (model) => void (entryOf(model).isListed = true),
    sourceOf: (model) => entryOf(model).source,
    requestsOf: (model) => entries.get(model)?.requests ?? 0,
    async remove(model) {
      const entry = entryOf(model)
      entry.isListed = false
      if (entry.requests === 0) return
      const free = Promise.withResolvers<void>()
      entry.onFree = free.resolve
      await free.promise
    },
    forget: (model) => void entries.delete(model),
  }
}
