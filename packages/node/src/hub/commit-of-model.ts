import type { CID } from '@x/cid'
import type { ModelOrigin } from '@x/model-loader'

/**
 * What stands for a commit where a model is shown as a repository: that of its origin under its own name, else the first
 * 20 bytes of the digest in its manifest's CID. 40 hexadecimal digits.
 *
 * @param model.origin - As `knownOrigin` has it: nobody makes a model one of a repository by saying so.
 */
export function commitOfModel(repo: string, { origin, cid }: { origin: ModelOrigin | undefined; cid: CID }): string {
  return origin?.repo === repo ? origin.revision : Buffer.from(cid.multihash.digest.subarray(0, 20)).toString('hex')
}
