import { hubCacheDirectory, openHubCache, type CachedSnapshot, type HubCache } from '@x/hub-cache'
import { isStorageError, type AbortOptions } from '@x/storage-core'

export interface FindCacheOptions extends AbortOptions {
  /** Default: as `HF_HUB_CACHE`, `HF_HOME` and the rest say. */
  directory?: string | undefined
  environment: Readonly<Record<string, string | undefined>>
}

/** The Hugging Face cache of this machine; `undefined`: there is none. */
export async function findHubCache({ directory, environment }: FindCacheOptions): Promise<HubCache | undefined> {
  return ifThere(openHubCache({ directory: directory ?? hubCacheDirectory(environment) }))
}

/** What it has of a model at a revision; `undefined`: nothing. */
export const findSnapshot = (
  cache: HubCache,
  repo: string,
  revision: string | undefined,
  options: AbortOptions,
): Promise<CachedSnapshot | undefined> => ifThere(cache.snapshot(repo, revision, options))

async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
