import { openOpfsStore, type OpfsStore } from '@x/backend-opfs'
import { isStorageError } from '@x/cid'
import { parseReference } from '@x/model-loader'
import type { AbortOptions } from '@x/storage-core'

import { openModel, type WebModel } from './open-model.ts'

/** Models in the page's storage by the name of their repository: a provider for a binding. */
export interface StoredModels {
  /** Who gave a model, for the status of a binding. */
  readonly name: string
  /**
   * @param revision - Any is answered by the model that has the name: the storage keeps one.
   * @returns `undefined`: the storage has no model of that name, or is not there.
   */
  open(repo: string, revision?: string, options?: AbortOptions): Promise<WebModel | undefined>
}

export interface StoredModelsOptions {
  /** As of `openStorage`. */
  directory?: string | undefined
  /**
   * Looks a name up again when the storage was written since. Else a model stays what it was when it was first asked for, so
   * that all its files are of one version. Default false.
   */
  follow?: boolean | undefined
}

/** Reads beside whoever writes the storage, and finds models that are stored later. */
export function createStoredModels({ directory, follow = false }: StoredModelsOptions = {}): StoredModels {
  const models = new Map<string, Promise<Found | undefined>>()

  async function find(repo: string): Promise<Found | undefined> {
    if (!isName(repo)) return undefined
    const store = await openToRead(directory)
    if (!store || !(await store.names.get(repo))) return undefined
    return { store, model: await openModel(store, repo) }
  }

  function look(repo: string): Promise<Found | undefined> {
    const finding = find(repo)
    models.set(repo, finding)
    const forget = (): void => {
      if (models.get(repo) === finding) models.delete(repo)
    }
    // What is not there now may be there later.
    finding.then((found) => found ?? forget(), forget)
    return finding
  }

  return {
    name: 'opfs',
    async open(repo, _revision, { signal } = {}) {
      signal?.throwIfAborted()
      const known = models.get(repo)
      const found = await (known ?? look(repo))
      if (!found || !known || !follow || (await found.store.isCurrent())) return found?.model
      // Somebody else may have looked meanwhile.
      return (await (models.get(repo) === known ? look(repo) : (models.get(repo) ?? look(repo))))?.model
    },
  }
}

interface Found {
  store: OpfsStore
  model: WebModel
}

function isName(repo: string): boolean {
  try {
    return parseReference(repo).kind === 'name'
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return false
    throw error
  }
}

async function openToRead(directory: string | undefined): Promise<OpfsStore | undefined> {
  try {
    return await openOpfsStore({ directory, readOnly: true })
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
