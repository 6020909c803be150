import { InvalidInputError } from '@x/cid'
import { assertForward, verifyDocument, type SignedDocument, type TrustedSigner } from '@x/model-signing'
import { SignatureError, UnsupportedError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { keepRegistry, listRegistries, readKept, type FollowedRegistry, type KeptTrust } from './followed-registries.ts'
import { registryFromJson } from './registry-encoding.ts'
import { assertRegistryName } from './registry-name.ts'
import { MAX_REGISTRY_BYTES, REGISTRY_KIND, type Registry } from './registry.ts'

export interface AcceptRegistryOptions extends AbortOptions {
  /** Where the bytes came from: a place stands for one registry. */
  source: string
  /** Who may sign. Default: who was trusted when the source was followed first. Keyless signers cannot be remembered. */
  trusted?: readonly TrustedSigner[] | undefined
  /** The registry that it has to be. Default: the one that the source was before; any at the first contact. */
  name?: string | undefined
}

export interface AcceptedRegistry extends FollowedRegistry {
  /** `same`: it is the edition that was there. */
  change: 'new' | 'newer' | 'same'
}

/**
 * Takes an edition of a registry, and remembers it in the store. Its names never win over the store's own.
 *
 * @param bytes - A stranger's.
 * @throws {SignatureError} `unknown-key`: signed by nobody who is trusted, or not by whom the edition before was signed;
 *   `bad-signature`, `malformed`; `mismatch`: another registry than before; `backwards`: older than the one that is here.
 * @throws {InvalidInputError} Well signed, and no registry; or nobody is trusted.
 */
export async function acceptRegistry(
  store: ContentStore,
  bytes: Uint8Array,
  { source, trusted: given, name: wanted, signal }: AcceptRegistryOptions,
): Promise<AcceptedRegistry> {
  if (wanted !== undefined) assertRegistryName(wanted)
  const known = await followedFrom(store, source, { signal })
  const trusted = given ?? known?.trusted ?? []
  if (trusted.length === 0) {
    throw new InvalidInputError(`${source}: nobody is trusted to sign what it has; name a public key`, {
      input: 'trusted',
    })
  }
  const document = await verifyDocument(bytes, trusted, {
    kind: REGISTRY_KIND,
    name: wanted,
    maxBundleBytes: MAX_REGISTRY_BYTES,
  }).catch((error: unknown) => {
    throw ofPlace(source, error)
  })
  const { name, sequence, digest } = document
  assertRegistryName(name)
  if (known && wanted === undefined && name !== known.name) {
    throw new SignatureError(
      `${source} has registry ${name}, and had ${known.name}; to follow it nevertheless, forget that: \`registry rm ${known.name}\``,
      { reason: 'mismatch' },
    )
  }
  const signer = signerOf(document)
  const before = await readKept(store, name, { signal })
  if (before && before.signer !== signer) {
    throw new SignatureError(
      `registry ${name} is signed by ${signer}, and was by ${before.signer}; to follow it nevertheless, forget it first: \`registry rm ${name}\``,
      { reason: 'unknown-key' },
    )
  }
  const change = assertForward(before && { ...before, kind: REGISTRY_KIND }, document)
  const registry = readValue(document.value, source)
  const followed: FollowedRegistry = {
    name,
    source,
    sequence,
    digest,
    signer,
    ...(document.signer.hint !== undefined && { hint: document.signer.hint }),
    trusted: trusted.filter((each) => isKept(each)).map((each) => plain(each)),
    models: registry.models.length,
    acceptedAt: new Date().toISOString(),
  }
  // A place that moved, or other trust, is to be remembered too.
  await keepRegistry(store, followed, registry, { before, signal })
  return { ...followed, change: before ? change : 'new' }
}

/** What is wrong with a document, said of the place that it came from: nobody else knows which one was read. */
function ofPlace(source: string, cause: unknown): unknown {
  if (cause instanceof SignatureError) {
    const { reason, mismatches } = cause
    return new SignatureError(`${source}: ${cause.message}`, { reason, mismatches, cause })
  }
  if (cause instanceof UnsupportedError) return new UnsupportedError(`${source}: ${cause.message}`, { cause })
  // An input that means nothing is a key of the caller's.
  return cause
}

function readValue(value: unknown, source: string): Registry {
  try {
    return registryFromJson(value)
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw new InvalidInputError(`${source}: ${cause.message}`, { input: cause.input, cause })
  }
}

/** Who is trusted for some repositories alone did not count here. */
const isKept = (signer: TrustedSigner): signer is KeptTrust => !('keyless' in signer) && !signer.repos

/** What a block can hold: no `undefined`. */
function plain({ name, ...signer }: KeptTrust): KeptTrust {
  const called = name === undefined ? {} : { name }
  if ('key' in signer) return { key: signer.key, ...called }
  if ('certificate' in signer) return { certificate: signer.certificate, ...called }
  return { fingerprint: signer.fingerprint, ...called }
}

async function followedFrom(
  store: ContentStore,
  source: string,
  options: AbortOptions,
): Promise<FollowedRegistry | undefined> {
  for await (const followed of listRegistries(store, options)) if (followed.source === source) return followed
  return undefined
}

/** A key by its fingerprint; else whose certificate it is, which is renewed from time to time, and who vouched for it. */
function signerOf({ signer }: SignedDocument): string {
  const { method, fingerprint, subject, anchor } = signer
  return method === 'key' ? (fingerprint ?? '') : `${method} ${subject} (${anchor})`
}
