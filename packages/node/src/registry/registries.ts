import { acceptRegistry, signRegistry, type AcceptedRegistry, type SignedRegistry } from '@x/model-loader'
import { createSigner, type Signer, type TrustedSigner } from '@x/model-signing'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { readRegistrySource, type RegistrySourceOptions } from './read-registry-source.ts'

export interface PublishRegistryOptions extends AbortOptions {
  /** Who signs, or a private key in PEM. */
  signer: Signer | string
  /** What it is called by those who follow it. Default: `key-` and the beginning of the key's fingerprint. */
  name?: string | undefined
  /** Names that begin so. Default: all. */
  prefix?: string | undefined
  /** Default: as `signRegistry`. */
  sequence?: number | undefined
}

const FINGERPRINT_DIGITS = 16

/**
 * Writes down what the names of a store mean, and signs it. The bytes are put where others find them: on a web server, or in
 * a Kubo daemon under a name of IPNS.
 *
 * @throws As `signRegistry`.
 */
export async function publishRegistry(
  store: ContentStore,
  { signer: given, name, ...options }: PublishRegistryOptions,
): Promise<SignedRegistry> {
  const signer = typeof given === 'string' ? await createSigner(given) : given
  return signRegistry(store, signer, { name: name ?? nameOf(signer), ...options })
}

function nameOf({ publicKey }: Signer): string {
  return `key-${publicKey.fingerprint.replace(/^sha256:/, '').slice(0, FINGERPRINT_DIGITS)}`
}

export interface FollowRegistryOptions extends RegistrySourceOptions {
  /** Who may sign. Default: who was trusted when this source was followed first. */
  trusted?: readonly TrustedSigner[] | undefined
  /** The registry that it has to be. */
  name?: string | undefined
}

/**
 * Takes the edition of a registry that is published now. Called again, it takes the next one.
 *
 * @param source - As for `readRegistrySource`; it is remembered as it is written.
 * @throws As `readRegistrySource` and `acceptRegistry`.
 */
export async function followRegistry(
  store: ContentStore,
  source: string,
  { trusted, name, ...options }: FollowRegistryOptions = {},
): Promise<AcceptedRegistry> {
  const bytes = await readRegistrySource(source, options)
  return acceptRegistry(store, bytes, { source, trusted, name, signal: options.signal })
}
