import type { OpfsStore } from '@x/backend-opfs'
import { isStorageError, type CID } from '@x/cid'
import { parseReference } from '@x/model-loader'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { openModel, type WebModel } from './open-model.ts'
import { createSharedReader, type SharedReader } from './shared-reader.ts'

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
   * A name is what it is in the storage now. Else a model stays what it was when it was first asked for, so that all its files
   * are of one version, until that is removed. Default false.
   */
  follow?: boolean | undefined
}

/** Reads beside whoever writes the storage, and finds models that are stored later. */
export function createStoredModels({ directory, follow = false }: StoredModelsOptions = {}): StoredModels {
  const read = createSharedReader(directory)
  /** What each name was first. */
  const first = new Map<string, CID>()
  /** Of the store that was read last. */
  const models = new Map<string, Promise<WebModel | undefined>>()
  let current: OpfsStore | undefined

  async function find(store: OpfsStore, repo: string): Promise<WebModel | undefined> {
    const named = (await store.names.get(repo))?.cid
    const known = follow ? undefined : first.get(repo)
    const stays = known !== undefined && !(named && known.equals(named)) && (await store.has(known))
    if (!stays && !named) return undefined
    const model = await openModel(store, stays ? `ipfs://${known}` : repo)
    first.set(repo, model.cid)
    return { ...model, file: filesOf(read, model.cid) }
  }

  return {
    name: 'opfs',
    async open(repo, _revision, { signal } = {}) {
      signal?.throwIfAborted()
      if (!isName(repo)) return undefined
      return read((store) => {
        signal?.throwIfAborted()
        if (store !== current) models.clear()
        current = store
        const known = models.get(repo)
        if (known) return known
        const finding = find(store, repo)
        models.set(repo, finding)
        const forget = (): void => {
          if (models.get(repo) === finding) models.delete(repo)
        }
        // Who asked hears of it; who asks next tries again.
        finding.then((model) => model ?? forget(), forget)
        return finding
      })
    },
  }
}

/** Files of one model, also after its data was moved. */
function filesOf(read: SharedReader, cid: CID): WebModel['file'] {
  return async (path, { signal } = {}) => {
    const file = await read((store) => store.getFile(cid, { path, verify: 'stored', signal }))
    if (!file) throw new NotFoundError(`${cid}/${path}`, { cid })
    return file
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
