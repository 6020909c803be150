import { InvalidInputError } from '@x/cid'

import { parsePem } from './pem.ts'
import { readCertificate, type Certificate } from './x509.ts'

/**
 * The certificates in a PEM text that the caller gave, in order.
 *
 * @throws {InvalidInputError} There is none, or one cannot be read.
 */
export function readCertificates(pem: string): Certificate[] {
  const blocks = parsePem(pem, 'certificate').filter(({ label }) => label === 'CERTIFICATE')
  if (blocks.length === 0)
    throw new InvalidInputError('certificate: no CERTIFICATE block in the PEM text', { input: 'certificate' })
  return blocks.map(({ bytes }) => {
    try {
      return readCertificate(bytes)
    } catch (cause) {
      throw new InvalidInputError(cause instanceof Error ? cause.message : 'certificate', {
        cause,
        input: 'certificate',
      })
    }
  })
}
