import { assertRepo } from '@x/hub-client'
import { isStorageError } from '@x/storage-core'

const PREFIX = 'models--'

/** `org/name` -> `models--org--name`. Names have no `--`, so that it can be read back. */
export function toRepoFolder(repo: string): string {
  assertRepo(repo)
  return `${PREFIX}${repo.replace('/', '--')}`
}

/** `undefined`: not the folder of a model. */
export function fromRepoFolder(folder: string): string | undefined {
  if (!folder.startsWith(PREFIX)) return undefined
  const repo = folder.slice(PREFIX.length).replace('--', '/')
  try {
    assertRepo(repo)
    return repo
  } catch (error) {
    if (isStorageError(error)) return undefined
    throw error
  }
}
