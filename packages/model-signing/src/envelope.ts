import { equalBytes, InvalidInputError, UnsupportedError } from '@x/cid'
import { SignatureError } from '@x/storage-core'

import { encodeBundle, type Bundle } from './bundle.ts'
import { concatBytes, sha256, toHex } from './bytes.ts'
import { findChain } from './certificate-chain.ts'
import { importPublicKey, type Curve } from './ec-key.ts'
import type { Signer } from './signer.ts'
import type { Trust } from './trust.ts'
import { readCertificate, type Certificate } from './x509.ts'

/** Who signed, as far as it was checked. */
export interface SignerIdentity {
  /** The name that the caller gave to what it trusts. */
  name?: string | undefined
  method: 'key' | 'certificate' | 'keyless'
  /** Not of keyless signatures, nor is the fingerprint. */
  curve?: Curve | undefined
  /** Of the key that signed: `sha256:` and the SHA-256 of its SubjectPublicKeyInfo in hexadecimal. */
  fingerprint?: string | undefined
  /** Of a bare key: what bundles name it by, the SHA-256 of its PEM text in hexadecimal. */
  hint?: string | undefined
  /** Of the certificate: `O=Example,CN=signer`; keyless: the address. */
  subject?: string | undefined
  /** The subject of the trusted certificate that the chain led to; keyless: who vouched for the address. */
  anchor?: string | undefined
}

/** What is signed: DSSE's pre-authentication encoding. https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md */
function preAuthentication(payloadType: string, payload: Uint8Array): Uint8Array {
  const text = new TextEncoder()
  const head = `DSSEv1 ${text.encode(payloadType).length} ${payloadType} ${payload.length} `
  return concatBytes(text.encode(head), payload)
}

/**
 * A bundle with a signed payload. UTF-8.
 *
 * @throws {InvalidInputError} The signer's signature is not by its public key.
 */
export async function signEnvelope(payloadType: string, payload: Uint8Array, signer: Signer): Promise<Uint8Array> {
  const { publicKey, certificates } = signer
  const message = preAuthentication(payloadType, payload)
  const signature = await signer.sign(message)
  if (!(await publicKey.verify(signature, message))) {
    throw new InvalidInputError('signer: what it signs is not signed by its public key', { input: 'signer' })
  }
  const material = certificates
    ? { kind: 'certificates' as const, certificates: [...certificates] }
    : { kind: 'key' as const, hint: publicKey.hint }
  return encodeBundle({ payloadType, payload, signature, material })
}

export interface VerifyEnvelopeOptions {
  /** The one type of payload that is taken: a signature over another kind of thing says nothing about this one. */
  payloadType: string
  /** When certificates must be valid. Default: when the signer's became so, as the Python tool has it. */
  certificatesValidAt?: Date | undefined
}

/**
 * Checks the signature of a bundle. The payload was not looked into.
 *
 * @throws {SignatureError} `unknown-key`, `bad-signature`, `malformed`.
 * @throws {UnsupportedError} Signed without a key (Sigstore), and `trust` has nobody to check that.
 */
export async function verifyEnvelope(
  bundle: Bundle,
  trust: Trust,
  { payloadType, certificatesValidAt }: VerifyEnvelopeOptions,
): Promise<SignerIdentity> {
  if (bundle.payloadType !== payloadType) {
    throw new SignatureError(`bundle: signs a ${JSON.stringify(bundle.payloadType)}, not a ${payloadType}`, {
      reason: 'malformed',
    })
  }
  const { material, signature } = bundle
  const message = preAuthentication(payloadType, bundle.payload)
  if (material.kind === 'key') return verifyByKey(signature, message, material.hint, trust)
  if (material.kind === 'keyless') return verifyKeyless(bundle.bytes, trust)
  const certificates = material.certificates.map(readCertificate)
  return verifyByCertificate(signature, message, certificates, trust, certificatesValidAt)
}

async function verifyByKey(
  signature: Uint8Array,
  message: Uint8Array,
  hint: string | undefined,
  trust: Trust,
): Promise<SignerIdentity> {
  const candidates = trust.keys.filter(({ key }) => hint === undefined || key.hint === hint)
  if (candidates.length === 0) {
    const by = hint === undefined ? 'a key that it does not name' : `the key ${hint} (SHA-256 of its PEM text)`
    const others = hint === undefined ? '' : trustedHints(trust)
    throw new SignatureError(`signed by ${by}, and there is no such trusted key${others}${trust.note}`, {
      reason: 'unknown-key',
    })
  }
  for (const { key, name } of candidates) {
    if (!(await key.verify(signature, message))) continue
    return { name, method: 'key', curve: key.curve, fingerprint: key.fingerprint, hint: key.hint }
  }
  throw new SignatureError('the signature is not by the trusted key, or not over this payload', {
    reason: 'bad-signature',
  })
}

const NAMED_KEYS = 3

/** In the terms of the bundle, so that whoever reads it can compare. */
function trustedHints({ keys }: Trust): string {
  const named = keys.slice(0, NAMED_KEYS).map(({ key, name = 'one' }) => `${name} is ${key.hint}`)
  const more = keys.length > NAMED_KEYS ? `, and ${keys.length - NAMED_KEYS} more` : ''
  return named.length === 0 ? '' : `: ${named.join(', ')}${more}`
}

async function verifyKeyless(bundle: Uint8Array, { keyless, note }: Trust): Promise<SignerIdentity> {
  const failures: unknown[] = []
  for (const { check, name } of keyless) {
    try {
      const { subject, issuer } = await check(bundle)
      return { name, method: 'keyless', subject, anchor: issuer }
    } catch (error) {
      failures.push(error)
    }
  }
  if (keyless.length === 0) {
    throw new UnsupportedError(`signed without a key (Sigstore), and nothing that is trusted checks that${note}`)
  }
  const why = failures.map((error) => (error instanceof Error ? error.message : String(error))).join('; ')
  const cause = failures.length === 1 ? failures[0] : new AggregateError(failures)
  throw new SignatureError(`signed without a key (Sigstore), and refused: ${why}`, { reason: 'bad-signature', cause })
}

async function verifyByCertificate(
  signature: Uint8Array,
  message: Uint8Array,
  certificates: Certificate[],
  trust: Trust,
  validAt: Date | undefined,
): Promise<SignerIdentity> {
  const [leaf, ...others] = certificates
  if (!leaf) throw new SignatureError('bundle: no certificate', { reason: 'malformed' })
  const key = await importPublicKey(leaf.spki, 'certificate')
  const anchors = await anchorsAmong(certificates, trust)
  const chain = await findChain(leaf, {
    isAnchor: (certificate) => anchors.some((anchor) => equalBytes(anchor.certificate.der, certificate.der)),
    others: [...anchors.map(({ certificate }) => certificate), ...others],
    at: validAt ?? leaf.notBefore,
  })
  if (!(await key.verify(signature, message))) {
    throw new SignatureError(`the signature is not by the key of ${leaf.subject}, or not over this payload`, {
      reason: 'bad-signature',
    })
  }
  const end = chain.at(-1) ?? leaf
  const name = anchors.find(({ certificate }) => equalBytes(certificate.der, end.der))?.name
  return {
    name,
    method: 'certificate',
    curve: key.curve,
    fingerprint: key.fingerprint,
    subject: leaf.subject,
    anchor: end.subject,
  }
}

/** Those that are trusted themselves, and those in the bundle whose key is. */
async function anchorsAmong(
  certificates: Certificate[],
  trust: Trust,
): Promise<{ certificate: Certificate; name: string | undefined }[]> {
  const anchors = [...trust.certificates]
  for (const certificate of certificates) {
    const trusted = trust.fingerprints.get(`sha256:${toHex(await sha256(certificate.spki))}`)
    if (trusted) anchors.push({ certificate, name: trusted.name })
  }
  return anchors
}
