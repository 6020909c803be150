import { InvalidInputError, UnsupportedError } from '@x/cid'

import { concatBytes, own, sha256, toHex } from './bytes.ts'
import {
  createDerReader,
  INTEGER,
  OBJECT_ID,
  OCTET_STRING,
  readBitString,
  readObjectId,
  readUnsigned,
  SEQUENCE,
  writeDer,
  writeObjectId,
  writeUnsigned,
} from './der.ts'
import { malformed } from './malformed.ts'
import { encodePem, parsePem, type PemBlock } from './pem.ts'
import { decryptPkcs8 } from './pkcs8-decrypt.ts'

/** The curves that the Python tool signs with, each with the hash it takes. */
export type Curve = 'P-256' | 'P-384' | 'P-521'

interface CurveFacts {
  oid: string
  hash: 'SHA-256' | 'SHA-384' | 'SHA-512'
  /** Length of a coordinate. Bytes. */
  size: number
}

const CURVES: Record<Curve, CurveFacts> = {
  'P-256': { oid: '1.2.840.10045.3.1.7', hash: 'SHA-256', size: 32 },
  'P-384': { oid: '1.3.132.0.34', hash: 'SHA-384', size: 48 },
  'P-521': { oid: '1.3.132.0.35', hash: 'SHA-512', size: 66 },
}

const EC_PUBLIC_KEY = '1.2.840.10045.2.1'

/** Key types that are met, and that the format does not know. */
const OTHER_KEYS = new Map([
  ['1.2.840.113549.1.1.1', 'RSA'],
  ['1.3.101.112', 'Ed25519'],
  ['1.3.101.113', 'Ed448'],
  ['2.16.840.1.101.3.4.3.17', 'ML-DSA-44'],
  ['2.16.840.1.101.3.4.3.18', 'ML-DSA-65'],
  ['2.16.840.1.101.3.4.3.19', 'ML-DSA-87'],
])

/** An elliptic-curve public key that can check signatures. */
export interface PublicKey {
  readonly curve: Curve
  /** SubjectPublicKeyInfo in DER. */
  readonly spki: Uint8Array
  /** `sha256:` and the SHA-256 of the SubjectPublicKeyInfo in hexadecimal. */
  readonly fingerprint: string
  /** What bundles name a key by: the SHA-256 of its PEM text, in hexadecimal. */
  readonly hint: string
  readonly pem: string
  /**
   * @param signature - In DER, as bundles have it.
   * @param hash - Default: the one that goes with the curve.
   */
  verify(signature: Uint8Array, message: Uint8Array, hash?: string): Promise<boolean>
}

/**
 * Reads a public key.
 *
 * @param pem - A `PUBLIC KEY` block on P-256, P-384 or P-521.
 * @throws {InvalidInputError} Not such a PEM text, or not a point on the curve.
 * @throws {UnsupportedError} A key of another kind.
 */
export async function readPublicKey(pem: string): Promise<PublicKey> {
  const block = parsePem(pem, 'public key').find(({ label }) => label === 'PUBLIC KEY')
  if (!block) throw new InvalidInputError('public key: no PUBLIC KEY block in the PEM text', { input: 'public key' })
  return orInvalid('public key', () => importPublicKey(block.bytes, 'public key'))
}

/**
 * @param what - For errors: `certificate`.
 * @throws {SignatureError} `malformed`.
 * @throws {UnsupportedError} A key of another kind.
 */
export async function importPublicKey(spki: Uint8Array, what: string): Promise<PublicKey> {
  const curve = curveOf(spki, what)
  const { hash, size } = CURVES[curve]
  const pem = encodePem('PUBLIC KEY', spki)
  const [key, digest, hint] = await Promise.all([
    importEc('spki', spki, curve, 'verify', what),
    sha256(spki),
    sha256(new TextEncoder().encode(pem)),
  ])
  return {
    curve,
    spki,
    fingerprint: `sha256:${toHex(digest)}`,
    hint: toHex(hint),
    pem,
    async verify(signature, message, otherHash = hash) {
      const raw = rawSignature(signature, size)
      return raw !== undefined && crypto.subtle.verify({ name: 'ECDSA', hash: otherHash }, key, raw, own(message))
    },
  }
}

function curveOf(spki: Uint8Array, what: string): Curve {
  const reader = createDerReader(spki, what)
  const info = reader.into(SEQUENCE)
  reader.end()
  const algorithm = info.into(SEQUENCE)
  const curve = readCurve(algorithm, what)
  algorithm.end()
  const point = readBitString(info, what)
  info.end()
  if (point[0] !== 4 || point.length !== 1 + 2 * CURVES[curve].size) {
    throw malformed(`${what}: not an uncompressed point of ${curve}`)
  }
  return curve
}

/** The two identifiers of an AlgorithmIdentifier: elliptic curve, and which. */
function readCurve(algorithm: ReturnType<typeof createDerReader>, what: string): Curve {
  const kind = readObjectId(algorithm, what)
  if (kind !== EC_PUBLIC_KEY) {
    throw new UnsupportedError(`${what}: an ${OTHER_KEYS.get(kind) ?? kind} key; known are P-256, P-384 and P-521`)
  }
  if (algorithm.peek() !== OBJECT_ID) throw new UnsupportedError(`${what}: a curve that is described, not named`)
  return curveNamed(readObjectId(algorithm, what), what)
}

function curveNamed(oid: string, what: string): Curve {
  for (const curve of ['P-256', 'P-384', 'P-521'] as const) if (CURVES[curve].oid === oid) return curve
  throw new UnsupportedError(`${what}: curve ${oid}; known are P-256, P-384 and P-521`)
}

/** A private key that can sign. */
export interface PrivateKey {
  readonly publicKey: PublicKey
  /** @returns The signature in DER. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

export interface PrivateKeyOptions {
  /** Of a key in an `ENCRYPTED PRIVATE KEY` block. */
  password?: string | undefined
}

/**
 * Reads a private key on P-256, P-384 or P-521 from PEM: `PRIVATE KEY` (PKCS #8), `EC PRIVATE KEY` (SEC 1), or
 * `ENCRYPTED PRIVATE KEY` (PBES2 with PBKDF2 and AES-CBC, what `openssl pkcs8 -topk8` and Python's `cryptography` write).
 *
 * @throws {InvalidInputError} Not such a PEM text; a password that is missing or wrong.
 * @throws {UnsupportedError} Another kind of key or of encryption.
 */
export async function readPrivateKey(pem: string, { password }: PrivateKeyOptions = {}): Promise<PrivateKey> {
  const what = 'private key'
  const block = parsePem(pem, what).find(({ label }) => label.endsWith('PRIVATE KEY'))
  if (!block) throw new InvalidInputError('private key: no PRIVATE KEY block in the PEM text', { input: what })
  const pkcs8 = await toPkcs8(block, password)
  return orInvalid(what, () => importPrivateKey(pkcs8, what))
}

async function importPrivateKey(pkcs8: Uint8Array, what: string): Promise<PrivateKey> {
  const info = createDerReader(pkcs8, what).into(SEQUENCE)
  info.read(INTEGER)
  const curve = readCurve(info.into(SEQUENCE), what)
  const { hash } = CURVES[curve]
  const key = await importEc('pkcs8', pkcs8, curve, 'sign', what)
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', key)
  if (kty === undefined || crv === undefined || x === undefined || y === undefined) {
    throw malformed(`${what}: the public key cannot be told from it`)
  }
  const algorithm = { name: 'ECDSA', namedCurve: curve }
  const other = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, algorithm, true, ['verify'])
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', other))
  const publicKey = await importPublicKey(spki, what)
  return {
    publicKey,
    async sign(message) {
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash }, key, own(message))
      return derSignature(new Uint8Array(signature))
    },
  }
}

async function toPkcs8(block: PemBlock, password: string | undefined): Promise<Uint8Array> {
  const what = 'private key'
  switch (block.label) {
    case 'PRIVATE KEY':
      return block.bytes
    case 'ENCRYPTED PRIVATE KEY':
      if (password === undefined)
        throw new InvalidInputError('private key: it is encrypted; give its password', { input: what })
      return decryptPkcs8(block.bytes, password)
    case 'EC PRIVATE KEY':
      if (block.headers.has('Proc-Type')) {
        throw new UnsupportedError(
          'private key: encrypted the old way, with MD5; `openssl pkcs8 -topk8` writes it in a way that is read',
        )
      }
      return orInvalid(what, () => Promise.resolve(wrapSec1(block.bytes, what)))
    default:
      throw new UnsupportedError(`private key: a ${block.label}; known are keys on P-256, P-384 and P-521`)
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc5915 */
function wrapSec1(sec1: Uint8Array, what: string): Uint8Array {
  const reader = createDerReader(sec1, what).into(SEQUENCE)
  reader.read(INTEGER)
  reader.read(OCTET_STRING)
  if (reader.peek() !== 0xa0) throw malformed(`${what}: an EC PRIVATE KEY that does not name its curve`)
  const parameters = reader.into(0xa0)
  if (parameters.peek() !== OBJECT_ID) throw new UnsupportedError(`${what}: a curve that is described, not named`)
  const curve = curveNamed(readObjectId(parameters, what), what)
  const algorithm = writeDer(SEQUENCE, writeObjectId(EC_PUBLIC_KEY), writeObjectId(CURVES[curve].oid))
  return writeDer(SEQUENCE, writeUnsigned(new Uint8Array([0])), algorithm, writeDer(OCTET_STRING, sec1))
}

/** A new key pair, as PEM texts: `PRIVATE KEY` (not encrypted) and `PUBLIC KEY`. */
export async function generateKeyPair(curve: Curve = 'P-256'): Promise<{ privateKey: string; publicKey: string }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: curve }, true, ['sign', 'verify'])
  const [pkcs8, spki] = await Promise.all([
    crypto.subtle.exportKey('pkcs8', pair.privateKey),
    crypto.subtle.exportKey('spki', pair.publicKey),
  ])
  return {
    privateKey: encodePem('PRIVATE KEY', new Uint8Array(pkcs8)),
    publicKey: encodePem('PUBLIC KEY', new Uint8Array(spki)),
  }
}

/** `CryptoKey` where the types of the DOM are; those of Node have it elsewhere. */
type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

async function importEc(
  format: 'spki' | 'pkcs8',
  bytes: Uint8Array,
  namedCurve: Curve,
  usage: 'sign' | 'verify',
  what: string,
): Promise<ImportedKey> {
  try {
    return await crypto.subtle.importKey(format, own(bytes), { name: 'ECDSA', namedCurve }, true, [usage])
  } catch (cause) {
    throw malformed(`${what}: not a key on ${namedCurve}`, { cause })
  }
}

/** What a caller gave is not a signature, so its faults are the caller's. */
async function orInvalid<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    if (cause instanceof UnsupportedError || !(cause instanceof Error)) throw cause
    throw new InvalidInputError(cause.message, { cause, input: what })
  }
}

/** From DER to the two numbers side by side, as WebCrypto takes them; `undefined` when it is no such signature. */
function rawSignature(signature: Uint8Array, size: number): Uint8Array<ArrayBuffer> | undefined {
  const what = 'signature'
  try {
    const outer = createDerReader(signature, what)
    const reader = outer.into(SEQUENCE)
    outer.end()
    const numbers = [readUnsigned(reader, what), readUnsigned(reader, what)]
    reader.end()
    if (numbers.some(({ length }) => length > size)) return undefined
    return concatBytes(...numbers.flatMap((number) => [new Uint8Array(size - number.length), number]))
  } catch {
    // Whoever verifies refuses it as a signature that does not match.
    return undefined
  }
}

function derSignature(raw: Uint8Array): Uint8Array {
  const size = raw.length / 2
  return writeDer(SEQUENCE, writeUnsigned(raw.subarray(0, size)), writeUnsigned(raw.subarray(size)))
}
