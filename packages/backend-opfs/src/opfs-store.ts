import { assertRange, UnsupportedError, type CID } from '@x/cid'
import {
  BackendError,
  startReceipt,
  type AbortOptions,
  type Blockstore,
  type CatOptions,
  type ContentStore,
  type GetPathOptions,
  type StoreStatus,
  type VerifyOptions,
} from '@x/storage-core'
import {
  codeOf,
  createContentReader,
  createKeyedLock,
  createRecordNames,
  createRootRecords,
  promiseChecked,
} from '@x/storage-core/backend'

import { addContent } from './add-content.ts'
import { createCollector } from './collect.ts'
import type { StoreContext } from './context.ts'
import { getFile, hashWhole, wholeFile } from './get-file.ts'
import { createIndexRecords } from './index-records.ts'
import type { Chosen } from './open-medium.ts'
import { createOpfsBlocks } from './opfs-blocks.ts'
import { ported } from './port-error.ts'
import { createRoom, usedBytes } from './room.ts'
import type { Evicted, StorePolicy } from './store-policy.ts'
import { createUses } from './uses.ts'
import type { Vault } from './vault.ts'

export interface OpfsStore extends ContentStore {
  /**
   * A stored file as a `File`, without a copy of its bytes: a runtime may read it by ranges. Its name is not the path's.
   * Reading it after its root was removed, or its data file changed, rejects with an error of the browser; Chromium notices
   * a change only when its time differs by a second.
   *
   * @param options.verify - `each-leaf`, the default, hashes all of it first. `stored` does not, while size and time of
   *   modification are those of the moment when it was stored and hashed.
   * @throws {InvalidInputError} It is no file.
   */
  getFile(root: CID, options?: GetPathOptions): Promise<File>
  /**
   * As `verify`, but that files held whole, which are what they were when they were stored, are not hashed. Resolves to the
   * bytes that were.
   */
  verifyStored(root: CID, options?: VerifyOptions): Promise<number>
  /**
   * Makes a store that was opened to be read show what was written since, and reads no more of the index than that. `more`: it
   * shows more now; `same`: there is nothing new; `replaced`: the index was written anew, so it has to be opened again. Always
   * `same`, of one that writes.
   */
  catchUp(options?: AbortOptions): Promise<'same' | 'more' | 'replaced'>
  /** Whether a store that was opened to be read shows all that is there. Always, of one that writes. */
  isCurrent(options?: AbortOptions): Promise<boolean>
}

/** Bytes of one piece where leaves are not read one by one. */
const PIECE_BYTES = 1024 * 1024

export interface OpfsStoreParts extends Omit<StorePolicy, 'medium'> {
  /** What the vault is on, for the status. */
  chosen: Chosen
  readOnly: boolean
  /** Hears of each root that made room for others. */
  onEvict?: (evicted: Evicted) => void
}

/** The store over what has been opened. */
export function createOpfsStore(
  vault: Vault,
  { chosen, readOnly, evict, maxBytes, onEvict = () => undefined }: OpfsStoreParts,
): OpfsStore {
  const { name } = vault
  const lock = createKeyedLock()
  let closed = false
  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
    vault.assertUsable()
  }
  const base: Omit<StoreContext, 'room' | 'uses'> = {
    name,
    vault,
    enter,
    enterWriting(options) {
      enter(options)
      if (readOnly) throw new UnsupportedError(`${name} was opened to be read, not written`)
    },
    alone: (task, signal) => lock('index', task, signal),
    busy: new Map(),
    doomed: new Set(),
  }
  const records = createIndexRecords(base)
  const { freeing } = vault
  const uses = createUses(base, readOnly)
  const collector = createCollector({ ...base, uses }, records)
  const room = createRoom({
    vault,
    evict,
    maxBytes,
    async makeRoom(isEnough) {
      let count = 0
      const told = (evicted: Evicted): void => {
        count += 1
        onEvict(evicted)
      }
      await freeing(() => collector.evict(isEnough, told))
      return count > 0
    },
  })
  const context: StoreContext = { ...base, uses, room }
  const plainBlocks = createOpfsBlocks(context, close)
  const blocks = promiseChecked<Blockstore>({
    ...plainBlocks,
    delete: (cid, options) => freeing(() => plainBlocks.delete(cid, options)),
  })
  const reader = createContentReader({ name, blocks, enter })
  const rootRecords = createRootRecords({ ...context, records, keeper: { adopt: () => undefined } }, reader)

  async function* cat(root: CID, options: CatOptions = {}): AsyncGenerator<Uint8Array> {
    enter(options)
    await uses.note(root)
    const whole = options.verify === 'stored' ? await standing(root, options) : undefined
    if (whole) yield* catStored(root, whole.file, options)
    else yield* reader.cat(root, options)
  }

  async function standing(root: CID, { path, signal }: CatOptions) {
    const { cid, type } = await reader.stat(root, { path, signal })
    const whole = type === 'file' ? await wholeFile(context, cid) : undefined
    return whole?.stands ? whole : undefined
  }

  async function* catStored(root: CID, file: File, options: CatOptions): AsyncGenerator<Uint8Array> {
    const { offset = 0, length, onReceipt } = options
    assertRange(offset, length)
    const finish = startReceipt('cat', name)
    const end = length === undefined ? file.size : Math.min(file.size, offset + length)
    for (let position = offset; position < end; position += PIECE_BYTES) {
      const piece = file.slice(position, Math.min(end, position + PIECE_BYTES))
      yield new Uint8Array(await ported(`${name}: cat ${root}`, () => piece.arrayBuffer()))
      enter(options)
    }
    onReceipt?.(finish({ cid: root, bytes: Math.max(0, end - offset), verified: 'stored' }))
  }

  async function verifyStored(root: CID, options: VerifyOptions = {}): Promise<number> {
    enter(options)
    let checked = 0
    const visit = async (cid: CID, type: string): Promise<void> => {
      if (type === 'directory') {
        for await (const entry of reader.ls(cid, { signal: options.signal })) await visit(entry.cid, entry.type)
        return
      }
      if (type !== 'file') return
      const whole = await wholeFile(context, cid)
      if (whole?.stands) return
      if (whole) await hashWhole(context, whole, options)
      checked += whole ? whole.file.size : await reader.verify(cid, { signal: options.signal })
      options.onProgress?.(checked)
    }
    const { cid, type } = await reader.stat(root, options)
    await visit(cid, type)
    return checked
  }

  async function status(options: AbortOptions = {}): Promise<StoreStatus> {
    options.signal?.throwIfAborted()
    if (closed) enter(options)
    const started = performance.now()
    const probed = { name, probedAt: new Date().toISOString() }
    try {
      enter(options)
      const { usage = 0, quota = 0 } = await ported(`${name}: status`, () => navigator.storage.estimate())
      // One that is written asks its writer, which may be gone.
      if (!readOnly) await ported(`${name}: status`, () => vault.medium.list())
      options.signal?.throwIfAborted()
      const { containers, blocks: held, strays } = vault.catalogue
      const loose = await collector.evictable()
      const [oldest] = loose
      const details = {
        dataFiles: containers.size,
        strays: strays.size,
        blocks: held.size,
        bytes: usedBytes(vault),
        usage,
        quota,
        persisted: await navigator.storage.persisted(),
        evict: evict ?? 'none',
        evictable: loose.length,
        ...(maxBytes !== undefined && { maxBytes }),
        ...(oldest && { leastRecentUse: oldest.lastUsed }),
        readOnly,
        medium: chosen.medium,
        mediumReason: chosen.reason,
      }
      return { ...probed, available: true, probeMs: performance.now() - started, details }
    } catch (error) {
      options.signal?.throwIfAborted()
      if (codeOf(error) !== 'BACKEND') throw error
      const reason = error instanceof Error ? error.message : String(error)
      return { ...probed, available: false, reason, probeMs: performance.now() - started, details: {} }
    }
  }

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    // What is being made visible is waited for.
    await context.alone(async () => undefined)
    await vault.close()
  }

  const names = createRecordNames({ ...context, records }, rootRecords)

  return {
    name,
    blocks,
    names: { ...names, delete: (of, options) => freeing(() => names.delete(of, options)) },
    add: (source, options) => addContent(context, source, options),
    cat,
    stat: reader.stat,
    ls: reader.ls,
    has: reader.has,
    verify: reader.verify,
    verifyStored,
    async isCurrent(options) {
      enter(options)
      return vault.isCurrent()
    },
    async catchUp(options) {
      enter(options)
      return context.alone(() => vault.catchUp(), options?.signal)
    },
    getFile: async (root, options) => {
      enter(options)
      await uses.note(root)
      return getFile(context, { stat: reader.stat, blocks }, root, options)
    },
    ...rootRecords.methods,
    unpin: (root, options) => freeing(() => rootRecords.methods.unpin(root, options)),
    gc: (options) => freeing(() => collector.gc(options)),
    remove: (root, options) => freeing(() => collector.remove(root, options)),
    status,
    close,
  }
}
