import { InvalidInputError, isStorageError } from '@x/cid'

import { readPublicKey, type PublicKey } from './ec-key.ts'
import { readCertificates } from './read-certificates.ts'
import { isInScope } from './repo-scope.ts'
import type { Certificate } from './x509.ts'

interface TrustedBase {
  /** For people, and in `SignerIdentity`. */
  name?: string | undefined
  /** Repositories that it may sign for: `org/name`, where `*` stands for any characters but a slash. Default: all. */
  repos?: readonly string[] | undefined
}

/** Someone whose signature counts. */
export type TrustedSigner =
  /** A public key, as PEM. */
  | (TrustedBase & { key: string })
  /** Certificates, as PEM: roots, intermediates, or a signer's own. Each is trusted as it is. */
  | (TrustedBase & { certificate: string })
  /**
   * `sha256:` and the SHA-256 of a key's SubjectPublicKeyInfo in hexadecimal: of a certificate in the bundle, or of a key in
   * `publicKeys`. A bundle by a bare key does not hold the key.
   */
  | (TrustedBase & { fingerprint: string })
  /** Whom a checker of the caller's own takes for keyless bundles. */
  | (TrustedBase & { keyless: CheckKeyless })

/** Who signed without a key of their own, by the certificate that Sigstore gave them. */
export interface KeylessIdentity {
  /** An address or URL. */
  subject: string
  /** Who vouched for it. */
  issuer: string
}

/**
 * Checks the signature, the certificate, the transparency log and the identity of a keyless bundle, for instance with `@sigstore/verify` and
 * a trusted root at hand. It rejects unless all hold.
 *
 * @param bundle - UTF-8; JSON in which no name is there twice.
 */
export type CheckKeyless = (bundle: Uint8Array) => Promise<KeylessIdentity>

/** What is trusted for one repository, read. */
export interface Trust {
  keys: { key: PublicKey; name: string | undefined }[]
  certificates: { certificate: Certificate; name: string | undefined }[]
  fingerprints: Map<string, { name: string | undefined }>
  keyless: { check: CheckKeyless; name: string | undefined }[]
  /** For errors: who is trusted, but for other repositories. */
  note: string
}

export interface TrustOptions {
  /** The repository that the thing claims to be; without it, those who are trusted for some repositories alone do not count. */
  repo?: string | undefined
  /** PEM of keys that are not trusted by themselves, but may be by their fingerprints; from anyone. What cannot be read is passed over. */
  publicKeys?: readonly string[] | undefined
}

/**
 * @throws {InvalidInputError} A key, certificate, fingerprint or pattern that cannot be read.
 * @throws {UnsupportedError} A key of another kind.
 */
export async function readTrust(trusted: readonly TrustedSigner[], options: TrustOptions = {}): Promise<Trust> {
  const { repo, publicKeys = [] } = options
  const trust: Trust = { keys: [], certificates: [], fingerprints: new Map(), keyless: [], note: '' }
  const elsewhere: string[] = []
  for (const signer of trusted) {
    const { name, repos } = signer
    if (repos && !isInScope(repos, repo)) {
      elsewhere.push(`${name ?? 'one'} for ${repos.join(', ')}`)
      continue
    }
    if ('key' in signer) trust.keys.push({ key: await readPublicKey(signer.key), name })
    else if ('keyless' in signer) trust.keyless.push({ check: signer.keyless, name })
    else if ('certificate' in signer) {
      for (const certificate of readCertificates(signer.certificate)) trust.certificates.push({ certificate, name })
    } else trust.fingerprints.set(fingerprintOf(signer.fingerprint), { name })
  }
  for (const pem of publicKeys) {
    const key = await readPublicKey(pem).catch(ignoreUnreadable)
    const known = key && trust.fingerprints.get(key.fingerprint)
    if (known) trust.keys.push({ key, name: known.name })
  }
  if (elsewhere.length > 0) trust.note = ` (trusted, but not here: ${elsewhere.join('; ')})`
  return trust
}

/** It may come from anyone, and what cannot be read has no fingerprint that is trusted. */
function ignoreUnreadable(error: unknown): undefined {
  if (!isStorageError(error)) throw error
}

function fingerprintOf(text: string): string {
  const [, hex] = /^sha256:([0-9a-f]{64})$/i.exec(text) ?? []
  if (hex === undefined) {
    throw new InvalidInputError(`fingerprint ${JSON.stringify(text)}: not sha256: and 64 hexadecimal digits`, {
      input: text,
    })
  }
  return `sha256:${hex.toLowerCase()}`
}
