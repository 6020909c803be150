import { equalBytes, UnsupportedError } from '@x/cid'

import { own, toHex } from './bytes.ts'
import {
  BIT_STRING,
  BOOLEAN,
  createDerReader,
  type DerElement,
  type DerReader,
  INTEGER,
  OCTET_STRING,
  readBitString,
  readObjectId,
  readSmall,
  SEQUENCE,
  SET,
} from './der.ts'
import { importPublicKey } from './ec-key.ts'
import { malformed } from './malformed.ts'

/** What a chain of trust needs of an X.509 certificate. Nothing of it is trusted yet. */
export interface Certificate {
  readonly der: Uint8Array
  /** `CN=Example signer,O=Example` */
  readonly subject: string
  readonly issuer: string
  /** The names as DER, which is how they are compared. */
  readonly subjectDer: Uint8Array
  readonly issuerDer: Uint8Array
  /** Hexadecimal. */
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Uint8Array
  /** `undefined`: no such extension. */
  readonly basicConstraints: { ca: boolean; pathLength: number | undefined } | undefined
  readonly keyUsage: { digitalSignature: boolean; keyCertSign: boolean } | undefined
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[] | undefined
  /** Extensions that bind and that are not understood here: whoever meets one must refuse. */
  readonly notUnderstood: readonly string[]
  readonly signed: Uint8Array
  readonly signatureAlgorithm: string
  readonly signature: Uint8Array
}

/** Certificates are a few KB; ones with many names are tens. */
const MAX_BYTES = 64 * 1024

const BASIC_CONSTRAINTS = '2.5.29.19'
const KEY_USAGE = '2.5.29.15'
const EXTENDED_KEY_USAGE = '2.5.29.37'
/** They limit whom a CA may speak for, so they count even where they are not critical. */
const NAME_CONSTRAINTS = '2.5.29.30'
const UNDERSTOOD = new Set([
  BASIC_CONSTRAINTS,
  KEY_USAGE,
  EXTENDED_KEY_USAGE,
  // Key identifiers, alternative names, policies, and where revocation lists are.
  '2.5.29.14',
  '2.5.29.35',
  '2.5.29.17',
  '2.5.29.18',
  '2.5.29.31',
  '2.5.29.32',
])

/**
 * Reads a certificate in DER.
 *
 * @throws {SignatureError} `malformed`.
 * @see https://www.rfc-editor.org/rfc/rfc5280
 */
export function readCertificate(der: Uint8Array): Certificate {
  const what = 'certificate'
  if (der.length > MAX_BYTES) throw malformed(`${what}: ${der.length} bytes`)
  const outer = createDerReader(der, what)
  const certificate = outer.into(SEQUENCE)
  outer.end()
  const signed = certificate.read(SEQUENCE)
  const algorithm = certificate.read(SEQUENCE)
  const signature = readBitString(certificate, what)
  certificate.end()

  const tbs = createDerReader(signed.contents, what)
  const version = tbs.peek() === 0xa0 ? readSmall(tbs.into(0xa0), what) : 0
  const serial = toHex(tbs.read(INTEGER).contents)
  if (!equalBytes(tbs.read(SEQUENCE).whole, algorithm.whole)) throw malformed(`${what}: names two signature algorithms`)
  const issuer = tbs.read(SEQUENCE)
  const validity = tbs.into(SEQUENCE)
  const [notBefore, notAfter] = [readTime(validity.read()), readTime(validity.read())]
  const subject = tbs.read(SEQUENCE)
  const spki = tbs.read(SEQUENCE).whole
  while (tbs.peek() === 0x81 || tbs.peek() === 0x82) tbs.read()
  const extensions = tbs.peek() === 0xa3 ? readExtensions(tbs.into(0xa3)) : []
  tbs.end()
  if (extensions.length > 0 && version !== 2) throw malformed(`${what}: extensions before version 3`)

  const valueOf = (id: string): DerReader | undefined => {
    const found = extensions.filter((extension) => extension.id === id)
    if (found.length > 1) throw malformed(`${what}: extension ${id} twice`)
    return found[0] && createDerReader(found[0].value, what)
  }
  return {
    der,
    subject: nameOf(subject),
    issuer: nameOf(issuer),
    subjectDer: subject.whole,
    issuerDer: issuer.whole,
    serial,
    notBefore,
    notAfter,
    spki,
    basicConstraints: readBasicConstraints(valueOf(BASIC_CONSTRAINTS)),
    keyUsage: readKeyUsage(valueOf(KEY_USAGE)),
    extendedKeyUsage: readExtendedKeyUsage(valueOf(EXTENDED_KEY_USAGE)),
    notUnderstood: extensions
      .filter(({ id, critical }) => id === NAME_CONSTRAINTS || (critical && !UNDERSTOOD.has(id)))
      .map(({ id }) => id),
    signed: signed.whole,
    signatureAlgorithm: readObjectId(createDerReader(algorithm.contents, what), what),
    signature,
  }
}

interface Extension {
  id: string
  critical: boolean
  value: Uint8Array
}

function readExtensions(reader: DerReader): Extension[] {
  const list = reader.into(SEQUENCE)
  const extensions: Extension[] = []
  while (!list.done) {
    const extension = list.into(SEQUENCE)
    const id = readObjectId(extension, 'certificate')
    const critical = extension.peek() === BOOLEAN && readBoolean(extension)
    extensions.push({ id, critical, value: extension.read(OCTET_STRING).contents })
    extension.end()
  }
  return extensions
}

function readBoolean(reader: DerReader): boolean {
  return reader.read(BOOLEAN).contents[0] !== 0
}

function readBasicConstraints(value: DerReader | undefined): Certificate['basicConstraints'] {
  if (!value) return undefined
  const reader = value.into(SEQUENCE)
  const ca = reader.peek() === BOOLEAN && readBoolean(reader)
  const pathLength = reader.done ? undefined : readSmall(reader, 'certificate')
  reader.end()
  return { ca, pathLength }
}

function readKeyUsage(value: DerReader | undefined): Certificate['keyUsage'] {
  if (!value) return undefined
  // The first byte says how many bits of the last one are unused.
  const bits = value.read(BIT_STRING).contents[1] ?? 0
  return { digitalSignature: (bits & 0x80) !== 0, keyCertSign: (bits & 0x04) !== 0 }
}

function readExtendedKeyUsage(value: DerReader | undefined): string[] | undefined {
  if (!value) return undefined
  const reader = value.into(SEQUENCE)
  const usages: string[] = []
  while (!reader.done) usages.push(readObjectId(reader, 'certificate'))
  return usages
}

const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18

function readTime({ tag, contents }: DerElement): Date {
  const text = String.fromCharCode(...contents.subarray(0, 16))
  const digits = tag === UTC_TIME ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits) ?? []
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if ((tag !== UTC_TIME && tag !== GENERALIZED_TIME) || Number.isNaN(time.getTime())) {
    throw malformed('certificate: a time that is none')
  }
  return time
}

const ATTRIBUTES = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
])

const UTF16_STRING = 0x1e

/** For people, after RFC 4514 but in the order of the certificate. */
function nameOf(name: DerElement): string {
  const reader = createDerReader(name.contents, 'certificate')
  const parts: string[] = []
  while (!reader.done) {
    const set = reader.into(SET)
    while (!set.done) {
      const pair = set.into(SEQUENCE)
      const id = readObjectId(pair, 'certificate')
      const { tag, contents } = pair.read()
      const text = new TextDecoder(tag === UTF16_STRING ? 'utf-16be' : 'utf-8').decode(contents)
      parts.push(`${ATTRIBUTES.get(id) ?? id}=${forPeople(text)}`)
    }
  }
  return parts.join(',')
}

/** Nothing that a terminal obeys, and no mark of the syntax around it. */
function forPeople(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?').replaceAll(/[,+"\\<>;=]/g, '\\$&')
}

const RSA = '1.2.840.113549.1.1.1'
const SIGNATURES = new Map<string, { kind: 'EC' | 'RSA'; hash: string }>([
  ['1.2.840.10045.4.3.2', { kind: 'EC', hash: 'SHA-256' }],
  ['1.2.840.10045.4.3.3', { kind: 'EC', hash: 'SHA-384' }],
  ['1.2.840.10045.4.3.4', { kind: 'EC', hash: 'SHA-512' }],
  ['1.2.840.113549.1.1.11', { kind: 'RSA', hash: 'SHA-256' }],
  ['1.2.840.113549.1.1.12', { kind: 'RSA', hash: 'SHA-384' }],
  ['1.2.840.113549.1.1.13', { kind: 'RSA', hash: 'SHA-512' }],
])

/**
 * Whether `issuer`'s key signed `certificate`: ECDSA or RSA (PKCS #1 v1.5), over SHA-256, SHA-384 or SHA-512.
 *
 * @throws {UnsupportedError} Another algorithm.
 */
export async function isSignedBy(certificate: Certificate, issuer: Certificate): Promise<boolean> {
  const algorithm = SIGNATURES.get(certificate.signatureAlgorithm)
  if (!algorithm) throw new UnsupportedError(`certificate: signed with ${certificate.signatureAlgorithm}`)
  if (algorithm.kind === 'EC') {
    if (isRsa(issuer)) return false
    const key = await importPublicKey(issuer.spki, 'certificate')
    return key.verify(certificate.signature, certificate.signed, algorithm.hash)
  }
  if (!isRsa(issuer)) return false
  const parameters = { name: 'RSASSA-PKCS1-v1_5', hash: algorithm.hash }
  const key = await crypto.subtle
    .importKey('spki', own(issuer.spki), parameters, false, ['verify'])
    .catch((cause: unknown) => {
      throw malformed('certificate: not an RSA key', { cause })
    })
  return crypto.subtle.verify(parameters, key, own(certificate.signature), own(certificate.signed))
}

function isRsa({ spki }: Certificate): boolean {
  const algorithm = createDerReader(spki, 'certificate').into(SEQUENCE).into(SEQUENCE)
  return readObjectId(algorithm, 'certificate') === RSA
}
