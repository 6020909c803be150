import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'

import type { Environment } from '@x/gating'
import type { SigningPolicy, TrustedSigner } from '@x/model-signing'
import { InvalidInputError } from '@x/storage-core'

import { oneOf } from '../one-of.ts'

export const UNSIGNED_VARIABLE = 'IPFS_ACCELERATE_UNSIGNED'
const TRUSTED_KEYS_VARIABLE = 'IPFS_ACCELERATE_TRUSTED_KEYS'
const PICKLE_VARIABLE = 'IPFS_ACCELERATE_PICKLE'

const UNSIGNED = ['allow', 'warn', 'refuse'] as const
const PICKLE = ['list', 'refuse'] as const
/** What a repository's pattern looks like. Not what a path does that begins with `/`, `./`, `~` or a drive. */
const SCOPED = /^([\w*-][\w.*-]*(?:\/[\w.*-]+)?)=(.+)$/s
const CURVES: ReadonlySet<unknown> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/**
 * What models have to show before they are run, by options, each of which beats its variable, and by the environment.
 *
 * @returns `undefined` where nothing is asked of them.
 * @throws {InvalidInputError} A value that means nothing, or a key that cannot be read; it names the variable and the value.
 */
export function signingSettings(
  environment: Environment,
  options: Partial<SigningPolicy> = {},
): SigningPolicy | undefined {
  const unsigned =
    oneOf('policy.unsigned', options.unsigned, UNSIGNED) ??
    oneOf(UNSIGNED_VARIABLE, environment[UNSIGNED_VARIABLE], UNSIGNED)
  const pickle =
    oneOf('policy.pickle', options.pickle, PICKLE) ?? oneOf(PICKLE_VARIABLE, environment[PICKLE_VARIABLE], PICKLE)
  const trusted = options.trusted ?? trustedKeys(TRUSTED_KEYS_VARIABLE, environment[TRUSTED_KEYS_VARIABLE])
  if (unsigned === undefined && pickle === undefined && trusted === undefined) return undefined
  return { unsigned: unsigned ?? 'allow', pickle: pickle ?? 'list', trusted: trusted ?? [] }
}

/**
 * Reads a signer that is trusted from a PEM file: public keys and certificates.
 *
 * @param what - Of the setting, for messages.
 * @param text - A path, or `org/*=path` for a key that counts for these repositories alone.
 * @throws {InvalidInputError} It is not there, or holds no key or certificate that can be checked with.
 */
export function readTrustedKey(what: string, text: string): TrustedSigner {
  const [, scope, scoped] = SCOPED.exec(text) ?? []
  const file = scoped ?? text
  const base = { name: file, ...(scope !== undefined && { repos: [scope] }) }
  const refuse = (why: string, cause?: unknown): never => {
    throw new InvalidInputError(`${what}: ${file} ${why}`, { input: text, cause })
  }
  let pem: string
  try {
    pem = readFileSync(path.resolve(file), 'utf8')
  } catch (cause) {
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    return refuse(isAbsent ? 'is not there' : 'cannot be read', cause)
  }
  if (/PRIVATE KEY-----/.test(pem)) return refuse('holds a private key; who checks needs the public one')
  try {
    if (pem.includes('-----BEGIN CERTIFICATE-----')) {
      // One that cannot be read is found here, not with the first model.
      const { publicKey } = new X509Certificate(pem)
      return publicKey.type === 'public' ? { ...base, certificate: pem } : refuse('holds no public key')
    }
    if (pem.includes('-----BEGIN PUBLIC KEY-----')) {
      const { asymmetricKeyDetails } = createPublicKey(pem)
      if (CURVES.has(asymmetricKeyDetails?.namedCurve)) return { ...base, key: pem }
      return refuse('is a key of another kind; known are P-256, P-384 and P-521')
    }
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause
    return refuse('holds a key or certificate that cannot be read', cause)
  }
  return refuse('holds no public key or certificate in PEM')
}

function trustedKeys(variable: string, value: string | undefined): TrustedSigner[] | undefined {
  const items = (value ?? '').split(path.delimiter).filter((item) => item.trim() !== '')
  return items.length === 0 ? undefined : items.map((item) => readTrustedKey(variable, item))
}
