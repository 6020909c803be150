import { equalBytes } from '@x/cid'
import type { HubTreeFile } from '@x/hub-client'
import { isStorageError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { findHubRevision, type HubRevision } from '../hub-revisions.ts'
import { decodeManifest } from '../manifest-encoding.ts'
import type { ManifestFile, ModelManifest } from '../manifest.ts'

/** What a store has of a repository at a commit. */
export interface HeldCommit extends Pick<HubRevision, 'manifest' | 'root' | 'isUnlisted'> {
  content: ModelManifest
}

/** `undefined`: the commit was not fetched, is not held any more, or its manifest is lost; then it is made again. */
export async function findHeldCommit(
  store: ContentStore,
  { repo, commit }: { repo: string; commit: string },
  { signal }: AbortOptions = {},
): Promise<HeldCommit | undefined> {
  const known = await findHubRevision(store, { repo, revision: commit }, { signal })
  if (!known || !(await store.has(known.root, { signal }))) return undefined
  try {
    const content = decodeManifest(await store.blocks.get(known.manifest, { signal }))
    return { manifest: known.manifest, root: known.root, isUnlisted: known.isUnlisted, content }
  } catch (error) {
    if (isStorageError(error) && ['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) return undefined
    throw error
  }
}

/**
 * Files of an earlier fetch of the commit, by their paths: those that are what the listing says. Others, as of a cache that does not
 * know what they should be, have to be fetched.
 */
export function filesThatFit(
  held: HeldCommit | undefined,
  listing: readonly HubTreeFile[],
): ReadonlyMap<string, ManifestFile> {
  const listed = new Map(listing.map((file) => [file.path, file]))
  const fits = ({ path, size, sha256, gitOid }: ManifestFile): boolean => {
    const of = listed.get(path)
    if (of?.size !== size) return false
    return of.sha256 ? equalBytes(of.sha256, sha256) : of.gitOid === gitOid
  }
  return new Map((held?.content.files ?? []).flatMap((file) => (fits(file) ? [[file.path, file] as const] : [])))
}
