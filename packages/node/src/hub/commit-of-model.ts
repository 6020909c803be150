import type { CID } from '@x/cid'
import type { ModelManifest } from '@x/model-loader'

/**
 * What stands for a commit where a model is shown as a repository: that of its origin under its own name, else the first
 * 20 bytes of the digest in its manifest's CID. 40 hexadecimal digits.
 */
export function commitOfModel(
  repo: string,
  { manifest, cid }: { manifest: Pick<ModelManifest, 'origin'>; cid: CID },
): string {
  const { origin } = manifest
  return origin?.repo === repo ? origin.revision : Buffer.from(cid.multihash.digest.subarray(0, 20)).toString('hex')
}
