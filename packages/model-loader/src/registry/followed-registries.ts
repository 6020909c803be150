import { CID, decodeDagCbor, encodeDagCbor, IntegrityError } from '@x/cid'
import type { TrustedSigner } from '@x/model-signing'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { registryFromJson, registryToJson } from './registry-encoding.ts'
import type { Registry } from './registry.ts'

/**
 * `.registries/<name>` points to a dag-cbor block with what is known of a registry; its models are JSON, in dag-cbor blocks of bytes to which it
 * links. A link of dag-cbor keeps nothing from garbage collection, so these have names too: `.registry-parts/<name>/<block>`.
 */
const REGISTRIES = '.registries/'
const PARTS = '.registry-parts/'
const PIECE_BYTES = 1024 * 1024
const SCHEMA = 1

/** What can be remembered: a keyless one is code. */
export type KeptTrust = Exclude<TrustedSigner, { keyless: unknown }>

/** The last edition of a registry that was taken. */
export interface FollowedRegistry {
  name: string
  /** Where it came from, as it was written. */
  source: string
  sequence: number
  /** SHA-256 of what was signed, in hexadecimal. */
  digest: string
  /** Who signed it: no other may sign the next. */
  signer: string
  /** Who may sign. */
  trusted: readonly KeptTrust[]
  /** How many names and versions it has. */
  models: number
  /** When it was taken. ISO 8601, UTC. */
  acceptedAt: string
}

interface Kept extends FollowedRegistry {
  /** Of the block, for compare-and-set. */
  cid: CID
  parts: readonly CID[]
}

/**
 * What is followed, sorted by name.
 *
 * @throws {IntegrityError} What was kept of one is damaged, so whether the next edition is newer cannot be told.
 */
export async function* listRegistries(
  store: ContentStore,
  { signal }: AbortOptions = {},
): AsyncGenerator<FollowedRegistry> {
  for await (const { name } of store.names.list({ prefix: REGISTRIES, signal })) {
    const kept = await readKept(store, name.slice(REGISTRIES.length), { signal })
    if (!kept) continue
    const { cid: _cid, parts: _parts, ...followed } = kept
    yield followed
  }
}

/** `undefined`: it is not followed. */
export async function readKept(store: ContentStore, name: string, { signal }: AbortOptions): Promise<Kept | undefined> {
  const record = await store.names.get(`${REGISTRIES}${name}`, { signal })
  if (!record) return undefined
  const { cid, updatedAt } = record
  const value: unknown = decodeDagCbor(await store.blocks.get(cid, { signal }))
  const fields: Record<string, unknown> =
    typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
  const { source, sequence, digest, signer, trusted, models } = fields
  const parts = linksOf(fields.parts)
  if (
    fields.schema !== SCHEMA ||
    fields.name !== name ||
    typeof source !== 'string' ||
    typeof sequence !== 'number' ||
    typeof digest !== 'string' ||
    typeof signer !== 'string' ||
    typeof models !== 'number' ||
    !Array.isArray(trusted) ||
    !parts
  ) {
    throw new IntegrityError(`what was kept of registry ${name} cannot be read; \`registry rm\` forgets it`, { cid })
  }
  const trust = trusted.map((item: unknown) => toTrust(item)).filter((item) => item !== undefined)
  return { cid, name, source, sequence, digest, signer, trusted: trust, models, parts, acceptedAt: updatedAt }
}

function linksOf(value: unknown): CID[] | undefined {
  if (!Array.isArray(value)) return undefined
  const links = value.map((item: unknown) => CID.asCID(item)).filter((cid) => cid !== null)
  return links.length === value.length ? links : undefined
}

function toTrust(value: unknown): KeptTrust | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { key, certificate, fingerprint, name }: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const called = typeof name === 'string' ? { name } : {}
  if (typeof key === 'string') return { key, ...called }
  if (typeof certificate === 'string') return { certificate, ...called }
  return typeof fingerprint === 'string' ? { fingerprint, ...called } : undefined
}

/** What a followed registry says, read again from the store's own verified blocks. */
export async function readRegistry(
  store: ContentStore,
  name: string,
  { signal }: AbortOptions = {},
): Promise<Registry> {
  const kept = await readKept(store, name, { signal })
  if (!kept) throw new NotFoundError(name, { message: `no registry ${name} is followed` })
  const pieces: Uint8Array<ArrayBuffer>[] = []
  for (const cid of kept.parts) {
    const piece: unknown = decodeDagCbor(await store.blocks.get(cid, { signal }))
    if (!(piece instanceof Uint8Array)) throw new IntegrityError(`registry ${name}: ${cid} is no part of one`, { cid })
    pieces.push(Uint8Array.from(piece))
  }
  const value: unknown = JSON.parse(await new Blob(pieces).text())
  return registryFromJson(value)
}

/**
 * Puts an edition in the place of the one before.
 *
 * @param before - That one; `undefined`: there was none.
 * @throws {ConflictError} Somebody else followed the same registry at the same time.
 */
export async function keepRegistry(
  store: ContentStore,
  { acceptedAt: _acceptedAt, ...followed }: FollowedRegistry,
  registry: Registry,
  { before, signal }: AbortOptions & { before: Pick<Kept, 'cid' | 'parts'> | undefined },
): Promise<void> {
  const text = new TextEncoder().encode(JSON.stringify(registryToJson(registry)))
  const parts: CID[] = []
  for (let at = 0; at < text.length; at += PIECE_BYTES) {
    // Not raw: a raw block with a name is a file, and a root.
    const { cid, bytes } = await encodeDagCbor(text.slice(at, at + PIECE_BYTES))
    await store.blocks.put(cid, bytes, { verified: true, signal })
    await store.names.set(partName(followed.name, cid), cid, { signal })
    parts.push(cid)
  }
  const { cid, bytes } = await encodeDagCbor({ schema: SCHEMA, ...followed, parts })
  await store.blocks.put(cid, bytes, { verified: true, signal })
  const metadata = { kind: 'registry' }
  await store.names.set(`${REGISTRIES}${followed.name}`, cid, {
    metadata,
    expected: before?.cid ?? null,
    signal,
  })
  // Last: until then it is the edition that counts.
  for (const part of before?.parts ?? []) {
    if (!parts.some((other) => other.equals(part))) await store.names.delete(partName(followed.name, part), { signal })
  }
}

const partName = (registry: string, part: CID): string => `${PARTS}${registry}/${part}`

/**
 * Forgets a registry, and with it which edition was the last: the next one is taken as the first. Models stay.
 *
 * @throws {NotFoundError} It is not followed.
 */
export async function forgetRegistry(store: ContentStore, name: string, { signal }: AbortOptions = {}): Promise<void> {
  if (name === '' || !(await store.names.get(`${REGISTRIES}${name}`, { signal }))) {
    throw new NotFoundError(name, { message: `no registry ${JSON.stringify(name)} is followed` })
  }
  await store.names.delete(`${REGISTRIES}${name}`, { signal })
  for await (const part of store.names.list({ prefix: `${PARTS}${name}/`, signal })) {
    await store.names.delete(part.name, { signal })
  }
}
