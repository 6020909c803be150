import { UnsupportedError } from '@x/cid'

import { decodeBase64, encodeBase64 } from './base64.ts'
import { malformed } from './malformed.ts'
import {
  arrayAt,
  isObject,
  objectAt,
  parseStrictJson,
  stringAt,
  type JsonObject,
  type JsonValue,
} from './strict-json.ts'

/** @see https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto */
const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
/** Bundles of other versions, and the same one as it was spelt before. */
const OTHER_MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/

/** What says by whom a bundle is signed. Nothing of it is covered by the signature. */
type BundleMaterial =
  /** `hint` names a key: the SHA-256 of its PEM text. Absent in bundles of early tools. */
  | { kind: 'key'; hint: string | undefined }
  /** In DER, the signer's first. */
  | { kind: 'certificates'; certificates: Uint8Array[] }
  /** Keyless: a certificate of minutes, and a transparency log that says when. */
  | { kind: 'keyless' }

export interface Bundle {
  payloadType: string
  payload: Uint8Array
  /** In DER. */
  signature: Uint8Array
  material: BundleMaterial
  /** The whole bundle, as it came. */
  bytes: Uint8Array
}

/** One that can be written: keyless signing is not here. */
export interface SignedBundle extends Omit<Bundle, 'bytes'> {
  material: Exclude<BundleMaterial, { kind: 'keyless' }>
}

/** The two numbers of P-521 in DER take 139 bytes. */
const MAX_SIGNATURE_BYTES = 1024
const MAX_CERTIFICATES = 16

export interface BundleLimits {
  /** A longer bundle is refused before it is read. Bytes; default 64 MiB, which is about 250 000 files. */
  maxBundleBytes?: number | undefined
}

const DEFAULT_MAX_BUNDLE_BYTES = 64 * 1024 * 1024

/**
 * Reads a Sigstore bundle around one DSSE envelope with one signature. Says nothing about whether the signature holds.
 *
 * @throws {SignatureError} `malformed`.
 * @throws {UnsupportedError} A bundle of another version, or of a kind that signs no envelope.
 */
export function parseBundle(
  bytes: Uint8Array,
  { maxBundleBytes = DEFAULT_MAX_BUNDLE_BYTES }: BundleLimits = {},
): Bundle {
  if (bytes.length > maxBundleBytes)
    throw malformed(`bundle: ${bytes.length} bytes; at most ${maxBundleBytes} are read`)
  const json = parseStrictJson(bytes, 'bundle')
  if (!isObject(json)) throw malformed('bundle: not an object')
  const mediaType = stringAt(json, 'mediaType', 'bundle')
  if (mediaType !== MEDIA_TYPE) {
    if (OTHER_MEDIA_TYPE.test(mediaType)) throw new UnsupportedError(`bundle: ${mediaType}; known is ${MEDIA_TYPE}`)
    throw malformed('bundle: mediaType is not that of a Sigstore bundle')
  }
  if ('messageSignature' in json) throw new UnsupportedError('bundle: signs a digest; known are DSSE envelopes')
  const envelope = objectAt(json, 'dsseEnvelope', 'bundle')
  const signatures = arrayAt(envelope, 'signatures', 'bundle')
  const [signature] = signatures
  if (signatures.length !== 1 || !isObject(signature)) {
    throw malformed(`bundle: ${signatures.length} signatures in place of one`)
  }
  const signatureBytes = base64At(signature, 'sig')
  if (signatureBytes.length > MAX_SIGNATURE_BYTES)
    throw malformed(`bundle: a signature of ${signatureBytes.length} bytes`)
  return {
    payloadType: stringAt(envelope, 'payloadType', 'bundle'),
    payload: base64At(envelope, 'payload'),
    signature: signatureBytes,
    bytes,
    material: readMaterial(objectAt(json, 'verificationMaterial', 'bundle')),
  }
}

function readMaterial(material: JsonObject): BundleMaterial {
  const kinds = ['publicKey', 'x509CertificateChain', 'certificate'].filter((name) => name in material)
  if (kinds.length !== 1) throw malformed(`bundle: verificationMaterial has ${kinds.length} signers in place of one`)
  if (kinds[0] === 'publicKey') {
    const { hint } = objectAt(material, 'publicKey', 'bundle')
    if (hint !== undefined && hint !== null && typeof hint !== 'string') throw malformed('bundle: hint is not a string')
    return { kind: 'key', hint: hint || undefined }
  }
  const entries = material['tlogEntries']
  if (kinds[0] === 'certificate' || (Array.isArray(entries) && entries.length > 0)) return { kind: 'keyless' }
  const chain = arrayAt(objectAt(material, 'x509CertificateChain', 'bundle'), 'certificates', 'bundle')
  if (chain.length === 0 || chain.length > MAX_CERTIFICATES) throw malformed(`bundle: ${chain.length} certificates`)
  return {
    kind: 'certificates',
    certificates: chain.map((certificate: JsonValue) => {
      if (!isObject(certificate)) throw malformed('bundle: a certificate is not an object')
      return base64At(certificate, 'rawBytes')
    }),
  }
}

function base64At(parent: JsonObject, name: string): Uint8Array {
  const bytes = decodeBase64(stringAt(parent, name, 'bundle'))
  if (!bytes) throw malformed(`bundle: ${name} is not canonical base64`)
  return bytes
}

/** As the Python tool 1.1.1 writes it, down to the order of the names. UTF-8. */
export function encodeBundle({ payloadType, payload, signature, material }: SignedBundle): Uint8Array {
  const signer =
    material.kind === 'key'
      ? { publicKey: { hint: material.hint } }
      : {
          x509CertificateChain: { certificates: material.certificates.map((der) => ({ rawBytes: encodeBase64(der) })) },
        }
  const json = {
    mediaType: MEDIA_TYPE,
    verificationMaterial: { ...signer, tlogEntries: [] },
    dsseEnvelope: {
      payload: encodeBase64(payload),
      payloadType,
      signatures: [{ sig: encodeBase64(signature), keyid: '' }],
    },
  }
  return new TextEncoder().encode(JSON.stringify(json))
}
