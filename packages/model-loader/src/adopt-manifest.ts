import { type Block, equalBytes, InvalidInputError } from '@x/cid'

import type { DescribedFiles } from './describe-files.ts'
import { assertFits } from './manifest-record.ts'
import { createManifest, type ModelManifest } from './manifest.ts'
import type { ListedFile } from './model-files.ts'

export interface AdoptedManifest {
  manifest: ModelManifest
  /** The blocks of its tensor tables. */
  tables: Block[]
  /** It says what cannot be seen in the files; else it is what anybody makes of them. */
  claimed: boolean
}

/**
 * A stranger's manifest of files that are here. What can be seen in the files is taken from them, each being read: digests,
 * tensors, facts. What cannot be seen is the stranger's word, as the manifest's CID says: origin, git objects, what was left
 * out or is absent, parents.
 *
 * @param files - What the model's directory lists.
 * @param describe - As `describeFiles` sees them. Of several manifests it need not read the files more than once.
 * @throws {InvalidInputError} It is of other files, or says another digest of one.
 */
export async function adoptManifest(
  given: ModelManifest,
  files: readonly ListedFile[],
  describe: () => Promise<DescribedFiles>,
): Promise<AdoptedManifest> {
  assertFits(given, given.root, files)
  const { tables, files: described, ...facts } = await describe()
  const claims = new Map(given.files.map((file) => [file.path, file]))
  const own = Array.from(described, (file) => {
    const claim = claims.get(file.path)
    if (claim && !equalBytes(claim.sha256, file.sha256)) {
      const message = `the manifest of ${given.root} says another SHA-256 of ${file.path} than the file has`
      throw new InvalidInputError(message, { input: file.path })
    }
    return { ...file, ...(claim?.gitOid !== undefined && { gitOid: claim.gitOid }) }
  })
  const { root, origin, omitted, absent, parents } = given
  const claimed =
    own.some(({ gitOid }) => gitOid !== undefined) || [origin ?? [], omitted, absent, parents].flat().length > 0
  return { manifest: createManifest({ root, ...facts, files: own, origin, omitted, absent, parents }), tables, claimed }
}
