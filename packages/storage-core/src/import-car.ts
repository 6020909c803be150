import { InvalidInputError, readCar, type Block, type CID } from '@x/cid'

import type { AbortOptions, PutManyOptions } from './blockstore.ts'
import type { ContentStore, Metadata } from './content-store.ts'
import { copyMetadata } from './metadata.ts'
import { assertName } from './names.ts'
import { putEach } from './put-each.ts'
import { recordRoots } from './record-roots.ts'
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
  /**
   * Which roots to record, once every block is stored, given those of the header. Default: these. What it rejects with
   * stops the import.
   */
  rootsToRecord?: ((roots: readonly CID[]) => Promise<readonly CID[]>) | undefined
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
  const { name, signal, onProgress, maxBlockBytes, rootsToRecord } = options
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
    const put: PutManyOptions = {
      signal,
      verified: true,
      onStored: async () => {
        const wanted = rootsToRecord ? await rootsToRecord(roots) : roots
        await recordRoots(store, wanted, { ...options, incomplete })
      },
    }
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

const incomplete = (root: CID, missing: CID): string =>
  `${root}, a root of the CAR, is not complete: the CAR lacks ${missing}, and the store does not hold it`
