import type { CID } from '@x/cid'

import type { AbortOptions, Blockstore } from '../blockstore.ts'
import { promiseAs } from '../checked-blocks.ts'
import { createContentReader } from '../content-reader.ts'
import type {
  CatOptions,
  ContentStat,
  ContentStore,
  DirectoryEntry,
  GetPathOptions,
  PathOptions,
} from '../content-store.ts'
import { codeOf } from '../error-code.ts'
import { BackendError } from '../errors.ts'
import { pull, type PullOptions, type PullResult } from '../pull.ts'
import type { Receipt } from '../receipt.ts'
import { createBeyond, type BeyondOptions, type Following } from './beyond.ts'
import { trackRead } from './read-tracker.ts'
import type { TierStatus } from './tier.ts'

export interface TieredStoreOptions extends BeyondOptions {}

export interface FetchOptions extends PullOptions {
  onReceipt?: ((receipt: Receipt) => void) | undefined
}

/** A local store, and backends that are asked for what it does not hold. */
export interface TieredStore extends ContentStore {
  /** What is here, and nothing else: for a server, which must fetch for nobody. */
  readonly local: ContentStore
  /** Makes the local store hold all of a root: whole files, where it keeps files. */
  fetch(root: CID, options?: FetchOptions): Promise<PullResult>
  /** The local store first, then the others in the order in which they are asked. */
  tiers(): TierStatus[]
}

/**
 * A store that is local first. What is written, pinned and listed is in the local store; what is read comes from there, and
 * what it lacks or has damaged comes from the tiers, block by block: where one of them fails or lies in the middle of a file,
 * the rest comes from the next, and what is held is not fetched. A file that was found damaged is repaired once it was read to
 * its end. `verify` is of what is held here.
 *
 * Closing it closes the local store and the tiers.
 *
 * @throws {TypeError} Two backends have the same name.
 */
export function createTieredStore(local: ContentStore, options: TieredStoreOptions): TieredStore {
  const { name = local.name, onEvent } = options
  const beyond = createBeyond(local, options)
  let isClosed = false

  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (isClosed) throw new BackendError(`${name} is closed`, { retryable: false })
  }

  function done(receipt: Receipt, onReceipt?: (receipt: Receipt) => void): void {
    onReceipt?.(receipt)
    onEvent?.({ type: 'receipt', receipt })
  }

  async function* cat(root: CID, given: CatOptions = {}): AsyncGenerator<Uint8Array> {
    enter(given)
    const { offset = 0, length, onReceipt, ...rest } = given
    const following = follow('cat', root)
    const { track } = following
    const started = performance.now()
    let bytes = 0
    let verified: Receipt['verified'] = 'each-leaf'
    let ours: unknown
    const localGave = (): void => {
      track.gave(local.name, { blocks: 0, bytes, durationMs: performance.now() - started })
    }
    try {
      const onLocalReceipt = (receipt: Receipt): void => void ({ verified } = receipt)
      for await (const piece of local.cat(root, { ...given, onReceipt: onLocalReceipt })) {
        bytes += piece.length
        yield piece
      }
      localGave()
      done(track.receipt({ cid: root, bytes, verified }), onReceipt)
      return
    } catch (error) {
      given.signal?.throwIfAborted()
      if (bytes > 0) localGave()
      beyond.assertMayHave(error, following)
      ours = error
    }
    const others = beyond.open(following)
    try {
      const reader = createContentReader({ name, blocks: others.blocks, enter })
      const left = length === undefined ? undefined : length - bytes
      for await (const piece of reader.cat(root, { ...rest, offset: offset + bytes, length: left })) {
        bytes += piece.length
        yield piece
      }
    } catch (error) {
      throw beyond.answerOf(ours, error)
    } finally {
      await others.end()
    }
    if (codeOf(ours) === 'INTEGRITY') await repair(root, given)
    done(track.receipt({ cid: root, bytes, verified: 'each-leaf' }), onReceipt)
  }

  /** Of the file that was read, and no other one below the root: nobody asked for these. */
  async function repair(root: CID, { path, signal }: PathOptions): Promise<void> {
    const following = follow('fetch', root)
    const others = beyond.open(following)
    try {
      const { cid: file } = await createContentReader({ name, blocks: others.blocks, enter }).stat(root, {
        path,
        signal,
      })
      await others.end()
      const { fetched } = await pull(local, beyond.source(following), file, { pin: false, signal })
      await local.verify(file, { signal })
      onEvent?.({ type: 'repaired', root, file, fetched })
    } catch (error) {
      signal?.throwIfAborted()
      onEvent?.({ type: 'repair-failed', root, error })
    }
  }

  async function stat(root: CID, given: PathOptions = {}): Promise<ContentStat> {
    enter(given)
    const following = follow('stat', root)
    let ours: unknown
    try {
      return await local.stat(root, given)
    } catch (error) {
      given.signal?.throwIfAborted()
      beyond.assertMayHave(error, following)
      ours = error
    }
    const others = beyond.open(following)
    try {
      const found = await createContentReader({ name, blocks: others.blocks, enter }).stat(root, given)
      done(following.track.receipt({ cid: root, bytes: 0, verified: 'each-leaf' }))
      return found
    } catch (error) {
      throw beyond.answerOf(ours, error)
    } finally {
      await others.end()
    }
  }

  async function* ls(root: CID, given: PathOptions = {}): AsyncGenerator<DirectoryEntry> {
    enter(given)
    const following = follow('ls', root)
    const listed = new Set<string>()
    let ours: unknown
    try {
      for await (const entry of local.ls(root, given)) {
        listed.add(entry.name)
        yield entry
      }
      return
    } catch (error) {
      given.signal?.throwIfAborted()
      beyond.assertMayHave(error, following)
      ours = error
    }
    const others = beyond.open(following)
    try {
      const reader = createContentReader({ name, blocks: others.blocks, enter })
      for await (const entry of reader.ls(root, given)) if (!listed.has(entry.name)) yield entry
    } catch (error) {
      throw beyond.answerOf(ours, error)
    } finally {
      await others.end()
    }
    done(following.track.receipt({ cid: root, bytes: 0, verified: 'each-leaf' }))
  }

  async function fetch(root: CID, { onReceipt, ...given }: FetchOptions = {}): Promise<PullResult> {
    enter(given)
    const following = follow('fetch', root)
    const result = await pull(local, beyond.source(following), root, given)
    if (result.blocks === 0) following.track.gave(local.name, { blocks: 0, bytes: 0, durationMs: 0 })
    done(following.track.receipt({ cid: root, bytes: result.fetched, verified: 'each-leaf' }), onReceipt)
    return result
  }

  /** The call; where the local store lacks something of the root, once more after it was fetched. */
  async function orFetched<T>(root: CID, given: AbortOptions, call: () => Promise<T>): Promise<T> {
    enter(given)
    let ours: unknown
    try {
      return await call()
    } catch (error) {
      given.signal?.throwIfAborted()
      beyond.assertMayHave(error, follow('fetch', root))
      ours = error
    }
    await fetch(root, { pin: false, signal: given.signal }).catch((error: unknown) => {
      throw beyond.answerOf(ours, error)
    })
    return call()
  }

  const blocks: Blockstore = {
    ...local.blocks,
    name,
    async has(cid, given = {}) {
      enter(given)
      return (await local.blocks.has(cid, given)) || beyond.has(cid, given)
    },
    async get(cid, given = {}) {
      enter(given)
      const following = follow('cat', cid)
      let ours: unknown
      try {
        return await local.blocks.get(cid, given)
      } catch (error) {
        given.signal?.throwIfAborted()
        beyond.assertMayHave(error, following)
        ours = error
      }
      const others = beyond.open(following)
      try {
        return await others.blocks.get(cid, given)
      } catch (error) {
        throw beyond.answerOf(ours, error)
      } finally {
        await others.end()
      }
    },
    close,
  }

  async function close(): Promise<void> {
    if (isClosed) return
    isClosed = true
    const closings = await Promise.allSettled([local.close(), beyond.close()])
    for (const closing of closings) if (closing.status === 'rejected') throw closing.reason
  }

  const getPath = local.getPath?.bind(local)
  const getFile = local.getFile?.bind(local)
  const salvage = local.salvage?.bind(local)
  return {
    name,
    local,
    blocks: promiseAs(blocks, local.blocks),
    names: local.names,
    cat,
    stat,
    ls,
    fetch,
    verify: local.verify.bind(local),
    add: local.add.bind(local),
    has: local.has.bind(local),
    remove: local.remove.bind(local),
    roots: local.roots.bind(local),
    pin: (root, given = {}) => orFetched(root, given, () => local.pin(root, given)),
    unpin: local.unpin.bind(local),
    pins: local.pins.bind(local),
    gc: local.gc.bind(local),
    ...(getPath && {
      getPath: (root: CID, given: GetPathOptions = {}) => orFetched(root, given, () => getPath(root, given)),
    }),
    ...(salvage && { salvage }),
    ...(getFile && {
      getFile: (root: CID, given: GetPathOptions = {}) => orFetched(root, given, () => getFile(root, given)),
    }),
    async status(given = {}) {
      enter(given)
      return { ...(await local.status(given)), name }
    },
    tiers: () => [{ role: 'local', name: local.name, isRequired: true }, ...beyond.status()],
    close,
  }
}

const follow = (operation: Receipt['operation'], root: CID): Following => ({
  operation,
  root,
  track: trackRead(operation),
})
