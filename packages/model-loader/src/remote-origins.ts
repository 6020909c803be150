import { cidOf, parseCid, RAW, type CID } from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentStore, type NameRecord } from '@x/storage-core'

/**
 * `.remote/<SHA-256 of the reference>` points to the manifest that a directory elsewhere, such as a prefix of a bucket, had when
 * it was pulled last. A bucket's keys may be longer than a name. The model itself is kept by its own pin or name.
 */
const REMOTE_NAMES = '.remote/'

/** What came from where: the word of who pulled it, which is not part of the manifest. */
export interface RemoteOrigin {
  /** `s3://bucket/prefix`. */
  from: string
  /** Of the server. */
  endpoint: string
  manifest: CID
  /** The model: the UnixFS root of its directory. */
  root: CID
  /** Of the files of the model, by path. */
  etags: ReadonlyMap<string, string>
  /** When the place was asked last. ISO 8601, UTC. */
  listedAt: string
}

async function nameOf(from: string): Promise<string> {
  const { digest } = (await cidOf(RAW, new TextEncoder().encode(from))).multihash
  return `${REMOTE_NAMES}${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/** Takes the place of what was remembered of this reference, of another server too. */
export async function keepRemoteOrigin(
  store: ContentStore,
  { from, endpoint, manifest, root, etags }: Omit<RemoteOrigin, 'listedAt'>,
  options: AbortOptions = {},
): Promise<void> {
  const metadata = { kind: 'remote-model', from, endpoint, root: root.toString(), etags: [...etags] }
  await store.names.set(await nameOf(from), manifest, { metadata, ...options })
}

/** What is remembered; `undefined`: it was never pulled. Whether the model is still held is not looked at. */
export async function findRemoteOrigin(
  store: ContentStore,
  from: string,
  options: AbortOptions = {},
): Promise<RemoteOrigin | undefined> {
  const record = await store.names.get(await nameOf(from), options)
  return record && toOrigin(record)
}

/**
 * What was pulled from a place before, without asking it.
 *
 * @throws {NotFoundError} Nothing was, or it is not held any more.
 */
export async function findRemoteModel(store: ContentStore, from: string, options: AbortOptions = {}): Promise<CID> {
  const known = await findRemoteOrigin(store, from, options)
  if (known && (await store.has(known.root, options))) return known.root
  throw new NotFoundError(from, { message: `${from} was not pulled before, or is not held any more; pull it` })
}

/** Forgets those whose model is not here any more, after a collection: their names would keep manifests for ever. */
export async function forgetLostOrigins(store: ContentStore, options: AbortOptions = {}): Promise<void> {
  for await (const record of store.names.list({ prefix: REMOTE_NAMES, ...options })) {
    const found = toOrigin(record)
    if (found && !(await store.blocks.has(found.root, options))) await store.names.delete(record.name, options)
  }
}

function toOrigin({ cid, metadata, updatedAt }: NameRecord): RemoteOrigin | undefined {
  const { from, endpoint, root, etags } = metadata
  if (typeof from !== 'string' || typeof endpoint !== 'string' || typeof root !== 'string') return undefined
  if (!Array.isArray(etags)) return undefined
  const known = new Map<string, string>()
  for (const pair of etags) {
    if (!Array.isArray(pair)) return undefined
    const [path, etag] = pair
    if (typeof path === 'string' && typeof etag === 'string') known.set(path, etag)
  }
  return { from, endpoint, manifest: cid, root: parseCid(root), etags: known, listedAt: updatedAt }
}
