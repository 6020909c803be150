import { encodeDagCbor, InvalidInputError } from '@x/cid'
import { signDocument, type Signer } from '@x/model-signing'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { buildRegistry, type BuildRegistryOptions } from './build-registry.ts'
import { registryFromJson, registryToJson } from './registry-encoding.ts'
import { assertRegistryName } from './registry-name.ts'
import { MAX_REGISTRY_BYTES, REGISTRY_KIND } from './registry.ts'

/** `.published/<registry>` remembers the last edition that this store signed. */
const PUBLISHED = '.published/'

export interface SignRegistryOptions extends BuildRegistryOptions {
  /** What it is called by those who follow it, such as `models.example.org`. */
  name: string
  /** Default: milliseconds since 1970, or one more than the last edition of this store, whichever is larger. */
  sequence?: number | undefined
  /** An edition without a model, from which followers know no name any more. Default `refuse`. */
  empty?: 'refuse' | 'allow' | undefined
}

export interface SignedRegistry {
  /** What is published: a signed document, JSON. */
  bytes: Uint8Array
  name: string
  sequence: number
  /** How many names and versions it has. */
  models: number
  /** As of `buildRegistry`. */
  omitted: readonly string[]
}

/**
 * Writes down what the names of a store mean, and signs it. Every edition has a larger number than the one before, also where
 * two machines sign in turn and their clocks agree.
 *
 * @throws {InvalidInputError} No name for a registry; a sequence that this store has used up; no model; more than 16 MiB.
 */
export async function signRegistry(
  store: ContentStore,
  signer: Signer,
  { name, sequence: wanted, prefix, empty = 'refuse', signal }: SignRegistryOptions,
): Promise<SignedRegistry> {
  assertRegistryName(name)
  const last = await store.names.get(`${PUBLISHED}${name}`, { signal })
  const used = last?.metadata.sequence
  const least = typeof used === 'number' ? used + 1 : 0
  const sequence = wanted ?? Math.max(Date.now(), least)
  if (sequence < least) {
    throw new InvalidInputError(`registry ${name}: number ${sequence} is not above ${least - 1}, which was published`, {
      input: 'sequence',
    })
  }
  const { models, omitted } = await buildRegistry(store, { prefix, signal })
  if (models.length === 0 && empty === 'refuse') throw nothingIn(name, prefix)
  const value = registryToJson({ models })
  // What no follower would take is not published.
  registryFromJson(value)
  const bytes = await signDocument(value, signer, { kind: REGISTRY_KIND, name, sequence })
  if (bytes.length > MAX_REGISTRY_BYTES) {
    throw new InvalidInputError(`registry ${name} is ${bytes.length} bytes long; ${MAX_REGISTRY_BYTES} are read`, {
      input: 'models',
    })
  }
  await rememberEdition(store, name, sequence, last?.cid, { signal })
  return { bytes, name, sequence, models: models.length, omitted }
}

function nothingIn(name: string, prefix = ''): InvalidInputError {
  const which = prefix === '' ? 'has a name' : `has a name that begins with ${JSON.stringify(prefix)}`
  return new InvalidInputError(`registry ${name}: no model ${which}; who follows it would lose every name`, {
    input: prefix,
  })
}

/** Before it is handed out, so that no second one gets its number. @throws {ConflictError} Another one was signed meanwhile. */
async function rememberEdition(
  store: ContentStore,
  name: string,
  sequence: number,
  expected: Awaited<ReturnType<typeof encodeDagCbor>>['cid'] | undefined,
  { signal }: AbortOptions,
): Promise<void> {
  const { cid, bytes } = await encodeDagCbor({ schema: 1, name, sequence })
  await store.blocks.put(cid, bytes, { verified: true, signal })
  const metadata = { kind: 'published-registry', sequence }
  await store.names.set(`${PUBLISHED}${name}`, cid, { metadata, expected: expected ?? null, signal })
}
