import { equalBytes, InvalidInputError } from '@x/cid'

import { readPrivateKey, type PrivateKeyOptions, type PublicKey } from './ec-key.ts'
import { readCertificates } from './read-certificates.ts'

/** Who signs. Of `createSigner`, or of the caller's own making, for keys that never leave their device. */
export interface Signer {
  /** Of `readPublicKey`. */
  readonly publicKey: PublicKey
  /** In DER, the signer's own first; absent for a bare key. */
  readonly certificates?: readonly Uint8Array[] | undefined
  /** ECDSA over `message`, with the hash that goes with the curve: SHA-256, SHA-384, SHA-512. In DER. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

export interface SignerOptions extends PrivateKeyOptions {
  /** PEM with the certificate of the key, first, and those that lead from it to a root. Without: the bare key signs. */
  certificates?: string | undefined
}

/**
 * A signer with a private key at hand.
 *
 * @param privateKey - PEM; see `readPrivateKey`.
 * @throws {InvalidInputError} Not such a key; a password that is missing or wrong; a certificate of another key.
 * @throws {UnsupportedError} A key on none of P-256, P-384 and P-521; another way of encryption.
 */
export async function createSigner(privateKey: string, options: SignerOptions = {}): Promise<Signer> {
  const key = await readPrivateKey(privateKey, options)
  const { publicKey } = key
  if (options.certificates === undefined) return key
  const certificates = readCertificates(options.certificates)
  if (!certificates[0] || !equalBytes(certificates[0].spki, publicKey.spki)) {
    throw new InvalidInputError('certificate: the first one is not of the private key', { input: 'certificate' })
  }
  return { ...key, certificates: certificates.map(({ der }) => der) }
}
