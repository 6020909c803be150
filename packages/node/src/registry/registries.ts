import { acceptRegistry, signRegistry, type AcceptedRegistry, type SignedRegistry } from '@x/model-loader'
import { createSigner, type Signer, type TrustedSigner } from '@x/model-signing'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { writeWholeFile } from '../write-whole-file.ts'
import { placeOfRegistry, readRegistrySource, type RegistrySourceOptions } from './read-registry-source.ts'

export interface PublishRegistryOptions extends AbortOptions {
  /** Who signs, or a private key in PEM. */
  signer: Signer | string
  /** What it is called by those who follow it. Default: `key-` and the beginning of the key's fingerprint. */
  name?: string | undefined
  /** Names that begin so. Default: all. */
  prefix?: string | undefined
  /** Default: as `signRegistry`. */
  sequence?: number | undefined
  /** As of `signRegistry`. Default `refuse`. */
  empty?: 'refuse' | 'allow' | undefined
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

export interface PublishRegistryFileOptions extends PublishRegistryOptions {
  /** Replace a file that is there. Default false. */
  force?: boolean | undefined
}

/**
 * As `publishRegistry`, into a file; all or nothing. An edition gets its number once the file can be written.
 *
 * @throws As `publishRegistry` and `writeWholeFile`.
 */
export async function publishRegistryFile(
  store: ContentStore,
  file: string,
  { force, ...options }: PublishRegistryFileOptions,
): Promise<SignedRegistry> {
  const signed = Promise.withResolvers<SignedRegistry>()
  async function* content(): AsyncGenerator<Uint8Array> {
    const published = await publishRegistry(store, options)
    signed.resolve(published)
    yield published.bytes
  }
  await writeWholeFile(file, content(), { force, signal: options.signal })
  return signed.promise
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
 * @param source - As for `readRegistrySource`. A file is remembered by its absolute path, an address as it is written.
 * @throws As `readRegistrySource` and `acceptRegistry`.
 */
export async function followRegistry(
  store: ContentStore,
  source: string,
  { trusted, name, ...options }: FollowRegistryOptions = {},
): Promise<AcceptedRegistry> {
  const bytes = await readRegistrySource(source, options)
  return acceptRegistry(store, bytes, { source: placeOfRegistry(source), trusted, name, signal: options.signal })
}
