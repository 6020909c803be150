import { createHash } from 'node:crypto'

import { lfsPointer } from '@x/cid'

/** The Git object of an LFS file's pointer, 40 hex. */
export function pointerOid(sha256: Uint8Array, size: number): string {
  const text = lfsPointer({ sha256, size })
  return createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex')
}
