import { resolve } from 'node:path'

import { InvalidInputError, pathSegments } from '@x/cid'
import type { AbortOptions, ContentStore, RootRecord } from '@x/storage-core'

import { addContent } from './add-content.ts'
import { createCollector } from './collect.ts'
import { createContext, type StoreContext } from './context.ts'
import { createFileWriter } from './file-writer.ts'
import { ensureFormat } from './format-file.ts'
import { createFsBlockstore } from './fs-blockstore.ts'
import { createFsNames } from './fs-names.ts'
import { createHeldFiles } from './held-file.ts'
import { keyOf, layoutOf } from './layout.ts'
import { createLeafIndex } from './leaf-index.ts'
import { localPath } from './local-path.ts'
import { createLooseBlocks } from './loose-blocks.ts'
import { namingFile } from './naming.ts'
import { createPins } from './pins.ts'
import { probe } from './probe.ts'
import { thisProcess } from './process-identity.ts'
import { createQuarantine } from './quarantine.ts'
import { cat, verifyTree } from './read-content.ts'
import { createRootRecords } from './root-records.ts'
import { sweepLeftovers } from './sweep.ts'
import { createTree } from './tree.ts'
import { createViews } from './views.ts'

export interface FsStoreOptions {
  /** Where the store is. Made when it is missing or empty. */
  directory: string
  /** Write nothing at all: no quarantine, no sweeping, no new views. Default false. */
  readOnly?: boolean | undefined
  /**
   * Hears of what was done or left out without being asked: quarantine, files swept, symlinks that a view leaves out.
   * Default: nobody does.
   */
  onWarning?: ((message: string) => void) | undefined
}

/** A content store on a local disk, which always has paths. */
export type FsStore = ContentStore & Required<Pick<ContentStore, 'getPath'>>

/**
 * Opens the store in a directory, and removes what dead processes left half-written there.
 *
 * @throws {InvalidInputError} The directory holds something else; nothing was touched.
 * @throws {UnsupportedError} It is a store of another format version.
 * @throws {NotFoundError} `readOnly`, and there is no store.
 * @throws {BackendError} It cannot be read or made, or is a file.
 */
export async function openFsStore({ directory, readOnly = false, onWarning }: FsStoreOptions): Promise<FsStore> {
  if (directory === '' || directory.includes('\0')) {
    throw new InvalidInputError(`a store's directory cannot be ${JSON.stringify(directory)}`, { input: directory })
  }
  const layout = layoutOf(resolve(directory))
  const context = createContext({ layout, readOnly, self: thisProcess(), warn: onWarning ?? (() => undefined) })
  await ensureFormat(layout, context.self, readOnly)
  if (!readOnly) await sweepLeftovers(context)
  return createFsStore(context)
}

function createFsStore(context: StoreContext): FsStore {
  const quarantine = createQuarantine(context)
  const held = createHeldFiles(context, quarantine)
  const loose = createLooseBlocks(context, quarantine)
  const index = createLeafIndex(context, held)
  const blocks = createFsBlockstore(context, { loose, held, index, quarantine })
  const names = createFsNames(context)
  const records = createRootRecords(context)
  const writer = createFileWriter(context, held, quarantine, (outboard) => index.publish(outboard))
  const tree = createTree(blocks, held)
  const views = createViews(context, held)
  const pins = createPins(context, { blocks, held, records, tree })
  const collector = createCollector(context, { blocks, held, index, loose, records, names, pins, quarantine, views })

  const start = ({ signal }: AbortOptions): void => {
    context.assertOpen()
    signal?.throwIfAborted()
  }

  return {
    name: 'fs',
    blocks,
    names,
    add: async (source, options = {}) => {
      start(options)
      return addContent(context, { writer, loose, records, names }, source, options)
    },
    cat: async function* (root, options = {}) {
      start(options)
      yield* cat(tree, held, root, options)
    },
    stat: async (root, options = {}) => {
      start(options)
      const at = pathSegments(options.path ?? '').join('/')
      const found = await namingFile(at, () => tree.resolve(root, at, options))
      return tree.stat(found, { at, signal: options.signal })
    },
    ls: async function* (root, options = {}) {
      start(options)
      const at = pathSegments(options.path ?? '').join('/')
      yield* tree.entries(await tree.resolve(root, at, options), { at, signal: options.signal })
    },
    has: async (root, options = {}) => {
      start(options)
      return pins.isComplete(root, options.signal)
    },
    remove: async (root, options = {}) => {
      start(options)
      context.assertWritable(`remove ${root}`)
      await collector.remove(root, options.signal)
    },
    roots: async function* (options = {}) {
      start(options)
      const named = await namesByRoot(options)
      for await (const root of records.list()) {
        start(options)
        const found = named.get(keyOf(root.cid)) ?? []
        yield { ...root, pinned: await records.isPinned(root.cid), names: found } satisfies RootRecord
      }
      await context.confirmAbsence()
    },
    pin: async (root, options = {}) => {
      start(options)
      await pins.pin(root, options.signal)
    },
    unpin: async (root, options = {}) => {
      start(options)
      context.assertWritable(`unpin ${root}`)
      await records.unpin(root)
      await records.sync()
    },
    pins: async function* (options = {}) {
      start(options)
      for await (const pin of pins.list()) {
        start(options)
        yield pin
      }
    },
    gc: async (options = {}) => {
      start(options)
      if (options.dryRun !== true) context.assertWritable('gc')
      return collector.gc(options)
    },
    verify: async (root, options = {}) => {
      start(options)
      return verifyTree(tree, held, root, options)
    },
    status: async (options = {}) => {
      start(options)
      return probe(context)
    },
    getPath: async (root, options = {}) => {
      start(options)
      return localPath(context, { held, tree, views, writer }, root, options)
    },
    close: async () => context.close(),
  }

  async function namesByRoot(options: AbortOptions): Promise<Map<string, string[]>> {
    const named = new Map<string, string[]>()
    for await (const { name, cid } of names.list(options)) {
      const key = keyOf(cid)
      named.set(key, [...(named.get(key) ?? []), name])
    }
    return named
  }
}
