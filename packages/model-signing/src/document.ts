import { decodeDagCbor, encodeDagCbor, InvalidInputError } from '@x/cid'
import { SignatureError } from '@x/storage-core'

import { parseBundle, type BundleLimits } from './bundle.ts'
import { sha256, toHex } from './bytes.ts'
import { signEnvelope, verifyEnvelope, type SignerIdentity } from './envelope.ts'
import { malformed } from './malformed.ts'
import type { Signer } from './signer.ts'
import { decodeUtf8, parseStrictJson } from './strict-json.ts'
import { readTrust, type TrustedSigner } from './trust.ts'

/** `json`: what JSON can hold. `dag-cbor`: CIDs and bytes too. */
export type DocumentFormat = 'json' | 'dag-cbor'

const PAYLOAD_TYPES: Record<DocumentFormat, string> = {
  json: 'application/vnd.ipfs-accelerate.document.v1+json',
  'dag-cbor': 'application/vnd.ipfs-accelerate.document.v1+dag-cbor',
}

/** Which document this is an edition of: a signature over one is none over another. */
export interface DocumentName {
  /** What sort of thing: `registry`. */
  kind: string
  /** Which of them. */
  name: string
}

export interface SignDocumentOptions extends DocumentName {
  /** Larger than that of every edition before. A safe integer, from 0. */
  sequence: number
  /** Default `json`. */
  format?: DocumentFormat | undefined
}

/** What is remembered of an edition that was seen. Plain data. */
export interface DocumentEdition extends DocumentName {
  sequence: number
  /** SHA-256 of what was signed, in hexadecimal. */
  digest: string
}

export interface SignedDocument extends DocumentEdition {
  /** Not checked beyond its form: read it as unknown data. */
  value: unknown
  format: DocumentFormat
  signer: SignerIdentity
}

/**
 * Signs an edition of a document, such as a registry that is published: the same bundle as for models, with a payload of our own.
 *
 * @param value - Plain data.
 * @returns The bundle, UTF-8.
 * @throws {InvalidInputError} A sequence that is no safe integer from 0; a value that the format cannot hold.
 */
export async function signDocument(
  value: unknown,
  signer: Signer,
  { kind, name, sequence, format = 'json' }: SignDocumentOptions,
): Promise<Uint8Array> {
  if (!isSequence(sequence)) {
    throw new InvalidInputError('sequence: not a safe integer from 0', { input: String(sequence) })
  }
  const payload = await encode({ version: 1, kind, name, sequence, value }, format)
  return signEnvelope(PAYLOAD_TYPES[format], payload, signer)
}

async function encode(document: object, format: DocumentFormat): Promise<Uint8Array> {
  try {
    if (format === 'dag-cbor') return (await encodeDagCbor(document)).bytes
    const payload = new TextEncoder().encode(JSON.stringify(document))
    if (!('value' in parseDocument(payload, format))) throw new Error('JSON has no such value')
    return payload
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'cannot be encoded'
    throw new InvalidInputError(`document: ${why}`, { cause, input: 'value' })
  }
}

export interface VerifyDocumentOptions extends BundleLimits, Pick<DocumentName, 'kind'> {
  /** Default: any, for who meets a document for the first time; the result says which it is. */
  name?: string | undefined
  /** Default: when the signer's certificate became valid. */
  certificatesValidAt?: Date | undefined
  /** As for `verifyModel`. */
  repo?: string | undefined
  publicKeys?: readonly string[] | undefined
}

/**
 * Checks a signed document. Whether it is older than one that was seen is for `assertForward`.
 *
 * @param options.kind - Must be that of the document, as must `name` where it is given.
 * @throws {SignatureError} `unknown-key`, `bad-signature`, `malformed`; `mismatch`: it is another document.
 */
export async function verifyDocument(
  bundle: Uint8Array,
  trusted: readonly TrustedSigner[],
  options: VerifyDocumentOptions,
): Promise<SignedDocument> {
  const { kind, certificatesValidAt } = options
  const trust = await readTrust(trusted, options)
  const parsed = parseBundle(bundle, options)
  const format = parsed.payloadType === PAYLOAD_TYPES['dag-cbor'] ? 'dag-cbor' : 'json'
  const signer = await verifyEnvelope(parsed, trust, { payloadType: PAYLOAD_TYPES[format], certificatesValidAt })
  const document = parseDocument(parsed.payload, format)
  if (document['version'] !== 1 || !('value' in document) || !isSequence(document['sequence'])) {
    throw malformed('document: version, sequence or value is not as it should be')
  }
  const { name } = document
  if (typeof name !== 'string') throw malformed('document: name is not a string')
  if (document['kind'] !== kind || (options.name ?? name) !== name) {
    const found = JSON.stringify([document['kind'], name])
    const wanted = JSON.stringify([kind, options.name ?? name])
    throw new SignatureError(`the document is ${found}, not ${wanted}`, { reason: 'mismatch' })
  }
  const digest = toHex(await sha256(parsed.payload))
  return { kind, name, sequence: document['sequence'], value: document['value'], format, digest, signer }
}

function parseDocument(payload: Uint8Array, format: DocumentFormat): Record<string, unknown> {
  const value = format === 'json' ? parseJson(payload) : parseCbor(payload)
  if (!isRecord(value)) throw malformed('document: not a map')
  return value
}

/** Strict, and then with the usual prototypes, for the caller's sake. */
function parseJson(payload: Uint8Array): unknown {
  parseStrictJson(payload, 'document')
  return JSON.parse(decodeUtf8(payload, 'document'))
}

function parseCbor(payload: Uint8Array): unknown {
  try {
    return decodeDagCbor(payload)
  } catch (cause) {
    throw malformed('document: not dag-cbor', { cause })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSequence(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * Checks that an edition may take the place of the one that was seen last.
 *
 * @param previous - What was remembered; `undefined` at the first contact, which takes any.
 * @returns `same`: that very edition again.
 * @throws {SignatureError} `backwards`: it is older, or is another one of the same sequence. `mismatch`: of another document.
 */
export function assertForward(previous: DocumentEdition | undefined, next: DocumentEdition): 'newer' | 'same' {
  if (!previous) return 'newer'
  const { kind, name, sequence, digest } = next
  if (kind !== previous.kind || name !== previous.name) {
    throw new SignatureError(
      `${kind} ${JSON.stringify(name)} cannot follow ${previous.kind} ${JSON.stringify(previous.name)}`,
      {
        reason: 'mismatch',
      },
    )
  }
  if (sequence > previous.sequence) return 'newer'
  if (sequence === previous.sequence && digest === previous.digest) return 'same'
  const why =
    sequence === previous.sequence
      ? `there are two of number ${sequence}`
      : `number ${sequence} is older than ${previous.sequence}, which was seen`
  throw new SignatureError(`${kind} ${JSON.stringify(name)} moves backwards: ${why}`, { reason: 'backwards' })
}
