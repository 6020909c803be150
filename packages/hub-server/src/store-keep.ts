import { sha1 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { CID } from '@x/cid'
import {
  BackendError,
  IntegrityError,
  isStorageError,
  type AbortOptions,
  type ContentStore,
  type JsonValue,
} from '@x/storage-core'

import { fromHex, toHex } from './git-object.ts'
import type { HubFile } from './hub-repositories.ts'
import type { FileOrigin, HubKeep, HubListing, KeptFile } from './hub-upstream.ts'

/** A SHA-256 that takes its bytes piece by piece. What `node:crypto`'s `createHash('sha256')` gives is one. */
export interface StreamHash {
  update(bytes: Uint8Array): unknown
  /** Called once. */
  digest(): Uint8Array
}

export interface StoreKeepOptions {
  /** What names in the store begin with. Default `hub`. */
  prefix?: string | undefined
  /** Default: one that runs anywhere, and is several times slower than a platform's own. */
  createSha256?: (() => StreamHash) | undefined
}

// Git's own codec and hash, for what an error is about.
const RAW_SHA256 = [0x01, 0x55, 0x12, 0x20]
const GIT_SHA1 = [0x01, 0x78, 0x11, 0x14]

/**
 * Keeps what a pull-through fetches in a content store: each file once, under a name made of its digest, and pinned; revisions and
 * listings as small named files. What a name does not point to any more is the store's to collect.
 */
export function createStoreKeep(store: ContentStore, options: StoreKeepOptions = {}): HubKeep {
  const { prefix = 'hub', createSha256 = () => sha256.create() } = options
  const revisionName = (repo: string, revision: string): string =>
    // A revision may be longer than a name, and have what a name may not.
    `${prefix}/revisions/${repo}/${toHex(sha256(new TextEncoder().encode(revision))).slice(0, 32)}`
  const listingName = (repo: string, commit: string): string => `${prefix}/listings/${repo}/${commit}`
  const fileName = ({ lfs, sha256: digest, gitOid }: HubFile): string =>
    lfs && digest ? `${prefix}/files/sha256/${toHex(digest)}` : `${prefix}/files/git/${gitOid}`

  /** What cannot be read is as good as not kept: it is asked for again. That it cannot be told is an error. */
  async function readRecord(name: string, { signal }: AbortOptions): Promise<Fields | undefined> {
    try {
      const record = await store.names.get(name, { signal })
      if (!record) return undefined
      const pieces: Uint8Array<ArrayBuffer>[] = []
      for await (const piece of store.cat(record.cid, { signal })) pieces.push(new Uint8Array(piece))
      const value: unknown = JSON.parse(await new Blob(pieces).text())
      return isFields(value) ? value : undefined
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof SyntaxError || isLost(error)) return undefined
      throw error
    }
  }
  async function writeRecord(name: string, value: JsonValue, { signal }: AbortOptions): Promise<void> {
    await store.add(new TextEncoder().encode(JSON.stringify(value)), { name, pin: false, signal })
  }
  const toKept = (root: CID): KeptFile => ({
    read: ({ offset, length, signal }) => store.cat(root, { offset, length, signal }),
  })

  return {
    async revision(repo, revision, given) {
      const record = await readRecord(revisionName(repo, revision), given)
      const { commit, checkedAt } = record ?? {}
      const at = toDate(checkedAt)
      if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit) || !at) return undefined
      return { commit, checkedAt: at }
    },
    async setRevision(repo, revision, { commit, checkedAt }, given) {
      const record = { repo, revision, commit, checkedAt: checkedAt.toISOString() }
      await writeRecord(revisionName(repo, revision), record, given)
    },
    async listing(repo, commit, given) {
      const record = await readRecord(listingName(repo, commit), given)
      return record && toListing(record)
    },
    async setListing(repo, commit, listing, given) {
      await writeRecord(listingName(repo, commit), fromListing(listing), given)
    },
    async open(file, { signal }) {
      const record = await store.names.get(fileName(file), { signal })
      if (!record || !(await store.has(record.cid, { signal }))) return undefined
      return toKept(record.cid)
    },
    async add(file, origin, { signal }) {
      const source = {
        type: 'file' as const,
        size: file.size,
        open: (given: AbortOptions) => checked(file, origin, createSha256, given),
      }
      const { cid } = await store.add(source, { name: fileName(file), pin: true, signal })
      return toKept(cid)
    },
    async *list({ signal }) {
      const start = `${prefix}/listings/`
      let last: string | undefined
      let lastBare: string | undefined
      for await (const { name } of store.names.list({ prefix: start, signal })) {
        const repo = name.slice(start.length, name.lastIndexOf('/'))
        // Names are sorted, so that the commits of a repository follow each other. Only between those of one without a namespace may be
        // others: `gpt2/b` between `gpt2/0…` and `gpt2/c…`.
        if (repo !== last && repo !== lastBare) yield repo
        last = repo
        if (!repo.includes('/')) lastBare = repo
      }
    },
  }
}

/**
 * The bytes of a file, asked for again from where they broke off. When they are not those of the listing it rejects at the end, so that
 * a store which takes all or nothing takes nothing.
 *
 * @throws {IntegrityError}
 */
async function* checked(
  file: HubFile,
  origin: FileOrigin,
  createSha256: () => StreamHash,
  { signal }: AbortOptions,
): AsyncGenerator<Uint8Array> {
  const { path, size, lfs, sha256: digest, gitOid } = file
  const isLfs = lfs && digest !== undefined
  const hash: StreamHash = isLfs ? createSha256() : sha1.create()
  if (!isLfs) hash.update(new TextEncoder().encode(`blob ${size}\0`))
  const cid = isLfs ? toCid(RAW_SHA256, digest) : toCid(GIT_SHA1, fromHex(gitOid))
  const name = `${origin.repo}/${path} at ${origin.commit}`
  let at = 0
  while (at < size) {
    const before = at
    try {
      for await (const piece of origin.read({ offset: at, length: size - at, signal })) {
        if (piece.length > size - at) throw new IntegrityError(`${name}: more than ${size} bytes`, { cid, file: path })
        hash.update(piece)
        at += piece.length
        yield piece
      }
      if (at === before) throw new BackendError(`${name}: it ends after ${at} of ${size} bytes`, { retryable: true })
    } catch (error) {
      signal?.throwIfAborted()
      // Something came, so that the rest may come as well.
      if (at === before || !isRetryable(error)) throw error
    }
  }
  const actual = hash.digest()
  const expected = isLfs ? digest : fromHex(gitOid)
  if (toHex(actual) === toHex(expected)) return
  throw new IntegrityError(`${name}: ${size} bytes, and not those of the listing`, {
    cid,
    actual: toCid(isLfs ? RAW_SHA256 : GIT_SHA1, actual),
    file: path,
  })
}

const toCid = (prefix: readonly number[], digest: Uint8Array): CID => CID.decode(Uint8Array.of(...prefix, ...digest))

const isLost = (error: unknown): boolean =>
  isStorageError(error) && (error.code === 'NOT_FOUND' || error.code === 'INTEGRITY')

const isRetryable = (error: unknown): boolean =>
  isStorageError(error) && error.code === 'BACKEND' && 'retryable' in error && error.retryable === true

type Fields = Partial<Record<string, unknown>>

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null

function fromListing({ files, lastModified, task, library }: HubListing): JsonValue {
  return {
    ...(lastModified && { lastModified: lastModified.toISOString() }),
    ...(task !== undefined && { task }),
    ...(library !== undefined && { library }),
    files: files.map(({ path, size, lfs, sha256: digest, gitOid }) => ({
      path,
      size,
      lfs,
      gitOid,
      ...(digest && { sha256: toHex(digest) }),
    })),
  }
}

function toDate(value: unknown): Date | undefined {
  const date = new Date(typeof value === 'string' ? value : Number.NaN)
  return Number.isNaN(date.getTime()) ? undefined : date
}

function toListing({ files, lastModified, task, library }: Fields): HubListing | undefined {
  const date = toDate(lastModified)
  if (!Array.isArray(files) || (lastModified !== undefined && !date)) return undefined
  const read = files.map((file: unknown) => (isFields(file) ? toFile(file) : undefined))
  const known = read.filter((file) => file !== undefined)
  if (known.length !== read.length) return undefined
  return {
    files: known,
    lastModified: date,
    task: typeof task === 'string' ? task : undefined,
    library: typeof library === 'string' ? library : undefined,
  }
}

function toFile({ path, size, lfs, sha256: digest, gitOid }: Fields): HubFile | undefined {
  if (typeof path !== 'string' || typeof size !== 'number' || typeof lfs !== 'boolean' || typeof gitOid !== 'string') {
    return undefined
  }
  return { path, size, lfs, gitOid, sha256: typeof digest === 'string' ? fromHex(digest) : undefined }
}
