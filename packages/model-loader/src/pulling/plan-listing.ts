import { InvalidInputError } from '@x/storage-core'

import { isTooLong } from '../manifest-encoding.ts'
import { pathsBeside } from '../manifest-paths.ts'
import { createManifest, type ManifestInput, type ModelManifest, type ModelOrigin } from '../manifest.ts'
import { rawCid, SHA256_BYTES } from '../raw-cid.ts'
import { knownAbsent } from '../select-files.ts'

/** A file of a listing. */
export interface ListedFile {
  path: string
  size: number
  gitOid?: string | undefined
  sha256?: Uint8Array | undefined
}

/** What a manifest says of the place that the files are from. */
export type PlannedListing = Pick<ManifestInput, 'origin' | 'omitted' | 'absent'>

/** Files of a listing that are not chosen, and of these the ones that a manifest lists: those that can lie beside the chosen. */
export function omittedFrom<T extends { path: string }>(
  listing: readonly T[],
  files: readonly { path: string }[],
): { omitted: readonly T[]; isUnlisted: boolean } {
  const chosen = new Set(files.map(({ path }) => path))
  const rest = listing.filter(({ path }) => !chosen.has(path))
  const omitted = pathsBeside(files, rest)
  return { omitted, isUnlisted: omitted.length < rest.length }
}

/** Facts and tensor tables are known when the files are here. Bytes. */
const SPARE_BYTES = 200_000

/**
 * What a manifest will say of a repository or directory, before anything is downloaded. A file that is left out, and cannot lie
 * beside the others, is not listed; where all do not go into a block, none is, and the manifest has no origin: what there is besides
 * is not known then.
 *
 * @param label - What messages call it.
 * @param what.files - Those that the model will have.
 * @throws {InvalidInputError} They cannot lie in one directory, or in one manifest.
 */
export async function planListing(
  label: string,
  what: { listing: readonly ListedFile[]; files: readonly ListedFile[]; origin?: ModelOrigin | undefined },
): Promise<PlannedListing> {
  const { listing, files, origin } = what
  // As long as the real ones.
  const sha256 = new Uint8Array(SHA256_BYTES)
  const root = rawCid(sha256)
  const manifestOf = (more: PlannedListing): ModelManifest =>
    createManifest({
      root,
      files: files.map(({ path, size, gitOid }) => ({ path, size, gitOid, sha256, root })),
      ...more,
    })
  let own: ModelManifest
  try {
    own = manifestOf({})
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw new InvalidInputError(`${label}: ${cause.message}; leave one out (exclude)`, { input: cause.input, cause })
  }
  if (await isTooLong(own)) {
    const message = `${label}: ${files.length} files are more than a manifest of 2 MiB can list; select fewer`
    throw new InvalidInputError(message, { input: label })
  }
  const omitted = omittedFrom(listing, files).omitted.map(({ path, size, gitOid, sha256: digest }) => ({
    path,
    size,
    gitOid,
    sha256: digest,
  }))
  const listed = { origin, omitted, absent: knownAbsent(listing) }
  return (await isTooLong(manifestOf(listed), { spareBytes: SPARE_BYTES })) ? {} : listed
}
