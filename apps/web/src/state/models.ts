import { signal, type ReadonlySignal } from '@preact/signals'
import { listModels } from '@x/web'

import { lookAtRoom } from './room.ts'
import { openedStore } from './storage.ts'

/** A model of the storage, as the screens show it. */
export interface StoredModel {
  cid: string
  /** The first of its names. */
  name: string | undefined
  names: readonly string[]
  files: number
  /** Bytes. */
  size: number
  pinned: boolean
  addedAt: string | undefined
  task: string | undefined
  architecture: string | undefined
  licence: string | undefined
  dtypes: readonly string[]
  baseModels: readonly string[]
  origin: { repo: string; revision: string } | undefined
}

const listed = signal<readonly StoredModel[] | undefined>(undefined)
/** Newest first; `undefined` until they were read. */
export const models: ReadonlySignal<readonly StoredModel[] | undefined> = listed

const problem = signal<unknown>(undefined)
/** Why not all of them could be read. */
export const modelsProblem: ReadonlySignal<unknown> = problem

/** What a person calls it. */
export const titleOf = (model: Pick<StoredModel, 'name' | 'origin'>): string =>
  model.name ?? model.origin?.repo ?? 'A model without a name'

let asked = 0

/** Says in one tab that the list has changed in another. */
const changes = new BroadcastChannel('ipfs-accelerate.models')
changes.addEventListener('message', () => {
  // Before that, the list is read anyway.
  if (listed.value !== undefined) void refreshModels()
})

/** After models were added or removed, or what is said of one has changed: here, and in other tabs. */
export async function modelsChanged(): Promise<void> {
  await refreshModels()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
  changes.postMessage('changed')
}

/** Reads the list anew. Of several that are under way, the one that began last is shown. */
export async function refreshModels(): Promise<void> {
  const mine = ++asked
  const found: StoredModel[] = []
  let failure: unknown
  try {
    for await (const { cid, names, files, size, pinned, addedAt, facts } of listModels(openedStore())) {
      found.push({
        cid: cid.toString(),
        name: names[0],
        names,
        files,
        size,
        pinned,
        addedAt,
        task: facts?.task,
        architecture: facts?.architecture,
        licence: facts?.licence,
        dtypes: facts?.dtypes ?? [],
        baseModels: facts?.baseModels ?? [],
        origin: facts?.origin,
      })
    }
  } catch (error) {
    // What could be read is listed all the same.
    failure = error
  }
  if (mine !== asked) return
  problem.value = failure
  listed.value = found.toSorted((a, b) => (b.addedAt ?? '').localeCompare(a.addedAt ?? ''))
  // Nobody waits for it: a model is there, whatever the browser says of the room.
  void lookAtRoom()
}
