import { buildFile, type BuildFileOptions, type BuiltFile } from './build-file.ts'
import { LEAF_DIGEST_BYTES } from './file-tree.ts'
import { createOutboard, type BalancedOutboard } from './outboard.ts'
import { DEFAULT_PROFILE } from './profiles.ts'

/** `buildFile` that keeps the digests of the leaves: the file and its outboard in one pass. 32 bytes of memory a leaf. */
export async function buildOutboard(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: BuildFileOptions = {},
): Promise<BuiltFile & { outboard: BalancedOutboard }> {
  let digests = new Uint8Array(64 * LEAF_DIGEST_BYTES)
  let filled = 0
  const built = await buildFile(source, {
    ...options,
    onBlock: async (block) => {
      if (block.kind === 'leaf') {
        if (filled === digests.length) {
          const larger = new Uint8Array(2 * digests.length)
          larger.set(digests)
          digests = larger
        }
        digests.set(block.cid.multihash.digest, filled)
        filled += LEAF_DIGEST_BYTES
      }
      await options.onBlock?.(block)
    },
  })
  const outboard = await createOutboard(
    options.profile ?? DEFAULT_PROFILE,
    built.fileBytes,
    digests.subarray(0, filled),
  )
  return { ...built, outboard }
}
