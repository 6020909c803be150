import { openOpfsStore, type OpfsStore } from '@x/backend-opfs'
import { isStorageError } from '@x/cid'
import { parseReference } from '@x/model-loader'

import { openModel, type WebModel } from './open-model.ts'

/** Models in the page's storage by the name of their repository. */
export interface StoredModels {
  /** `undefined`: the storage has no model of that name, or is not there. */
  open(repo: string): Promise<WebModel | undefined>
}

/**
 * Reads beside whoever writes the storage: it is opened anew for a name that is not known yet.
 *
 * @param options.directory - As of `openStorage`.
 */
export function createStoredModels({ directory }: { directory?: string | undefined }): StoredModels {
  const models = new Map<string, Promise<WebModel | undefined>>()

  async function find(repo: string): Promise<WebModel | undefined> {
    if (!isName(repo)) return undefined
    const store = await openToRead(directory)
    if (!store || !(await store.names.get(repo))) return undefined
    return openModel(store, repo)
  }

  return {
    open(repo) {
      const known = models.get(repo)
      if (known) return known
      const finding = find(repo)
      models.set(repo, finding)
      // What is not there now may be there later.
      finding.then(
        (model) => model ?? models.delete(repo),
        () => models.delete(repo),
      )
      return finding
    },
  }
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
