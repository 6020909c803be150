import { InvalidInputError, UnsupportedError } from '@x/cid'

import { own } from './bytes.ts'
import { createDerReader, INTEGER, OCTET_STRING, readObjectId, readSmall, SEQUENCE } from './der.ts'

const PBES2 = '1.2.840.113549.1.5.13'
const PBKDF2 = '1.2.840.113549.1.5.12'

const PRFS = new Map([
  ['1.2.840.113549.2.7', 'SHA-1'],
  ['1.2.840.113549.2.9', 'SHA-256'],
  ['1.2.840.113549.2.10', 'SHA-384'],
  ['1.2.840.113549.2.11', 'SHA-512'],
])

/** AES-CBC: key length in bits. WebCrypto of Chromium has no 192. */
const CIPHERS = new Map([
  ['2.16.840.1.101.3.4.1.2', 128],
  ['2.16.840.1.101.3.4.1.22', 192],
  ['2.16.840.1.101.3.4.1.42', 256],
])

/** OpenSSL writes 2048, Python's `cryptography` 20 000, advice of today is 600 000. */
const MAX_ITERATIONS = 10_000_000

/**
 * Opens an EncryptedPrivateKeyInfo that PBES2 made with PBKDF2 and AES-CBC.
 *
 * @throws {InvalidInputError} The password is wrong.
 * @throws {SignatureError} `malformed`.
 * @throws {UnsupportedError} Another scheme.
 * @see https://www.rfc-editor.org/rfc/rfc8018
 */
export async function decryptPkcs8(bytes: Uint8Array, password: string): Promise<Uint8Array> {
  const what = 'private key'
  const outer = createDerReader(bytes, what).into(SEQUENCE)
  const scheme = outer.into(SEQUENCE)
  expect(readObjectId(scheme, what), PBES2, 'PBES2')
  const parameters = scheme.into(SEQUENCE)
  const encrypted = outer.read(OCTET_STRING).contents

  const derivation = parameters.into(SEQUENCE)
  expect(readObjectId(derivation, what), PBKDF2, 'PBKDF2')
  const pbkdf2 = derivation.into(SEQUENCE)
  const salt = pbkdf2.read(OCTET_STRING).contents
  const iterations = readSmall(pbkdf2, what)
  if (iterations > MAX_ITERATIONS) throw new UnsupportedError(`private key: ${iterations} iterations of PBKDF2`)
  if (pbkdf2.peek() === INTEGER) pbkdf2.read()
  const prf = pbkdf2.done ? '1.2.840.113549.2.7' : readObjectId(pbkdf2.into(SEQUENCE), what)
  const hash = PRFS.get(prf)
  if (hash === undefined) throw new UnsupportedError(`private key: encrypted with PBKDF2 over ${prf}`)

  const cipher = parameters.into(SEQUENCE)
  const cipherId = readObjectId(cipher, what)
  const length = CIPHERS.get(cipherId)
  if (length === undefined) throw new UnsupportedError(`private key: encrypted with ${cipherId}; AES-CBC is known`)
  const iv = cipher.read(OCTET_STRING).contents

  const secret = await crypto.subtle.importKey('raw', new TextEncoder().encode(password), 'PBKDF2', false, [
    'deriveKey',
  ])
  const key = await crypto.subtle
    .deriveKey({ name: 'PBKDF2', salt: own(salt), iterations, hash }, secret, { name: 'AES-CBC', length }, false, [
      'decrypt',
    ])
    .catch((cause: unknown) => {
      throw new UnsupportedError(`private key: encrypted with AES of ${length} bits, which this platform has not`, {
        cause,
      })
    })
  let opened: Uint8Array
  try {
    opened = new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-CBC', iv: own(iv) }, key, own(encrypted)))
  } catch (cause) {
    throw new InvalidInputError('private key: the password is wrong', { cause, input: 'password' })
  }
  // One wrong password in 256 has good padding.
  if (opened[0] !== SEQUENCE) throw new InvalidInputError('private key: the password is wrong', { input: 'password' })
  return opened
}

function expect(found: string, wanted: string, name: string): void {
  if (found !== wanted) throw new UnsupportedError(`private key: encrypted by ${found}; ${name} is known`)
}
