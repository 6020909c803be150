import { blake2b } from '@noble/hashes/blake2.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { CID, equalBytes, IntegrityError, RAW } from '@x/cid'

import { concatBytes } from './bytes.ts'
import type { ModelFile } from './model-files.ts'
import type { HashName, SignedPiece } from './statement.ts'

interface StreamHash {
  update(bytes: Uint8Array): unknown
  digest(): Uint8Array
}

const CREATE: Record<HashName, () => StreamHash> = {
  sha256: () => sha256.create(),
  blake2b: () => blake2b.create({ dkLen: 64 }),
  blake3: () => blake3.create(),
}

/**
 * Whether the bytes of a file are those that were signed piece by piece. Reads it to its end, once.
 *
 * @param pieces - In order, without gaps.
 * @throws {IntegrityError} The bytes are not those of the file's own SHA-256.
 */
export async function matchesPieces(
  file: ModelFile,
  bytes: AsyncIterable<Uint8Array>,
  hash: HashName,
  pieces: readonly SignedPiece[],
): Promise<boolean> {
  const own = sha256.create()
  let isSame = true
  let at = 0
  let index = 0
  let current = CREATE[hash]()
  const close = (): void => {
    const piece = pieces[index++]
    if (!piece || !equalBytes(current.digest(), piece.digest)) isSame = false
    current = CREATE[hash]()
  }
  for await (const chunk of bytes) {
    own.update(chunk)
    for (let from = 0; from < chunk.length;) {
      const end = pieces[index]?.range?.end ?? Infinity
      const take = Math.min(chunk.length - from, end - at)
      current.update(chunk.subarray(from, from + take))
      from += take
      at += take
      if (at === end) close()
    }
  }
  assertOwn(file, own.digest())
  const last = pieces.at(-1)
  // A file longer than its last piece is behind it, a shorter one has not closed it.
  if (!last?.range) close()
  return isSame && (last?.range === undefined || last.range.end === at)
}

function assertOwn({ path, sha256: digest }: ModelFile, actual: Uint8Array): void {
  if (equalBytes(digest, actual)) return
  const [cid, found] = [rawCid(digest), rawCid(actual)]
  throw new IntegrityError(`${path}: its bytes hash to ${found}, not to ${cid}`, { cid, actual: found, file: path })
}

/** The CIDv1 of a file as one block: its SHA-256 behind the four bytes that say so. */
function rawCid(digest: Uint8Array): CID {
  return CID.decode(concatBytes(new Uint8Array([1, RAW, 0x12, digest.length]), digest))
}
