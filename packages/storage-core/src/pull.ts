import { walkDag, type Block, type CID, type GetBlock, type ProfileName } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSource, SessionOptions } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { isPromisedChecked } from './checked-blocks.ts'
import type { ContentStore, Metadata } from './content-store.ts'
import { treeOf } from './dag-tree.ts'
import { codeOf } from './error-code.ts'
import { isUnexpectedRoot } from './expected-root.ts'
import { assertName } from './names.ts'
import { openSession } from './planned-session.ts'
import { profileOfOutline } from './profile-of-outline.ts'
import { putEach } from './put-each.ts'
import { readOutline } from './read-outline.ts'
import { recordRoots } from './record-roots.ts'

export interface PullProgress {
  /** Bytes of blocks that came from the source. */
  fetched: number
  /** How many these were. */
  blocks: number
}

export interface PullOptions extends AbortOptions {
  /** A mutable name that shall point to the root afterwards, whatever it pointed to before. */
  name?: string | undefined
  /** Kept with the name. Default `{}`. */
  metadata?: Metadata | undefined
  /** Keep the root from `gc`. Default true. */
  pin?: boolean | undefined
  /** Called after each block that came from the source. */
  onProgress?: ((event: PullProgress) => void) | undefined
}

export interface PullResult extends PullProgress {
  cid: CID
}

// A source is further away than a disk.
const AHEAD_BLOCKS = 16

/**
 * Makes a store hold a whole DAG, and records its root. What the store holds already, and soundly, is not fetched; the rest
 * comes from the source, checked: by the source where it promises that, else here. A store that keeps files whole gets whole
 * files, when a profile makes this DAG of them; anything else is stored block by block.
 *
 * A failed or stopped pull records nothing, and what it has fetched is not visible.
 *
 * @param source - `blocks` of a gateway, a peer, or another store.
 * @param root - What a dag-cbor block links to is not followed.
 * @throws {NotFoundError} The source does not have all of it; `cid` is the first block that is missing.
 * @throws {IntegrityError} The source gave something else.
 */
export async function pull(
  store: ContentStore,
  source: { readonly blocks: BlockSource },
  root: CID,
  options: PullOptions = {},
): Promise<PullResult> {
  const { name, signal, onProgress } = options
  signal?.throwIfAborted()
  if (name !== undefined) assertName(name)
  const progress: PullProgress = { fetched: 0, blocks: 0 }
  const onFetched = (byteLength: number): void => {
    progress.fetched += byteLength
    progress.blocks += 1
    onProgress?.({ ...progress })
  }
  const record = (): Promise<void> => recordRoots(store, [root], { ...options, incomplete })

  if (await store.has(root, { signal })) {
    await record()
    return { cid: root, ...progress }
  }

  const heldHere = heldBy(store)
  const keepsFiles = store.getPath !== undefined || store.getFile !== undefined
  const outline = keepsFiles
    ? await readOutline(fetchAlone(source.blocks, heldHere, onFetched), root, { signal })
    : undefined
  const profile = outline && (await profileOfOutline(outline))
  const held: Held = async (cid, given) => outline?.nodes.get(blockKey(cid))?.bytes.slice() ?? heldHere(cid, given)

  /** Runs a part of the pull on a session of its own. */
  const withSession = async <T>(task: (get: GetBlock) => Promise<T>): Promise<T> => {
    const session = openSession(source.blocks, root, { signal, held, onFetched, aheadBlocks: AHEAD_BLOCKS })
    try {
      return await task(session.get)
    } finally {
      await session.close()
    }
  }

  const checked = isPromisedChecked(source.blocks)
  if (!profile || !(await withSession((get) => pullFiles(store, root, { ...options, profile, get, checked })))) {
    await withSession((get) => pullBlocks(store, root, { get, checked, signal, onStored: record }))
  }
  return { cid: root, ...progress }
}

const incomplete = (root: CID, missing: CID): string => `${root} is not complete: ${missing} is not held`

type Held = NonNullable<SessionOptions['held']>

/** A block that is held but damaged is as good as absent. */
function heldBy(store: ContentStore): Held {
  return async (cid, options) => {
    try {
      if (await store.blocks.has(cid, options)) return await store.blocks.get(cid, options)
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'NOT_FOUND' && code !== 'INTEGRITY') throw error
    }
    return store.salvage?.(cid, options)
  }
}

/** Blocks that are not asked for in the order of a session. */
function fetchAlone(source: BlockSource, held: Held, onFetched: (byteLength: number) => void): GetBlock {
  return async (cid, options) => {
    const ours = await held(cid, options)
    if (ours) return ours
    const bytes = await source.get(cid, options)
    onFetched(bytes.length)
    return bytes
  }
}

/** Whether the DAG came out, which only a raw block that is larger than it should be can prevent now. */
async function pullFiles(
  store: ContentStore,
  root: CID,
  {
    get,
    checked,
    profile,
    name,
    metadata,
    pin,
    signal,
  }: PullOptions & { get: GetBlock; checked: boolean; profile: ProfileName },
): Promise<boolean> {
  try {
    const tree = await treeOf(get, root, { checked, signal })
    await store.add(tree, { profile, expected: root, name, metadata, pin, signal })
    return true
  } catch (error) {
    if (isUnexpectedRoot(error)) return false
    throw error
  }
}

async function pullBlocks(
  store: ContentStore,
  root: CID,
  { get, checked, signal, onStored }: AbortOptions & { get: GetBlock; checked: boolean; onStored: () => Promise<void> },
): Promise<void> {
  async function* blocks(): AsyncGenerator<Block> {
    let last: Block | undefined
    const getLast: GetBlock = async (cid, options) => (last?.cid.equals(cid) ? last.bytes : get(cid, options))
    for await (const cid of walkDag(getLast, root, { signal })) {
      last = { cid, bytes: await get(cid, { signal }) }
      yield last
    }
  }
  const { blocks: into } = store
  const put = { signal, onStored, ...(checked && { verified: true as const }) }
  await (into.putMany ? into.putMany(blocks(), put) : putEach(into, blocks(), put))
}
