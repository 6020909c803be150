import { InvalidInputError, isStorageError, SHA2_256, type CID } from '@x/cid'
import {
  createFailoverSource,
  pull,
  type ContentSource,
  type ContentStore,
  type Failover,
  type PartialStore,
} from '@x/storage-core'
import {
  anyLocalPieces,
  contentByteSource,
  download,
  heldLeaves,
  type ByteSource,
  type DownloadReceipt,
  type KnownPiece,
} from '@x/transfer'

import { addWhole } from '../add-whole.ts'
import { adoptManifest } from '../adopt-manifest.ts'
import { describeFiles } from '../describe-files.ts'
import { assertNaming, giveName } from '../give-name.ts'
import { decodeManifest } from '../manifest-encoding.ts'
import { assertFits, keepManifest } from '../manifest-record.ts'
import type { ModelManifest } from '../manifest.ts'
import { listModelFiles, type ListedFile } from '../model-files.ts'
import { listSidecars } from '../sidecars.ts'
import { directoryOfHeld } from './directory-of-held.ts'
import { firstToAnswer } from './first-to-answer.ts'
import { heldFirst } from './held-first.ts'
import { localTensors, tensorsOf } from './local-tensors.ts'
import type { PullModelOptions } from './pull-options.ts'

/** Where a model may be. */
export interface LabelledSource {
  /** For receipts, one of each. */
  label: string
  source: ContentSource | ContentStore
}

export interface PullModelByCidOptions extends PullModelOptions {
  /** All are asked, none is trusted. At least one. */
  sources: readonly LabelledSource[]
  /** Others that may have its files, such as a plain web server. Default: none. */
  byteSources?: readonly ByteSource[] | undefined
  /**
   * The model's manifest. It has to be there, and to be true, also of a model that is held. With the tensors that it knows, what
   * another model here shares with this one is not fetched. Default: `namedManifest`, else what a source has beside the model.
   */
  manifest?: CID | undefined
  /** A manifest that somebody else names, such as a registry. It is taken where it is there and true, and saves bytes. */
  namedManifest?: CID | undefined
  /** Directories come from the source that has the root first, then from the others in turn; hears when one failed, by its label. */
  onFailover?: ((failover: Failover) => void) | undefined
}

export interface PulledModel {
  cid: CID
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
  receipt?: DownloadReceipt | undefined
}

/**
 * Brings a model into a store by its CID, from several sources at once, each leaf checked before it is recorded. The answer is
 * that content, or nothing: what was downloaded when it was stopped is there the next time.
 *
 * @throws {NotFoundError} No source has all of it.
 * @throws {IntegrityError} A manifest or directory is another than it was asked for.
 * @throws {InvalidInputError} The manifest that was asked for is not of these files; nothing is kept then.
 * @throws As `download`.
 */
export async function pullModelByCid(
  store: ContentStore,
  partials: PartialStore,
  root: CID,
  options: PullModelByCidOptions,
): Promise<PulledModel> {
  const { byteSources = [], signal, onFailover, pin } = options
  signal?.throwIfAborted()
  assertNaming(options)
  let receipt: DownloadReceipt | undefined
  if (!(await store.has(root, { signal }))) {
    if (options.sources.length === 0) {
      throw new InvalidInputError(`no source was named for ${root}`, { input: root.toString() })
    }
    const sources = await firstToAnswer(options.sources, root, { signal, onFailover })
    const directories = createFailoverSource(
      sources.map(({ label, source }) => ({ ...source, name: label })),
      { ...(onFailover && { onFailover }) },
    )
    const files = await listModelFiles(heldFirst(store.blocks, directories), root, { signal })
    const beside = await fetchManifest(root, files, { ...options, sources })
    const pieces = beside ? await piecesByPath(beside) : new Map<string, KnownPiece[]>()
    const blocks = (): Promise<unknown> => pull(store, directories, root, { pin: false, signal })
    const add = async (): Promise<{ cid: CID }> => {
      if (!files.every(({ root: file }) => file.multihash.code === SHA2_256)) {
        await blocks()
        return { cid: root }
      }
      try {
        const result = await download(
          partials,
          shortestFirst(files).map((file) => ({ ...file, pieces: pieces.get(file.path) })),
          [...options.sources.map(({ label, source }) => contentByteSource(source, { name: label })), ...byteSources],
          transferOptions(store, options),
        )
        receipt = result.receipt
        await store.add(directoryOfHeld(files), { expected: root, metadata: { kind: 'model' }, pin: false, signal })
      } catch (error) {
        if (!isOtherShape(error, root)) throw error
        // A directory that another program made in its own way: its blocks are fetched as they are; the files are here.
        await blocks()
      }
      return { cid: root }
    }
    await addWhole(store, add, async () => beside && keepFetched(store, root, beside, options), { pin, signal })
    await partials.release()
  } else {
    if (options.manifest) await keepWanted(store, root, options)
    if (pin !== false) await store.pin(root, { signal })
  }
  await giveName(store, root, options)
  const files = await listModelFiles(store, root, { signal })
  return {
    cid: root,
    files: files.length,
    size: files.reduce((sum, { size }) => sum + size, 0),
    ...(receipt && { receipt }),
  }
}

/** What came to know what a file is, as one of a single leaf does, is recorded before a long one is waited for. */
const shortestFirst = (files: readonly ListedFile[]): ListedFile[] => files.toSorted((a, b) => a.size - b.size)

/** Not wrong, but not as a profile makes it. */
const isOtherShape = (error: unknown, root: CID): boolean =>
  isStorageError(error) &&
  (error.code === 'UNSUPPORTED' || (error.code === 'INTEGRITY' && 'cid' in error && root.equals(error.cid)))

function transferOptions(store: ContentStore, options: PullModelByCidOptions) {
  const { signal, maxBytesPerSecond, stallTimeoutMs, createHasher, onProgress, onEvent } = options
  const local = anyLocalPieces([heldLeaves(store.blocks), localTensors(store, { signal })])
  return { signal, local, maxBytesPerSecond, stallTimeoutMs, createHasher, onProgress, onEvent }
}

interface FetchedManifest {
  manifest: ModelManifest
  /** A block of it, from where it was. */
  getBlock: (cid: CID) => Promise<Uint8Array>
}

/** From the first source that has one which fits; `undefined`: none has, and none was asked for by its CID. */
async function fetchManifest(
  root: CID,
  files: readonly ListedFile[],
  { sources, manifest: wanted, namedManifest: named, signal }: PullModelByCidOptions,
): Promise<FetchedManifest | undefined> {
  let failure: unknown
  for (const { source } of sources) {
    const getBlock = (cid: CID): Promise<Uint8Array> => source.blocks.get(cid, { signal })
    const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await work()
      } catch (error) {
        if (!isStorageError(error)) throw error
        failure = error
        return undefined
      }
    }
    const listed = async (): Promise<CID[]> =>
      'names' in source ? (await listSidecars(source, 'manifests', root, { signal })).map(({ cid }) => cid) : []
    const candidates = wanted ? [wanted] : [...(named ? [named] : []), ...((await attempt(listed)) ?? [])]
    for (const cid of candidates) {
      const found = await attempt(async () => {
        const manifest = decodeManifest(await getBlock(cid))
        assertFits(manifest, root, files)
        return { manifest, getBlock }
      })
      if (found) return found
    }
  }
  // One that was asked for has to be there; else it only helps to fetch less.
  if (wanted) throw failure
  return undefined
}

/**
 * Keeps a manifest that was asked for beside a model that is held.
 *
 * @throws {NotFoundError} It is nowhere. @throws {InvalidInputError} It is not of this model's files.
 */
async function keepWanted(store: ContentStore, root: CID, options: PullModelByCidOptions): Promise<void> {
  const sources = [{ label: store.name, source: store }, ...options.sources]
  const files = await listModelFiles(store, root, { signal: options.signal })
  const found = await fetchManifest(root, files, { ...options, sources })
  if (found) await keepFetched(store, root, found, options)
}

async function piecesByPath({ manifest, getBlock }: FetchedManifest): Promise<Map<string, KnownPiece[]>> {
  const pieces = new Map<string, KnownPiece[]>()
  for (const { path, ...piece } of await tensorsOf(manifest, getBlock)) {
    const known = pieces.get(path)
    if (known) known.push(piece)
    else pieces.set(path, [piece])
  }
  return pieces
}

/**
 * Keeps what came beside the model, as far as it is true.
 *
 * @throws {InvalidInputError} It is not, and was asked for by its CID.
 */
async function keepFetched(
  store: ContentStore,
  root: CID,
  { manifest: given }: FetchedManifest,
  { signal, createSha256, manifest: wanted }: PullModelByCidOptions,
): Promise<void> {
  const files = await listModelFiles(store, root, { signal })
  // Every leaf was checked a moment ago.
  const read = (path: string): AsyncIterable<Uint8Array> => store.cat(root, { path, verify: 'stored', signal })
  try {
    const { manifest, ...adopted } = await adoptManifest(given, files, () =>
      describeFiles(files, read, { createSha256 }),
    )
    await keepManifest(store, manifest, { ...adopted, signal })
  } catch (error) {
    // The model is here, and gets a manifest of its own when it is opened: a source that lies about it spoils nothing.
    if (wanted || !(error instanceof InvalidInputError)) throw error
  }
}
