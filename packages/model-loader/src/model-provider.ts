import { isStorageError } from '@x/cid'
import { isRepo } from '@x/hub-client/names'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { cidOfRepo } from './cid-of-repo.ts'
import { hubNamesOf } from './hub-revisions.ts'
import { knownOrigin } from './known-origin.ts'
import { openModel, type OpenModelOptions } from './open-model.ts'
import type { OpenedModel } from './opened-model.ts'
import { resolveReference } from './resolve-reference.ts'

/** Somebody who may have the models that a program asks for by the name of a repository. */
export interface ModelProvider {
  /** Short, for `status()` and messages: `store`, `hub-cache`, `hub`. */
  readonly name: string
  /** It fetches files when they are asked for, and so is asked again for one that its model was opened without. Default false. */
  readonly fetchesFiles?: boolean | undefined
  /**
   * Opens a repository at a revision. What it resolves to is kept open until the binding is closed; `undefined` is known
   * not to be there, and is asked for again with the next file, so remember what costs a request.
   *
   * @param repo - `org/name`, or a name alone.
   * @param revision - As the program wrote it: a branch, a tag or 40 hex digits; the library's default is `main`.
   *   `undefined`: any that is held; asked for what the library wants to know of `main` before it asks
   *   for the revision that the program named.
   */
  open(
    repo: string,
    revision: string | undefined,
    options: AbortOptions & {
      /** The file that is asked for now: who fetches the model fetches at least this one, where there is one. */
      path?: string | undefined
    },
  ): Promise<OpenedModel | undefined>
}

export interface StoreProviderOptions extends Pick<OpenModelOptions, 'createSha256' | 'verify'> {
  /** Default `store`. */
  name?: string | undefined
}

/** The library's default revision. */
export const MAIN = 'main'

/**
 * A store's models by their names: the name `org/name` is its `main`, `org/name@<revision>` any other; else by the revision of
 * the hub that they were fetched as. A repository that is written `ipfs/<cid>` is the model with that CID, whatever its names.
 */
export function createStoreProvider(store: ContentStore, options: StoreProviderOptions = {}): ModelProvider {
  const { name = 'store', createSha256, verify } = options
  return {
    name,
    async open(repo, revision, { signal }) {
      const reference = await referenceTo(store, repo, revision, { signal })
      if (reference === undefined) return undefined
      const model = await openModel(store, reference, { createSha256, verify, signal })
      // Remembered to be a revision of a hub, without the listing of that: what was in a cache, for instance.
      const isListed = knownOrigin(model)?.repo === repo
      const isRemembered = model.name === undefined && cidOfRepo(repo) === undefined
      return isRemembered && !isListed ? { ...model, isPartial: true } : model
    },
  }
}

async function referenceTo(
  store: ContentStore,
  repo: string,
  revision: string | undefined,
  options: AbortOptions,
): Promise<string | undefined> {
  const cid = cidOfRepo(repo)
  if (cid !== undefined) return (await store.has(cid, options)) ? cid.toString() : undefined
  if (!isRepo(repo)) return undefined
  if (revision !== undefined) return heldAs(store, revision === MAIN ? repo : `${repo}@${revision}`, options)
  const main = await heldAs(store, repo, options)
  if (main !== undefined) return main
  for (const prefix of [`${repo}@`, hubNamesOf(repo)]) {
    for await (const { name } of store.names.list({ prefix, ...options })) {
      const found = await heldAs(store, `${repo}@${name.slice(prefix.length)}`, options)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** The reference itself, where the store knows it and has what it points to. */
async function heldAs(store: ContentStore, reference: string, options: AbortOptions): Promise<string | undefined> {
  try {
    const { cid } = await resolveReference(store, reference, options)
    // What was removed is not here; what is damaged, or lacks a part, is for the opening to say.
    return (await store.blocks.has(cid, options)) ? reference : undefined
  } catch (error) {
    if (error instanceof NotFoundError && error.what === reference) return undefined
    // What is no name has none.
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}
