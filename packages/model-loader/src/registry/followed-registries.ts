import { CID, decodeDagCbor, encodeDagCbor, IntegrityError } from '@x/cid'
import type { TrustedSigner } from '@x/model-signing'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { compareText } from '../compare.ts'
import { registryFromJson, registryToJson } from './registry-encoding.ts'
import type { Registry, RegistryModel } from './registry.ts'

/**
 * `.registries/<name>` points to a dag-cbor block with what is known of a registry; its models lie in blocks to which it
 * links, each JSON for a run of them, as bytes in dag-cbor. A link of dag-cbor keeps nothing from garbage collection, so these have names too: `.registry-parts/<name>/<block>`.
 */
const REGISTRIES = '.registries/'
const PARTS = '.registry-parts/'
/** So much JSON, in characters, or one model. */
const PART_LENGTH = 256 * 1024
const SCHEMA = 1

/** What can be remembered: a keyless one is code. */
export type KeptTrust = Exclude<TrustedSigner, { keyless: unknown }>

/** The last edition of a registry that was taken. */
export interface FollowedRegistry {
  name: string
  /** Where it came from: an address as it was written, or the path of a file. */
  source: string
  sequence: number
  /** SHA-256 of what was signed, in hexadecimal. */
  digest: string
  /** Who signed it: no other may sign the next. */
  signer: string
  /** Of a bare key: what bundles name it by, the SHA-256 of its PEM text in hexadecimal. */
  hint?: string | undefined
  /** Who may sign. */
  trusted: readonly KeptTrust[]
  /** How many names and versions it has. */
  models: number
  /** When it was taken. ISO 8601, UTC. */
  acceptedAt: string
}

interface Part {
  /** The name of its first model. */
  first: string
  block: CID
}

interface Kept extends FollowedRegistry {
  /** Of the block, for compare-and-set. */
  cid: CID
  parts: readonly Part[]
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
  const { source, sequence, digest, signer, hint, trusted, models } = fields
  const parts = toParts(fields.parts)
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
  const key = typeof hint === 'string' ? { hint } : {}
  return { cid, name, source, sequence, digest, signer, ...key, trusted: trust, models, parts, acceptedAt: updatedAt }
}

function toParts(value: unknown): Part[] | undefined {
  if (!Array.isArray(value)) return undefined
  const parts: Part[] = []
  for (const item of value) {
    if (!Array.isArray(item)) return undefined
    const [first, link]: unknown[] = item
    const block = CID.asCID(link)
    if (typeof first !== 'string' || block === null) return undefined
    parts.push({ first, block })
  }
  return parts
}

function toTrust(value: unknown): KeptTrust | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { key, certificate, fingerprint, name }: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const called = typeof name === 'string' ? { name } : {}
  if (typeof key === 'string') return { key, ...called }
  if (typeof certificate === 'string') return { certificate, ...called }
  return typeof fingerprint === 'string' ? { fingerprint, ...called } : undefined
}

/**
 * What a followed registry says, read again from the store's own verified blocks.
 *
 * @param options.name - Only of this model. Default: all.
 * @throws {NotFoundError} It is not followed.
 */
export async function readRegistry(
  store: ContentStore,
  registry: string,
  { name, signal }: AbortOptions & { name?: string | undefined } = {},
): Promise<Registry> {
  const kept = await readKept(store, registry, { signal })
  if (!kept) throw new NotFoundError(registry, { message: `no registry ${registry} is followed` })
  const models: RegistryModel[] = []
  for (const [index, { first, block }] of kept.parts.entries()) {
    const next = kept.parts[index + 1]?.first
    if (name !== undefined && !mayHave({ first, next }, name)) continue
    const bytes: unknown = decodeDagCbor(await store.blocks.get(block, { signal }))
    if (!(bytes instanceof Uint8Array)) {
      throw new IntegrityError(`registry ${registry}: ${block} is no part of one`, { cid: block })
    }
    const part = registryFromJson(JSON.parse(new TextDecoder().decode(bytes)))
    for (const model of part.models) if (name === undefined || model.name === name) models.push(model)
  }
  return { models }
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
  const parts: Part[] = []
  for (const { first, bytes } of partsOf(registry)) {
    // Not raw: a raw block with a name is a file, and a root.
    const block = await encodeDagCbor(bytes)
    await store.blocks.put(block.cid, block.bytes, { verified: true, signal })
    await store.names.set(partName(followed.name, block.cid), block.cid, { signal })
    parts.push({ first, block: block.cid })
  }
  const { cid, bytes } = await encodeDagCbor({
    schema: SCHEMA,
    ...followed,
    parts: parts.map(({ first, block }) => [first, block]),
  })
  await store.blocks.put(cid, bytes, { verified: true, signal })
  const metadata = { kind: 'registry' }
  await store.names.set(`${REGISTRIES}${followed.name}`, cid, {
    metadata,
    expected: before?.cid ?? null,
    signal,
  })
  // Last: until then it is the edition that counts.
  const now = new Set(parts.map(({ block }) => block.toString()))
  for (const { block } of before?.parts ?? []) {
    if (!now.has(block.toString())) await store.names.delete(partName(followed.name, block), { signal })
  }
}

/** Versions of a name may go on in the next part. */
const mayHave = ({ first, next }: { first: string; next: string | undefined }, name: string): boolean =>
  compareText(first, name) <= 0 && (next === undefined || compareText(next, name) >= 0)

/** Runs of models, in their order. */
function* partsOf({ models }: Registry): Generator<{ first: string; bytes: Uint8Array }> {
  const { schema, models: rows } = registryToJson({ models })
  let [run, first]: [string[], string] = [[], '']
  let length = 0
  const part = (): { first: string; bytes: Uint8Array } => ({
    first,
    bytes: new TextEncoder().encode(`{"schema":${schema},"models":[${run.join(',')}]}`),
  })
  for (const [index, row] of rows.entries()) {
    const text = JSON.stringify(row)
    if (run.length > 0 && length + text.length > PART_LENGTH) {
      yield part()
      run = []
      length = 0
    }
    if (run.length === 0) first = models[index]?.name ?? ''
    run.push(text)
    length += text.length
  }
  if (run.length > 0) yield part()
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
