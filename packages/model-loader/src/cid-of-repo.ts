import { isStorageError, parseCid, type CID } from '@x/cid'

const BY_CID = 'ipfs/'

/**
 * The model that a repository `ipfs/<cid>` names: it is answered by that CID or not at all, whatever a hub has under this
 * name. `undefined`: an ordinary name.
 */
export function cidOfRepo(repo: string): CID | undefined {
  if (!repo.startsWith(BY_CID)) return undefined
  try {
    return parseCid(repo.slice(BY_CID.length))
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return undefined
    throw error
  }
}
