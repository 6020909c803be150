import { isStorageError, parseCid, type CID } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { openModel, type OpenModelOptions } from './open-model.ts'
import type { OpenedModel } from './opened-model.ts'

/** Somebody who may have the models that a program asks for by the name of a repository. */
export interface ModelProvider {
  /** Short, for `status()` and messages: `store`, `hub-cache`, `hub`. */
  readonly name: string
  /**
   * Opens a repository at a revision. What it resolves to is kept open until the binding is closed; `undefined` is known
   * not to be there, and is asked for again with the next file, so remember what costs a request.
   *
   * @param repo - `org/name`, or a name alone.
   * @param revision - As the program wrote it: a branch, a tag or 40 hex digits; the library's default is `main`.
   *   `undefined`: any that is held; asked for what the library wants to know of `main` before it asks
   *   for the revision that the program named.
   */
  open(repo: string, revision: string | undefined, options: AbortOptions): Promise<OpenedModel | undefined>
}

export interface StoreProviderOptions extends Pick<OpenModelOptions, 'createSha256' | 'verify'> {
  /** Default `store`. */
  name?: string | undefined
}

/** The library's default revision. */
export const MAIN = 'main'
const BY_CID = 'ipfs/'

/**
 * A store's models by their names: the name `org/name` is its `main`, `org/name@<revision>` any other. A repository that
 * is written `ipfs/<cid>` is the model with that CID, whatever its names.
 */
export function createStoreProvider(store: ContentStore, options: StoreProviderOptions = {}): ModelProvider {
  const { name = 'store', createSha256, verify } = options
  return {
    name,
    async open(repo, revision, { signal }) {
      const reference = await referenceTo(store, repo, revision, { signal })
      if (reference === undefined) return undefined
      return openModel(store, reference, { createSha256, verify, signal })
    },
  }
}

async function referenceTo(
  store: ContentStore,
  repo: string,
  revision: string | undefined,
  options: AbortOptions,
): Promise<string | undefined> {
  const cid = repo.startsWith(BY_CID) ? asCid(repo.slice(BY_CID.length)) : undefined
  if (cid !== undefined) return (await store.has(cid, options)) ? cid.toString() : undefined
  const named = async (name: string): Promise<string | undefined> =>
    (await store.names.get(name, options)) === undefined ? undefined : name
  if (revision !== undefined) return named(revision === MAIN ? repo : `${repo}@${revision}`)
  const main = await named(repo)
  if (main !== undefined) return main
  for await (const { name } of store.names.list({ prefix: `${repo}@`, ...options })) return name
  return undefined
}

/** `undefined`: an ordinary second half of a repository's name. */
function asCid(text: string): CID | undefined {
  try {
    return parseCid(text)
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}
