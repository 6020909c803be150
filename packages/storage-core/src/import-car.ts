import { InvalidInputError, readCar, type Block, type CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions, PutManyOptions } from './blockstore.ts'
import type { ContentStore, Metadata } from './content-store.ts'
import { codeOf } from './error-code.ts'
import { NotFoundError } from './errors.ts'
import { copyMetadata } from './metadata.ts'
import { assertName } from './names.ts'
import { putEach } from './put-each.ts'
import { piecesOf, type ByteSource } from './source.ts'

export interface ImportCarProgress {
  /** Bytes of the blocks that the store has taken. */
  loaded: number
  blocks: number
}

export interface ImportCarOptions extends AbortOptions {
  /** A mutable name that shall point to the root afterwards, whatever it pointed to before. Needs a CAR of one root. */
  name?: string | undefined
  /** Kept with the name; without one it is refused. Default `{}`. */
  metadata?: Metadata | undefined
  /**
   * Keep the roots from `gc`. Default true. Without pin or name they are listed by `roots` until a `gc` takes them, as with
   * `add`.
   */
  pin?: boolean | undefined
  /** Refuse a larger block. Bytes; default 2 MiB, the most that IPFS peers take. */
  maxBlockBytes?: number | undefined
  /** Called after each block. */
  onProgress?: ((event: ImportCarProgress) => void) | undefined
}

export interface ImportCarResult {
  /** Those of the header, in its order. */
  roots: CID[]
  /** Blocks in the CAR. */
  blocks: number
  /** Bytes of these blocks. */
  size: number
}

/**
 * Takes in a CAR, version 1 or 2: checks and stores every block, then records the roots of its header. These must be
 * complete, with what the store held before; so a CAR that was cut off between two blocks is found out.
 *
 * A failed or stopped import records no root, pin or name. Blocks that were stored already stay as loose blocks until the
 * next `gc`, unless the store's `putMany` frees them. While the store has `putMany`, a `gc` at the same time takes nothing from the import.
 *
 * As everywhere in a store, a dag-cbor block is a leaf: of a root that is one, what it links to is stored, but neither
 * checked for completeness nor kept from `gc`; that needs pins of its own.
 *
 * @param source - Read once, and closed once it was begun.
 * @throws {InvalidInputError} It is no CAR, is cut off, has no root, or more than one for a name.
 * @throws {IntegrityError} A block does not match its CID, which it names, with the place in the CAR.
 * @throws {NotFoundError} A root is not complete; `cid` is the block that is neither in the CAR nor in the store.
 * @throws {UnsupportedError} A CAR of another version, or a block under a hash function that is not known here.
 */
export async function importCar(
  store: ContentStore,
  source: ByteSource,
  options: ImportCarOptions = {},
): Promise<ImportCarResult> {
  const { name, signal, onProgress, maxBlockBytes } = options
  signal?.throwIfAborted()
  if (name !== undefined) assertName(name)
  if (options.metadata !== undefined) {
    if (name === undefined) throw new InvalidInputError('metadata needs a name to be kept with', { input: 'metadata' })
    copyMetadata(options.metadata)
  }
  const { roots, blocks } = await readCar(piecesOf(source), { signal, maxBlockBytes })
  const taken: ImportCarProgress = { loaded: 0, blocks: 0 }

  async function* counted(): AsyncGenerator<Block> {
    for await (const block of blocks) {
      yield block
      taken.loaded += block.bytes.length
      taken.blocks += 1
      onProgress?.({ ...taken })
    }
  }

  try {
    assertRoots(roots, name)
    const put: PutManyOptions = { signal, verified: true, onStored: () => recordRoots(store, roots, options) }
    const { blocks: into } = store
    await (into.putMany ? into.putMany(counted(), put) : putEach(into, counted(), put))
  } catch (error) {
    // The first error says more than one from closing, and an abort does not wait for a source that says nothing.
    const closed = blocks.return(undefined).catch(() => undefined)
    signal?.throwIfAborted()
    await closed
    throw error
  }
  return { roots, blocks: taken.blocks, size: taken.loaded }
}

function assertRoots(roots: readonly CID[], name: string | undefined): void {
  const refuse = (message: string): never => {
    throw new InvalidInputError(message, { input: `${roots.length} roots` })
  }
  if (roots.length === 0) refuse('the CAR names no root, so nothing of it would be kept')
  if (name !== undefined && roots.length > 1) {
    refuse(`the CAR has ${roots.length} roots, and the name ${JSON.stringify(name)} can point to one`)
  }
}

/** All of them or none. To pin is the one way to record a root that the port has, so a pin nobody wants goes again. */
async function recordRoots(
  store: ContentStore,
  roots: readonly CID[],
  { name, metadata, pin = true, signal }: ImportCarOptions,
): Promise<void> {
  const distinct = new Map(roots.map((root) => [blockKey(root), root]))
  const pinned = await keysAmong(distinct, store.pins({ signal }))
  // To remove a root removes its names as well.
  const known = await keysAmong(distinct, store.roots({ signal }))
  for (const key of await keysAmong(distinct, store.names.list({ signal }))) known.add(key)
  const made: CID[] = []
  try {
    for (const [key, root] of distinct) {
      await store.pin(root, { signal }).catch((error: unknown) => {
        throw codeOf(error) === 'NOT_FOUND' ? incomplete(root, missingIn(error), error) : error
      })
      if (!pinned.has(key)) made.push(root)
    }
    if (!pin) for (const root of made) await store.unpin(root, { signal })
    // Last: what it pointed to before is not known afterwards.
    const [only] = roots
    if (name !== undefined && only) await store.names.set(name, only, { metadata, signal })
  } catch (error) {
    // The caller hears why the import failed; a root that cannot be forgotten either is seen in the list.
    await Promise.allSettled(made.map((root) => (known.has(blockKey(root)) ? store.unpin(root) : store.remove(root))))
    throw error
  }
}

async function keysAmong(wanted: ReadonlyMap<string, CID>, records: AsyncIterable<{ cid: CID }>): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const { cid } of records) if (wanted.has(blockKey(cid))) found.add(blockKey(cid))
  return found
}

const missingIn = (error: unknown): CID | undefined => (error instanceof NotFoundError ? error.cid : undefined)

function incomplete(root: CID, missing: CID = root, cause: unknown): NotFoundError {
  const message = `${root}, a root of the CAR, is not complete: the CAR lacks ${missing}, and the store does not hold it`
  return new NotFoundError(missing.toString(), { cid: missing, message, cause })
}
