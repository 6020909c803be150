import { equalBytes } from '@x/cid'
import { SignatureError } from '@x/storage-core'

import { isSignedBy, type Certificate } from './x509.ts'

export interface ChainOptions {
  /** Certificates that are trusted as they are: roots, intermediates, or the signer's own. */
  isAnchor: (certificate: Certificate) => boolean
  /** Those that may be used on the way, trusted or not. */
  others: readonly Certificate[]
  /** When every certificate of the chain must be valid. */
  at: Date
}

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3'
const ANY_USAGE = '2.5.29.37.0'

/** Real chains have 2 to 4. */
const MAX_LENGTH = 8
/** Each is a signature check; certificates of one name and several keys could ask for very many. */
const MAX_CHECKS = 64

/**
 * Finds a chain from a signer's certificate to a trusted one.
 *
 * @returns From `leaf` to the trusted certificate, which may be `leaf` itself.
 * @throws {SignatureError} `unknown-key`: there is none, or the certificate is not for signing, not valid then, or has conditions that are
 *   not understood.
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-6
 */
export async function findChain(leaf: Certificate, options: ChainOptions): Promise<Certificate[]> {
  assertMaySign(leaf)
  const failures: string[] = []
  let checks = 0

  const extend = async (chain: Certificate[]): Promise<Certificate[] | undefined> => {
    const last = chain.at(-1) ?? leaf
    const problem = problemOf(last, chain.length - 1, options.at)
    if (problem !== undefined) {
      failures.push(`${last.subject || 'a certificate without a name'} ${problem}`)
      return undefined
    }
    if (options.isAnchor(last)) return chain
    if (chain.length === MAX_LENGTH) return undefined
    let isDeadEnd = true
    for (const issuer of options.others) {
      if (!equalBytes(issuer.subjectDer, last.issuerDer) || chain.some(({ der }) => equalBytes(der, issuer.der)))
        continue
      if (++checks > MAX_CHECKS) throw untrusted(leaf, [`more than ${MAX_CHECKS} signatures to check`])
      if (!(await isSignedBy(last, issuer))) continue
      isDeadEnd = false
      const found = await extend([...chain, issuer])
      if (found) return found
    }
    if (isDeadEnd) failures.push(`there is no certificate of ${last.issuer}`)
    return undefined
  }

  const chain = await extend([leaf])
  if (!chain) throw untrusted(leaf, failures)
  return chain
}

function untrusted({ subject }: Certificate, failures: string[]): SignatureError {
  const message = `signed with the certificate of ${subject}, which is not trusted: ${failures.join('; ')}`
  return new SignatureError(message, { reason: 'unknown-key' })
}

/** @param below - How many certificates stand between this one and the file; 0 for the signer's own. */
function problemOf(certificate: Certificate, below: number, at: Date): string | undefined {
  const { notBefore, notAfter, basicConstraints, keyUsage, notUnderstood } = certificate
  if (at < notBefore) return `is valid from ${notBefore.toISOString()}`
  if (at > notAfter) return `was valid until ${notAfter.toISOString()}`
  if (notUnderstood.length > 0) return `has conditions that are not understood (${notUnderstood.join(', ')})`
  if (below === 0) return undefined
  if (!basicConstraints?.ca) return 'may not issue certificates'
  if (keyUsage && !keyUsage.keyCertSign) return 'may not sign certificates'
  if (basicConstraints.pathLength !== undefined && below - 1 > basicConstraints.pathLength) {
    return `allows ${basicConstraints.pathLength} certificates below it`
  }
  return undefined
}

/** Usages that are there must allow it, and one must be there: the Python tool asks for the second alone. */
function assertMaySign({ subject, keyUsage, extendedKeyUsage }: Certificate): void {
  const forCode = extendedKeyUsage?.some((usage) => usage === CODE_SIGNING || usage === ANY_USAGE)
  const refused = keyUsage?.digitalSignature === false || forCode === false || (!keyUsage && !extendedKeyUsage)
  if (!refused) return
  throw new SignatureError(`the certificate of ${subject} is not for signing`, { reason: 'unknown-key' })
}
