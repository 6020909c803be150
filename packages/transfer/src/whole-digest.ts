import { equalBytes } from '@x/cid'

import type { CreateHasher } from './hasher.ts'
import { wholeDigestOf, type WantedFile } from './wanted-file.ts'

/** Hashes a file in its own order while its leaves come in another one. */
export interface WholeCheck {
  /** Bytes up to here are hashed. */
  readonly front: number
  /** Hashes bytes that are at the front, when nothing is being read again. `false`: they are not hashed. */
  offer(offset: number, bytes: Uint8Array): boolean
  /** Hashes on, with what `read` gives, up to `end`. */
  advance(end: number, read: (offset: number, length: number) => Promise<Uint8Array>): Promise<void>
  /** Whether the whole file is the one that was wanted. Called once, when all of it is hashed. */
  matches(): boolean
}

const READ_BYTES = 1024 * 1024

/** `undefined`: nothing is known of the whole file but its root. */
export function createWholeCheck(file: WantedFile, createHasher: CreateHasher): WholeCheck | undefined {
  const wanted = wholeDigestOf(file)
  if (!wanted) return undefined
  const hasher = createHasher(wanted.type === 'git' ? 'sha1' : 'sha256')
  if (wanted.type === 'git') hasher.update(new TextEncoder().encode(`blob ${file.size}\0`))
  let front = 0
  let isReading = false
  return {
    get front() {
      return front
    },
    offer: (offset, bytes) => {
      if (isReading || offset !== front) return false
      hasher.update(bytes)
      front += bytes.length
      return true
    },
    advance: async (end, read) => {
      if (isReading) return
      isReading = true
      try {
        while (front < end) {
          const bytes = await read(front, Math.min(READ_BYTES, end - front))
          hasher.update(bytes)
          front += bytes.length
        }
      } finally {
        isReading = false
      }
    },
    matches: () => {
      const digest = hasher.digest()
      return wanted.type === 'git' ? toHex(digest) === wanted.oid : equalBytes(digest, wanted.digest)
    },
  }
}

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
