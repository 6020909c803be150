import { buildFile, profileOf, type Block } from '@x/cid'

import { createBlockKeeper, type BlockKeeper, type Keeping } from './block-keeper.ts'
import type { AbortOptions, Blockstore } from './blockstore.ts'
import { buildSource, type BuiltSource } from './build-source.ts'
import { changesOfAdd } from './changes-of-add.ts'
import { createCollector } from './collect.ts'
import { createContentReader } from './content-reader.ts'
import type { AddOptions, AddResult, ContentStore } from './content-store.ts'
import { BackendError } from './errors.ts'
import { assertExpected } from './expected-root.ts'
import { createGuardedRecords } from './guarded-records.ts'
import { measureHeld, type HeldFileReader } from './held-file.ts'
import { createKeyedLock } from './lock.ts'
import { copyMetadata } from './metadata.ts'
import { assertName } from './names.ts'
import { startReceipt } from './receipt.ts'
import { createRecordNames } from './record-names.ts'
import type { Records } from './records.ts'
import { createRootRecords } from './root-records.ts'
import { toSourceNode, type AddSource } from './source.ts'
import { probe } from './status.ts'
import { createVerifiedBlockstore } from './verified-blockstore.ts'

export interface BlockContentStoreOptions {
  /** For errors, receipts and logs. */
  name: string
  /** Where the blocks go; not trusted, so what it returns is hashed again. The store closes it. */
  blocks: Blockstore
  /** Where roots, pins and names go. The store closes it. */
  records: Records
}

/** What the parts of a store share. */
export interface StoreParts {
  name: string
  keeper: BlockKeeper
  blocks: Blockstore
  records: Records
  /** Start of every call. */
  enter: (options?: AbortOptions) => void
  /** One after another: commits of records, and collections, which rely on the records they read. */
  alone: <T>(task: () => Promise<T>, signal?: AbortSignal) => Promise<T>
}

/**
 * A content store over any blockstore. Reading and adding go on while blocks are collected; only the last step of an add,
 * which writes the records, waits for a collection to end.
 *
 * A failed add deletes the blocks it put; what cannot be deleted, and what a crash leaves, is visible as loose blocks and
 * goes with the next `gc`. Loose blocks, put through `blocks`, stay over a `gc` when they are pinned or named or part of
 * what is, and go otherwise. A dag-cbor block is a leaf: what it links to is kept by its own pin or name.
 *
 * `roots` lists what was added, and what was pinned or named while it was held and is UnixFS; other blocks can be pinned
 * and named, but are no roots. One process may use `blocks` and `records` at a time.
 */
export function createContentStore({
  name,
  blocks: given,
  records: givenRecords,
}: BlockContentStoreOptions): ContentStore {
  const lock = createKeyedLock()
  const keeper = createBlockKeeper(createVerifiedBlockstore(given))
  const records = createGuardedRecords(name, givenRecords)
  let closed = false
  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  const parts: StoreParts = {
    name,
    keeper,
    blocks: createGuardedBlockstore(keeper.blocks, enter),
    records,
    enter,
    alone: (task, signal) => lock('records', task, signal),
  }
  const reader = createContentReader(parts)
  const rootRecords = createRootRecords(parts, reader)
  return {
    name,
    blocks: parts.blocks,
    names: createRecordNames(parts, rootRecords),
    add: (source, options) => add(parts, source, options),
    ...reader,
    ...rootRecords.methods,
    ...createCollector(parts),
    status: (options) => probe(parts, options),
    async close() {
      if (closed) return
      closed = true
      await keeper.blocks.close()
      await records.close()
    },
  }
}

/** A blockstore each of whose calls begins with `enter`, but for `close`. */
export function createGuardedBlockstore(blocks: Blockstore, enter: StoreParts['enter']): Blockstore {
  const guarded = async <T>(options: AbortOptions | undefined, task: () => Promise<T>): Promise<T> => {
    enter(options)
    return task()
  }
  const putMany = blocks.putMany?.bind(blocks)
  return {
    name: blocks.name,
    has: (cid, options) => guarded(options, () => blocks.has(cid, options)),
    get: (cid, options) => guarded(options, () => blocks.get(cid, options)),
    put: (cid, bytes, options) => guarded(options, () => blocks.put(cid, bytes, options)),
    ...(putMany && { putMany: (many, options) => guarded(options, () => putMany(many, options)) }),
    delete: (cid, options) => guarded(options, () => blocks.delete(cid, options)),
    async *list(options) {
      enter(options)
      yield* blocks.list(options)
    },
    close: () => blocks.close(),
  }
}

async function add(parts: StoreParts, source: AddSource, options: AddOptions = {}): Promise<AddResult> {
  const { name, metadata: given, profile, expected, onProgress, onReceipt, signal } = options
  parts.enter(options)
  // All that the caller may have got wrong is found before anything is read.
  if (name !== undefined) assertName(name)
  const metadata = given === undefined ? undefined : copyMetadata(given)
  profileOf(profile)
  const finish = startReceipt('add', parts.name)
  const keeping = parts.keeper.begin()
  const keep = (block: Block): Promise<void> => keeping.keep(block, { signal })
  let built: BuiltSource
  try {
    built = await buildSource(toSourceNode(source), {
      profile,
      signal,
      onProgress,
      onBlock: keep,
      buildOneFile: async (file, fileOptions) => {
        const held = file.held && (await measureHeld(heldReader(parts, keeping), file.held, { signal }))
        if (held) fileOptions.onProgress?.(held.fileBytes)
        return held ?? buildFile(file.open({ signal }), { ...fileOptions, onBlock: keep })
      },
    })
    assertExpected(built.cid, expected)
    await commit(parts, keeping, built, { ...options, metadata })
  } catch (error) {
    await parts.alone(() => keeping.rollBack())
    signal?.throwIfAborted()
    throw error
  }
  const { cid, type, size } = built
  onReceipt?.(finish({ cid, bytes: size, verified: 'each-leaf' }))
  return { cid, type, size }
}

/** A block is kept first, so that it cannot go between the question and the answer. */
function heldReader({ keeper }: StoreParts, keeping: Keeping): HeldFileReader {
  return {
    getBlock: (cid, options) => keeper.blocks.get(cid, options),
    keep: async (cid, options) => {
      await keeping.mark(cid, options)
      return keeper.blocks.has(cid, options)
    },
  }
}

/** Makes an add visible, all of it at once. */
async function commit(
  { records, enter, alone }: StoreParts,
  keeping: Keeping,
  built: BuiltSource,
  options: AddOptions,
): Promise<void> {
  const { signal } = options
  await alone(async () => {
    enter({ signal })
    const root = await records.root(built.cid, { signal })
    const isPinned = (await records.pin(built.cid, { signal })) !== undefined
    await records.commit(changesOfAdd(built, { root, isPinned }, options), { signal })
    keeping.commit()
  }, signal)
}
