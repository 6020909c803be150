import { isStorageError } from '@x/cid'
import { openModel, openStorage, type WebModel } from '@x/web'

type Storage = Awaited<ReturnType<typeof openStorage>>

let current: Promise<Storage> | undefined

/**
 * Opens a model from the page's storage, beside whoever writes it. Its files stay readable as long as this worker lives.
 *
 * @throws {NotFoundError} It is not there. @throws {IntegrityError} A file is damaged; it names the file.
 */
export async function openStoredModel(cid: string, signal: AbortSignal): Promise<WebModel> {
  const read = async (): Promise<WebModel> => {
    current ??= openStorage({ readOnly: true })
    return openModel(await current, `ipfs://${cid}`, { signal })
  }
  try {
    return await read()
  } catch (error) {
    if (!isStorageError(error) || error.code !== 'NOT_FOUND' || (await isCurrent())) throw error
    // It was added since; models that are loaded read on from the storage as it was opened for them.
    current = undefined
    return read()
  }
}

/** Of one that could not be opened there is nothing that could be older. */
async function isCurrent(): Promise<boolean> {
  const store = await current?.catch(() => undefined)
  return store === undefined ? false : store.isCurrent()
}
