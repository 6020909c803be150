import { toHex } from 'multiformats/bytes'

/**
 * The text that stands in git for a file that is kept in LFS. All of it is ASCII.
 *
 * @param file.sha256 - Of the file's bytes: 32 bytes.
 * @param file.size - Bytes.
 * @see https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
 */
export const lfsPointer = ({ sha256, size }: { sha256: Uint8Array; size: number }): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${toHex(sha256)}\nsize ${size}\n`
