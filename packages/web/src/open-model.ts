import type { OpfsStore } from '@x/backend-opfs'
import { openModel as openStoredModel, type OpenedModel, type OpenModelOptions } from '@x/model-loader'

export interface WebModel extends OpenedModel {
  /**
   * A file of the model as it is stored, without a copy.
   *
   * @throws {NotFoundError} The model has no such file.
   * @throws {IntegrityError} It is no longer what was stored.
   */
  file(path: string, options?: { signal?: AbortSignal | undefined }): Promise<File>
}

export interface OpenWebModelOptions extends Omit<OpenModelOptions, 'verify'> {
  /**
   * `stored`: what is as it was when it was stored and hashed is not hashed again; see the README of `@x/backend-opfs`.
   * `each-open`: everything is. Default `stored`.
   */
  verify?: 'stored' | 'each-open' | undefined
}

/**
 * Opens a model that is in the page's storage. A CID is answered by that CID or not at all.
 *
 * @param reference - `ipfs://<cid>`, a CID, or a name.
 * @throws {NotFoundError} No such name, or part of the model is not held.
 * @throws {IntegrityError} A file is damaged; it names the file.
 */
export async function openModel(
  store: OpfsStore,
  reference: string,
  { verify = 'stored', ...options }: OpenWebModelOptions = {},
): Promise<WebModel> {
  const trusting: OpfsStore = { ...store, verify: (root, given) => store.verifyStored(root, given) }
  const model = await openStoredModel(verify === 'stored' ? trusting : store, reference, options)
  return {
    ...model,
    file: (path, { signal } = {}) => store.getFile(model.cid, { path, verify: 'stored', signal }),
  }
}
