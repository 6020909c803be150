import { createHash } from 'node:crypto'

/** The Git object of an LFS file's pointer, 40 hex. @see https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
export function pointerOid(sha256: Uint8Array, size: number): string {
  const hex = Buffer.from(sha256).toString('hex')
  const text = `version https://git-lfs.github.com/spec/v1\noid sha256:${hex}\nsize ${size}\n`
  return createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex')
}
