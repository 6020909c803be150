import type { FsStore } from '@x/backend-fs'
import type { CID } from '@x/cid'
import { snapshotSource, type CachedSnapshot, type HubCache } from '@x/hub-cache'
import {
  addWhole,
  createManifest,
  describeFiles,
  findHubRevision,
  giveName,
  keepHubRevision,
  keepManifest,
  knownAbsent,
  listModelFiles,
  pathsBeside,
  type Naming,
} from '@x/model-loader'
import type { AbortOptions, AddProgress } from '@x/storage-core'

import { createSha256 } from '../create-hash.ts'

export interface ImportHubCacheOptions extends AbortOptions, Naming {
  /** Keep it from `gc`. Default true. */
  pin?: boolean | undefined
  onProgress?: ((event: AddProgress) => void) | undefined
}

export interface ImportedModel {
  cid: CID
  manifest: CID
  repo: string
  /** 40 hexadecimal digits. */
  commit: string
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
  /** The commit that the store knows the revision to be since a later time than the cache; it stays that. */
  newer?: string | undefined
  /** Whether it is known what the repository has besides; else a file that is not there may be in it all the same. */
  isWhole: boolean
  /** What is in the snapshot and was not taken, with why: a download that has not ended, a link to nothing. */
  problems: CachedSnapshot['problems']
}

/**
 * Takes a model of a Hugging Face cache into a store where it lies: nothing is copied, and the cache stays what it was. Each file is compared
 * with what the cache says of it, and read once more for the manifest. Where the cache goes, so does the model.
 *
 * The manifest has an origin when the cache knows the whole listing of the commit (as of huggingface_hub 2); else what the
 * repository has besides is not known, and it is a model of its own that this commit is remembered to be, unless the store
 * has the commit with files that the cache lacks.
 *
 * @param revision - Default `main`.
 * @throws {NotFoundError} The cache has no such model or revision.
 * @throws {IntegrityError} A file is another than the cache says; nothing is stored.
 * @throws {InvalidInputError} Its files cannot lie in one directory on every disk; nothing is stored.
 */
export async function importFromHubCache(
  store: FsStore,
  cache: HubCache,
  { repo, revision }: { repo: string; revision?: string | undefined },
  { pin, name, version, signal, onProgress }: ImportHubCacheOptions = {},
): Promise<ImportedModel> {
  const snapshot = await cache.snapshot(repo, revision, { signal })
  const { commit, omitted, problems } = snapshot
  const metadata = { kind: 'model' }
  const add = () => store.add(snapshotSource(snapshot), { mode: 'reference', metadata, pin: false, signal, onProgress })
  return addWhole(
    store,
    add,
    async ({ cid: root, size }) => {
      const files = await listModelFiles(store, root, { signal })
      const read = (path: string): AsyncIterable<Uint8Array> => store.cat(root, { path, verify: 'stored', signal })
      const { tables, files: described, ...facts } = await describeFiles(files, read, { createSha256 })
      const listed = omitted && pathsBeside(files, omitted)
      const gitOids = new Map(snapshot.files.map(({ path, gitOid }) => [path, gitOid]))
      const manifest = createManifest({
        root,
        ...facts,
        files: Array.from(described, (file) => ({ ...file, gitOid: omitted && gitOids.get(file.path) })),
        ...(listed && {
          origin: { repo, revision: commit },
          omitted: listed.map((file) => ({
            path: file.path,
            size: file.size,
            sha256: file.sha256,
            gitOid: file.gitOid,
          })),
          absent: knownAbsent([...files, ...omitted]),
        }),
      })
      const cid = await keepManifest(store, manifest, { tables, signal })
      // First, for it may be refused: what a revision is remembered to be has to stay.
      await giveName(store, root, { name, version, signal })
      const newer = await newerCommit(store, snapshot, revision, { signal })
      if (!(await isHeldWithMore(store, { repo, commit }, snapshot, { signal }))) {
        const remembered = newer === undefined ? revision : commit
        const isUnlisted = omitted && listed && listed.length < omitted.length
        const made = { manifest: cid, root, commit, isUnlisted }
        await keepHubRevision(store, { repo, revision: remembered }, made, { signal })
      }
      const isWhole = omitted !== undefined
      const found = { cid: root, manifest: cid, repo, commit, files: files.length, size, isWhole, problems }
      return newer === undefined ? found : { ...found, newer }
    },
    { pin, signal },
  )
}

/**
 * The commit that a store knows a revision to be since a later time than the cache does; `undefined`: the cache is as good. A
 * client of the hub notes a branch when it moves, so a store that asked after that, and heard of another commit, is later.
 */
async function newerCommit(
  store: FsStore,
  { repo, commit, notedAt }: Pick<CachedSnapshot, 'repo' | 'commit' | 'notedAt'>,
  revision: string | undefined,
  options: AbortOptions,
): Promise<string | undefined> {
  const known = await findHubRevision(store, { repo, revision }, options)
  if (!known || notedAt === undefined || known.commit === commit || known.resolvedAt <= notedAt) return undefined
  // What is not here any more has nothing to be kept for.
  return (await store.has(known.root, options)) ? known.commit : undefined
}

/** Whether the store has this commit with files that the cache lacks: then it stays what the commit is remembered to be. */
async function isHeldWithMore(
  store: FsStore,
  { repo, commit }: { repo: string; commit: string },
  snapshot: CachedSnapshot,
  options: AbortOptions,
): Promise<boolean> {
  const known = await findHubRevision(store, { repo, revision: commit }, options)
  if (!known || !(await store.has(known.root, options))) return false
  const cached = new Set(snapshot.files.map(({ path }) => path))
  return (await listModelFiles(store, known.root, options)).some(({ path }) => !cached.has(path))
}
