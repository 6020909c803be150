import { sha256 } from '@noble/hashes/sha2.js'
import { parseCid, type CID } from '@x/cid'
import type { AbortOptions, ContentStore, NameRecord } from '@x/storage-core'

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

function nameOf(from: string): string {
  const digest = sha256(new TextEncoder().encode(from))
  return `${REMOTE_NAMES}${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/** Takes the place of what was remembered of this reference, of another server too. */
export async function keepRemoteOrigin(
  store: ContentStore,
  { from, endpoint, manifest, root, etags }: Omit<RemoteOrigin, 'listedAt'>,
  options: AbortOptions = {},
): Promise<void> {
  const metadata = { kind: 'remote-model', from, endpoint, root: root.toString(), etags: [...etags] }
  await store.names.set(nameOf(from), manifest, { metadata, ...options })
}

/** What is remembered; `undefined`: it was never pulled. Whether the model is still held is not looked at. */
export async function findRemoteOrigin(
  store: ContentStore,
  from: string,
  options: AbortOptions = {},
): Promise<RemoteOrigin | undefined> {
  const record = await store.names.get(nameOf(from), options)
  return record && toOrigin(record)
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
