import { createHash, type Hash } from 'node:crypto'

import { CID, IntegrityError } from '@x/cid'

/** What a file must hash to. Neither: nothing is known. */
export interface ExpectedDigests {
  /** Of the bytes; 32. */
  sha256?: Uint8Array | undefined
  /** Git object of the bytes themselves, 40 hex. Not of an LFS file, where it is that of the pointer. */
  blobOid?: string | undefined
}

export interface DigestChecker {
  update(bytes: Uint8Array): void
  /** @throws {IntegrityError} The bytes are others. */
  end(): void
}

const RAW = 0x55
const GIT_RAW = 0x78

/** Of a file of `size` bytes, for Git's object begins with it. */
export function createDigestChecker(path: string, size: number, expected: ExpectedDigests): DigestChecker {
  const checks: { hash: Hash; expected: Buffer; cidOf: (digest: Buffer) => CID; name: string }[] = []
  if (expected.sha256) {
    const cidOf = (digest: Buffer): CID => CID.decode(Buffer.concat([Buffer.from([1, RAW, 0x12, 32]), digest]))
    checks.push({ hash: createHash('sha256'), expected: Buffer.from(expected.sha256), cidOf, name: 'SHA-256' })
  }
  if (expected.blobOid !== undefined) {
    const cidOf = (digest: Buffer): CID => CID.decode(Buffer.concat([Buffer.from([1, GIT_RAW, 0x11, 20]), digest]))
    const hash = createHash('sha1').update(`blob ${size}\0`)
    checks.push({ hash, expected: Buffer.from(expected.blobOid, 'hex'), cidOf, name: 'Git object' })
  }
  return {
    update(bytes) {
      for (const { hash } of checks) hash.update(bytes)
    },
    end() {
      for (const { hash, expected: wanted, cidOf, name } of checks) {
        const digest = hash.digest()
        if (digest.equals(wanted)) continue
        const message = `${path}: its ${name} is ${digest.toString('hex')}, and ${wanted.toString('hex')} is expected`
        throw new IntegrityError(message, { cid: cidOf(wanted), actual: cidOf(digest), file: path })
      }
    },
  }
}
