import { exportToHubCache, hubCacheDirectory, type ExportProgress, type ExportResult } from '@x/hub-cache'
import { isRepo } from '@x/hub-client/names'
import { knownOrigin, openModel } from '@x/model-loader'
import { BackendError, InvalidInputError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { createSha256 } from '../create-hash.ts'
import { commitOfModel } from './commit-of-model.ts'

export interface ExportHubCacheOptions extends AbortOptions {
  /** The cache, with `models--…` in it. Default: as `HF_HUB_CACHE`, `HF_HOME` and the rest say. */
  directory?: string | undefined
  environment: Readonly<Record<string, string | undefined>>
  /** `org/name`. Default: of the model's origin, else the name that it was asked for by. */
  repo?: string | undefined
  /** Names that stand for the commit. Default `main`. */
  refs?: readonly string[] | undefined
  onProgress?: ((event: ExportProgress) => void) | undefined
}

export interface ExportedModel extends ExportResult {
  directory: string
  repo: string
  commit: string
}

/**
 * Lays a model out in a Hugging Face cache, so that programs of Python and JavaScript find it offline. Its commit is that of
 * its origin, else one that is made of its manifest's CID.
 *
 * @param reference - As for `openModel`; every file is verified first.
 * @throws {InvalidInputError} No repository was named, and the model has neither an origin nor was asked for by a name of that form.
 */
export async function exportModelToHubCache(
  store: ContentStore,
  reference: string,
  { directory: given, environment, repo: named, refs, signal, onProgress }: ExportHubCacheOptions,
): Promise<ExportedModel> {
  const model = await openModel(store, reference, { createSha256, signal })
  const { manifest, manifestCid, files } = model
  const origin = knownOrigin(model)
  const repo = named ?? origin?.repo ?? repoOfName(model.name)
  if (repo === undefined) {
    throw new InvalidInputError(
      `${reference} was published nowhere that is known: name a repository, --repo ORG/NAME`,
      {
        input: reference,
      },
    )
  }
  const isOwn = origin?.repo === repo
  const commit = commitOfModel(repo, { origin, cid: manifestCid })
  const directory = given ?? hubCacheDirectory(environment)
  const exported = files.map(({ path, size, sha256, gitOid }) => {
    const localPath = model.path(path)
    if (localPath === undefined) throw new BackendError(`${store.name} has no paths on disk`, { retryable: false })
    return { path, localPath, size, sha256, ...(isOwn && { gitOid }) }
  })
  const result = await exportToHubCache(exported, {
    directory,
    repo,
    commit,
    refs,
    // Whole only where it is known what else there is.
    ...(isOwn && { omitted: manifest.omitted, absent: manifest.absent }),
    // It was verified when it was opened.
    check: 'none',
    signal,
    onProgress,
  })
  await model.close()
  return { ...result, directory, repo, commit }
}

/** @param name - `org/name` or `org/name@version`; a store takes others too. */
function repoOfName(name: string | undefined): string | undefined {
  const [repo = ''] = name?.split('@') ?? []
  return isRepo(repo) ? repo : undefined
}
