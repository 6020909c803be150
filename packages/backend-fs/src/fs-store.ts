import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'

import { InvalidInputError, pathSegments, type CID } from '@x/cid'
import type {
  AbortOptions,
  AddResult,
  AddSource,
  ContentStore,
  GcResult,
  GetPathOptions,
  PartialStore,
} from '@x/storage-core'

import { addContent, type FsAddOptions } from './add-content.ts'
import { createStagedAdd } from './adding/staged-add.ts'
import { openCatalogue, type Catalogue } from './catalogue/catalogue.ts'
import { pinEverything } from './catalogue/pin-everything.ts'
import { rebuildIndex, type RebuildResult } from './catalogue/rebuild.ts'
import { createScanner } from './catalogue/scan.ts'
import { createUseTracker } from './catalogue/use-tracker.ts'
import { createCollector, type FsGcOptions } from './collect.ts'
import { createContext, type StoreContext } from './context.ts'
import { systemCode } from './disk-error.ts'
import { ensureFormat } from './format-file.ts'
import { createFsBlockstore } from './fs-blockstore.ts'
import { createFsNames } from './fs-names.ts'
import { createHeldFiles } from './held-file.ts'
import { layoutOf } from './layout.ts'
import { localPath } from './local-path.ts'
import { createLooseBlocks } from './loose-blocks.ts'
import { namingFile } from './naming.ts'
import { createOpenFiles } from './open-files.ts'
import { pendingRoots } from './partials/done-note.ts'
import { openFsPartials } from './partials/fs-partials.ts'
import { sweepNotes, sweepPartials } from './partials/sweep-partials.ts'
import { createPins } from './pins.ts'
import { probe } from './probe.ts'
import { thisProcess } from './process-identity.ts'
import { createQuarantine } from './quarantine.ts'
import { createQuota } from './quota.ts'
import { cat, verifyTree } from './read-content.ts'
import { createReserve } from './reserve.ts'
import { createSalvage } from './salvage.ts'
import { sweepLeftovers } from './sweep.ts'
import { createTree } from './tree.ts'
import { createViews } from './views.ts'

export interface FsStoreOptions {
  /** Where the store is. Made when it is missing or empty, unless `create` is false. */
  directory: string
  /** Make the store when there is none. Default true. */
  create?: boolean | undefined
  /** Write nothing at all: no index, no quarantine, no sweeping, no new views. Default false. */
  readOnly?: boolean | undefined
  /**
   * How much files and packs in the store may take. To stay below it an `add` removes roots that are neither pinned nor
   * named, the longest unused first, and is refused when that is not enough. Bytes. Default: no limit.
   */
  maxBytes?: number | undefined
  /** Stops the opening: where the index has gone it reads the whole store. */
  signal?: AbortSignal | undefined
  /**
   * Hears of what was done or left out without being asked: quarantine, files swept, roots removed, symlinks that a view
   * leaves out. Default: nobody does.
   */
  onWarning?: ((message: string) => void) | undefined
}

/** A content store on a local disk, which always has paths. */
export interface FsStore extends ContentStore {
  getPath(root: CID, options?: GetPathOptions): Promise<string>
  /** @throws {UnsupportedError} `mode: 'reflink'` where the file system has no such thing. */
  add(source: AddSource, options?: FsAddOptions): Promise<AddResult>
  /** Where files lie while they are downloaded. To be closed before the store is. */
  openPartials(options?: AbortOptions): Promise<PartialStore>
  gc(options?: FsGcOptions): Promise<GcResult>
  /** Makes the index anew from what lies in the store. */
  rebuild(options?: AbortOptions): Promise<RebuildResult>
}

/**
 * Opens the store in a directory, and removes what dead processes left half-written there. On a read-only medium it is
 * opened as with `readOnly`.
 *
 * @throws {InvalidInputError} The directory holds something else; nothing was touched.
 * @throws {UnsupportedError} It is a store of another format version.
 * @throws {NotFoundError} There is no store, and none may be made.
 * @throws {BackendError} It cannot be read or made, or is a file.
 */
export async function openFsStore(options: FsStoreOptions): Promise<FsStore> {
  const { directory, create = true, maxBytes, signal, onWarning } = options
  signal?.throwIfAborted()
  if (directory === '' || directory.includes('\0')) {
    throw new InvalidInputError(`a store's directory cannot be ${JSON.stringify(directory)}`, { input: directory })
  }
  if (maxBytes !== undefined && (!Number.isSafeInteger(maxBytes) || maxBytes < 0)) {
    throw new InvalidInputError(`maxBytes ${maxBytes} is not a whole number of bytes`, { input: String(maxBytes) })
  }
  const layout = layoutOf(resolve(directory))
  const warn = onWarning ?? (() => undefined)
  const readOnly = options.readOnly === true || (await isReadOnlyMedium(layout.directory, warn))
  const context = createContext({ layout, readOnly, self: thisProcess(), warn })
  await ensureFormat(layout, context.self, { readOnly, create: create && !readOnly })
  await context.watch(layout.format)
  if (!readOnly) await sweepLeftovers(context)
  const catalogue = await openCatalogue(context, createScanner(context), signal)
  try {
    return await createFsStore(context, catalogue, { maxBytes, signal })
  } catch (cause) {
    await catalogue.close()
    throw cause
  }
}

/** A store on such a medium is read, and no more. */
async function isReadOnlyMedium(directory: string, warn: (message: string) => void): Promise<boolean> {
  try {
    await access(directory, constants.W_OK)
  } catch (cause) {
    if (systemCode(cause) !== 'EROFS') return false
    warn(`${directory} is on a read-only medium; it is only read`)
    return true
  }
  return false
}

async function createFsStore(
  context: StoreContext,
  catalogue: Catalogue,
  { maxBytes, signal: opening }: Pick<FsStoreOptions, 'maxBytes' | 'signal'>,
): Promise<FsStore> {
  const quarantine = createQuarantine(context, catalogue)
  const files = createOpenFiles(context)
  const held = createHeldFiles(context, { places: catalogue, files, quarantine })
  const loose = createLooseBlocks(context, { places: catalogue, files, quarantine })
  const blocks = createFsBlockstore(context, {
    catalogue,
    loose,
    held,
    quarantine,
    quota: () => quota,
    collector: () => collector,
  })
  const names = createFsNames(context, catalogue)
  const tree = createTree(blocks, held)
  const views = createViews(context, held)
  const salvage = createSalvage(context)
  const pins = createPins(context, { blocks, catalogue, held, tree })
  const pending = (): AsyncIterable<CID> => pendingRoots(context)
  const collector = createCollector(context, { blocks, catalogue, held, loose, quarantine, views, pending })
  const quota = createQuota(context, { catalogue, collector, maxBytes })
  const uses = createUseTracker(context, catalogue)
  const reserve = createReserve(context)
  const adding = { catalogue, held, loose, quarantine, quota }
  const reading = { tree, held, onUse: (root: CID) => uses.note(root) }
  const everything = { blocks, catalogue, loose, tree }

  const check = ({ signal }: AbortOptions): void => {
    context.assertOpen()
    signal?.throwIfAborted()
  }
  const start = async (options: AbortOptions): Promise<void> => {
    check(options)
    await catalogue.refresh()
  }
  if (!context.readOnly) {
    await reserve.refill()
    await sweepPartials(context, catalogue)
  }
  /** Nothing may go while it is not known which roots were pinned. */
  const settle = async (signal: AbortSignal | undefined): Promise<void> => {
    if (catalogue.isAllLost() && !context.readOnly) await pinEverything(context, everything, signal)
  }
  await settle(opening)
  context.onClose(async () => {
    await uses.end()
    await files.close()
    await catalogue.close()
  })

  return {
    name: 'fs',
    blocks,
    names,
    add: async (source, options = {}) => {
      await start(options)
      return addContent(context, adding, source, options)
    },
    cat: async function* (root, options = {}) {
      await start(options)
      yield* cat(reading, root, options)
    },
    stat: async (root, options = {}) => {
      await start(options)
      const at = pathSegments(options.path ?? '').join('/')
      const found = await namingFile(at, () => tree.resolve(root, at, options))
      return tree.stat(found, { at, signal: options.signal })
    },
    ls: async function* (root, options = {}) {
      await start(options)
      const at = pathSegments(options.path ?? '').join('/')
      yield* tree.entries(await tree.resolve(root, at, options), { at, signal: options.signal })
    },
    has: async (root, options = {}) => {
      await start(options)
      return pins.isComplete(root, options.signal)
    },
    remove: async (root, options = {}) => {
      await start(options)
      context.assertWritable(`remove ${root}`)
      await settle(options.signal)
      await reserve.spend(() => collector.remove(root, options.signal))
    },
    roots: async function* (options = {}) {
      await start(options)
      await context.confirmPresent()
      for (const root of catalogue.roots()) {
        check(options)
        yield root
      }
    },
    pin: async (root, options = {}) => {
      await start(options)
      await pins.pin(root, options.signal)
    },
    unpin: async (root, options = {}) => {
      await start(options)
      context.assertWritable(`unpin ${root}`)
      await catalogue.write(`unpin ${root}`, options.signal, (turn) => {
        if (turn.pin(root)) turn.change({ type: 'delete-pin', cid: root })
      })
    },
    pins: async function* (options = {}) {
      await start(options)
      await context.confirmPresent()
      for (const pin of catalogue.pins()) {
        check(options)
        yield pin
      }
    },
    gc: async (options = {}) => {
      await start(options)
      if (options.dryRun) return collector.gc(options)
      context.assertWritable('gc')
      await sweepLeftovers(context)
      await settle(options.signal)
      return reserve.spend(async () => {
        const swept = await sweepPartials(context, catalogue)
        const result = await collector.gc(options)
        await sweepNotes(context, catalogue)
        return { ...result, freedBytes: result.freedBytes + swept }
      })
    },
    verify: async (root, options = {}) => {
      await start(options)
      return verifyTree(reading, root, options)
    },
    status: async (options = {}) => {
      await start(options)
      return probe(context, catalogue)
    },
    getPath: async (root, options = {}) => {
      await start(options)
      const begin = (lease: string) => createStagedAdd(context, adding, { mode: 'copy', lease })
      return localPath(context, { ...reading, catalogue, quota, views, begin }, root, options)
    },
    salvage: async (cid, options = {}) => {
      await start(options)
      return salvage.get(cid)
    },
    openPartials: async (options = {}) => {
      await start(options)
      context.assertWritable('download')
      return openFsPartials(context, adding)
    },
    rebuild: async (options = {}) => {
      await start(options)
      context.assertWritable('rebuild')
      return rebuildIndex(context, everything, options.signal)
    },
    close: () => context.close(),
  }
}
