import { IntegrityError, verify, verifyLeaf, type CID } from '@x/cid'
import { BackendError, BlockNotFoundError } from '@x/storage-core'
import { blockKey, codeOf } from '@x/storage-core/backend'

import { createCatalogue, type Catalogue, type Container, type Location } from './catalogue.ts'
import { fromPayload, toPlain, type Change } from './change.ts'
import { emptyIndex, encodeFrame, readAppended, readFrames, VERSION, type Version } from './index-file.ts'
import { ifThere } from './layout.ts'
import type { Medium, Revision } from './medium.ts'
import { ported } from './port-error.ts'

/** Index and data files together. */
export interface Vault {
  readonly name: string
  readonly catalogue: Catalogue
  readonly medium: Medium
  /** Runs what frees room, or says what is not needed: once more, with the reserve given up, where there is no room for that. */
  freeing: <T>(work: () => Promise<T>) => Promise<T>
  /** Makes changes true, all or none. One after another: the caller sees to that. */
  commit(changes: readonly Change[]): Promise<void>
  /**
   * The verified bytes of a block, from the first place where they are sound.
   *
   * @throws {BlockNotFoundError} It is held nowhere.
   * @throws {IntegrityError} It is damaged wherever it is held.
   * @throws {BackendError} `retryable`: the store was written since it was opened to be read.
   */
  block(cid: CID): Promise<Uint8Array>
  /** The same, from one place. */
  blockAt(cid: CID, location: Location): Promise<Uint8Array>
  /**
   * The data file of a container, from which blocks are read: of one moment, and read again when it was changed since.
   *
   * @param cid - What is wanted of it, for errors, which are those of `block`.
   */
  dataFile(cid: CID, container: Container): Promise<File>
  /** The data file as it is now. Blocks are read from this one afterwards. */
  freshFile(cid: CID, container: Container): Promise<File>
  /** Whether a data file is what it was when it was written. */
  stands(container: Container, file: File): boolean
  /** @throws {BackendError} What is in the index cannot be told any more. */
  assertUsable(): void
  /** Whether the index is still the one that was read; of a writer, always. */
  isCurrent(): Promise<boolean>
  /** Takes in what was appended to the index since it was read. As `commit`, one after another. See `OpfsStore.catchUp`. */
  catchUp(): Promise<CaughtUp>
  /** Data files that are being written, or are about to be listed: bytes so far by id. */
  readonly staged: Map<string, number>
  /** Data files that the index does not list, and nobody is writing. Of a reader none: it cannot tell. */
  strays(): Promise<StrayFile[]>
  /** Deletes them. As `commit`, one after another. */
  dropStrays(strays: readonly StrayFile[]): Promise<void>
  /** Deletes data files that the index no longer lists. */
  sweep(ids: Iterable<string>): Promise<void>
  close(): Promise<void>
}

type CaughtUp = 'same' | 'more' | 'replaced'

export interface StrayFile {
  id: string
  bytes: number
}

export interface VaultParts {
  name: string
  medium: Medium
  /** Nobody may write: what is not in the index may be of somebody who does. */
  readOnly: boolean
}

// An index of mostly changes that others have overtaken is written anew.
const COMPACT_BYTES = 1024 * 1024

// With less in it, a store has nothing to free that matters.
const RESERVED_FROM_BYTES = 16 * 1024 * 1024

const isFull = (error: unknown): boolean => error instanceof Error && error.name === 'QuotaExceededError'

const toStray = (id: string): Change => ({ type: 'stray', id })

const isGone = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError'

export async function openVault({ name, medium, readOnly }: VaultParts): Promise<Vault> {
  const catalogue = createCatalogue()
  const files = new Map<string, Promise<File>>()
  const staged = new Map<string, number>()
  let failure: unknown
  let revision: Revision | undefined
  /** Of a reader: something follows the last whole frame, which another frame may take the place of. */
  let hasTail = false
  let indexBytes = 0
  let compactedBytes = 0
  // What follows the last whole frame was cut short, and is there until another frame is: which data files it listed cannot be told.
  let isCut = false
  /** Of the index. An earlier one stays where there was no room to write it anew. */
  let version: Version = VERSION
  /** `spent`: it is not asked for again before what frees room has ended. */
  let reserve: 'unknown' | 'kept' | 'spent' = 'unknown'

  await ported(`${name}: the index`, async () => {
    // Before: what is written meanwhile must not be taken for read.
    revision = await medium.revision?.()
    const bytes = await medium.readIndex()
    const { payloads, end, ...head } = await readFrames(bytes)
    version = head.version
    for (const payload of payloads) await catalogue.apply(fromPayload(payload))
    indexBytes = end
    compactedBytes = end
    hasTail = end < bytes.length
    if (readOnly) return
    await takeStock()
    if (version !== VERSION) await upgrade()
  })

  /** Of data files that are not in the index. */
  async function takeStock(): Promise<void> {
    const { containers, strays } = catalogue
    const left = (await medium.list()).filter((id) => !containers.has(id) && !strays.has(id))
    // Of pages that were closed or killed before they had ended what they wrote.
    if (!hasTail) return sweepLeft(left)
    if (left.length === 0) return medium.truncateIndex(indexBytes)
    // To open a store needs no room, so that a full one can be read, and emptied. The next frame lists them.
    await catalogue.apply(left.map(toStray))
    isCut = true
  }

  /** Killed meanwhile, the old index is there or the new one. What it lists is the same. */
  async function upgrade(): Promise<void> {
    try {
      await rewrite()
    } catch (error) {
      // To open a store needs no room. It is tried again when the store is opened next.
      if (!isFull(error)) throw error
    }
  }

  async function sweepLeft(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      try {
        await medium.remove(id)
      } catch (error) {
        // A page that was killed lets go of its files a moment after it let go of its lock. `gc` takes what is left.
        if (!(error instanceof Error && error.name === 'NoModificationAllowedError')) throw error
      }
    }
  }

  function assertUsable(): void {
    if (failure === undefined) return
    throw new BackendError(`${name}: what its index holds cannot be told any more, so it has to be opened again`, {
      cause: failure,
      retryable: false,
    })
  }

  /** Data is not kept where nothing could be freed afterwards: not even that it goes could be written down. */
  async function assertReserve(changes: readonly Change[]): Promise<void> {
    if (reserve !== 'unknown') return
    let [held, more] = [0, 0]
    for (const change of changes) if (change.type === 'file' || change.type === 'pack') more += change.size
    for (const { entry } of catalogue.containers.values()) held += entry.size
    if (more === 0 || held + more < RESERVED_FROM_BYTES) return
    await ported(`${name}: keep room for freeing`, () => medium.keepReserve())
    reserve = 'kept'
  }

  async function freeing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const isSpent = codeOf(error) === 'NO_SPACE' && (await ported(`${name}: free room`, () => medium.giveUpReserve()))
      if (!isSpent) throw error
    }
    reserve = 'spent'
    try {
      return await work()
    } finally {
      reserve = 'unknown'
      await refill()
    }
  }

  async function refill(): Promise<void> {
    try {
      await medium.keepReserve()
      reserve = 'kept'
    } catch (error) {
      // What was freed is not enough yet; who adds data hears of it.
      if (!isFull(error)) throw error
    }
  }

  async function commit(changes: readonly Change[]): Promise<void> {
    assertUsable()
    if (changes.length === 0) return
    await assertReserve(changes)
    // An earlier version of this package may read it still.
    const known = version === VERSION ? changes : changes.filter(({ type }) => type !== 'use')
    if (known.length === 0) return catalogue.apply(changes)
    const listed = isCut ? [...[...catalogue.strays].map(toStray), ...known] : known
    const frame = await encodeFrame(listed.map(toPlain))
    await ported(`${name}: the index`, async () => {
      try {
        // A byte stays of what was cut short: until the frame is whole, that is what the index looks like.
        if (isCut) await medium.truncateIndex(indexBytes + 1)
        await medium.appendIndex(frame, indexBytes)
      } catch (error) {
        await takeBack(error)
        throw error
      }
    })
    isCut = false
    indexBytes += frame.length
    await catalogue.apply(changes)
    if (indexBytes > 2 * compactedBytes + COMPACT_BYTES) await compact()
  }

  /** Else the next frame would come after a part of this one. */
  async function takeBack(cause: unknown): Promise<void> {
    try {
      await medium.truncateIndex(isCut ? indexBytes + 1 : indexBytes)
    } catch {
      // What the caller hears is why the frame could not be written; the next call hears this.
      failure = cause
    }
  }

  async function compact(): Promise<void> {
    try {
      await rewrite()
    } catch (error) {
      // The changes themselves are kept. It is tried again when there are twice as many.
      if (isFull(error)) compactedBytes = indexBytes
      // Which of the two indexes is there cannot be told.
      else failure = error
    }
  }

  async function rewrite(): Promise<void> {
    const all: Change[] = []
    for await (const change of catalogue.snapshot()) all.push(change)
    const [head, frame] = [emptyIndex(), await encodeFrame(all.map(toPlain))]
    const bytes = new Uint8Array(head.length + frame.length)
    bytes.set(head)
    bytes.set(frame, head.length)
    await medium.replaceIndex(bytes)
    indexBytes = bytes.length
    compactedBytes = bytes.length
    version = VERSION
    isCut = false
  }

  async function isCurrent(): Promise<boolean> {
    const now = await medium.revision?.()
    return now?.generation === revision?.generation && now?.size === revision?.size
  }

  async function catchUp(): Promise<CaughtUp> {
    // Before: what is written meanwhile must not be taken for read.
    const now = await medium.revision?.()
    if (!now || !revision || !medium.readAppended) return 'same'
    if (now.generation !== revision.generation) return 'replaced'
    if (now.size === revision.size && !hasTail) return 'same'
    const bytes = await medium.readAppended(revision.generation, indexBytes)
    if (!bytes) return 'replaced'
    const { payloads, end } = await readAppended(bytes, indexBytes)
    const lists = payloads.map(fromPayload)
    try {
      for (const changes of lists) await catalogue.apply(changes)
    } catch (error) {
      failure = error
      throw error
    }
    hasTail = end < indexBytes + bytes.length
    indexBytes = end
    revision = now
    return lists.length > 0 ? 'more' : 'same'
  }

  /** What it means that a data file is not there. */
  async function gone(cid: CID, container: Container, cause: unknown): Promise<Error> {
    const { id } = container
    // Whoever reads does not wait for whoever frees, or catches up.
    const isListed = catalogue.containers.get(id) === container
    if (!isListed && !readOnly) return new BlockNotFoundError(cid, { cause })
    if (isListed && (await isCurrent()))
      return new IntegrityError(`${cid}: its data file ${id} is gone`, { cid, cause })
    const message = `${cid}: the store was written since it was opened to be read, and has to be opened again`
    return new BackendError(message, { cause, retryable: true })
  }

  function dataFile({ id }: Container): Promise<File> {
    const known = files.get(id)
    if (known) return known
    const opening = medium.file(id)
    files.set(id, opening)
    // Who asked hears of it; who asks next tries again.
    opening.catch(() => files.delete(id))
    return opening
  }

  const openFile = (cid: CID, container: Container): Promise<File> =>
    ported(`${name}: open a data file`, async () => {
      try {
        return await dataFile(container)
      } catch (cause) {
        throw isGone(cause) ? await gone(cid, container, cause) : cause
      }
    })

  async function read(cid: CID, container: Container, offset: number, length: number): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      try {
        const bytes = new Uint8Array(await (await dataFile(container)).slice(offset, offset + length).arrayBuffer())
        if (bytes.length === length) return bytes
        throw new IntegrityError(`${cid}: its data file ${container.id} is cut short`, { cid })
      } catch (cause) {
        // A `File` is of one moment: somebody has written to it since.
        const isStale = isGone(cause) || (cause instanceof DOMException && cause.name === 'NotReadableError')
        if (isStale) files.delete(container.id)
        if (isStale && tries === 1) continue
        throw isGone(cause) ? await gone(cid, container, cause) : cause
      }
    }
  }

  const blockAt = (cid: CID, location: Location): Promise<Uint8Array> =>
    ported(`${name}: get ${cid}`, () => readBlock(cid, location))

  async function readBlock(cid: CID, location: Location): Promise<Uint8Array> {
    if ('node' in location) {
      await verify(cid, location.node)
      return location.node.slice()
    }
    if ('leaf' in location) {
      const { container, leaf } = location
      const { offset, length } = container.outboard.leaf(leaf)
      return verifyLeaf(container.outboard, leaf, await read(cid, container, offset, length))
    }
    const bytes = await read(cid, location.container, location.offset, location.length)
    await verify(cid, bytes)
    return bytes
  }

  async function block(cid: CID): Promise<Uint8Array> {
    let damage: unknown
    for (const location of catalogue.blocks.get(blockKey(cid))?.locations.toReversed() ?? []) {
      try {
        return await blockAt(cid, location)
      } catch (error) {
        // It was freed meanwhile, and may be in another place.
        if (codeOf(error) === 'NOT_FOUND') return block(cid)
        if (codeOf(error) !== 'INTEGRITY') throw error
        damage ??= error
      }
    }
    throw damage ?? new BlockNotFoundError(cid)
  }

  async function findStrays(): Promise<StrayFile[]> {
    const found: StrayFile[] = []
    // What is in no frame may be what another tab writes just now.
    if (readOnly) return found
    for (const id of await medium.list()) {
      if (catalogue.containers.has(id) || staged.has(id)) continue
      const file = await ifThere(medium.file(id))
      if (file) found.push({ id, bytes: file.size })
    }
    return found
  }

  /** Before what the index says of them: killed meanwhile, it lists files that are gone and that nobody misses. */
  async function dropStrays(strays: readonly StrayFile[]): Promise<void> {
    await sweep(strays.map(({ id }) => id))
    const drops = [...catalogue.strays].map((id): Change => ({ type: 'drop', id }))
    if (!isCut) return commit(drops)
    await ported(`${name}: the index`, () => medium.truncateIndex(indexBytes))
    isCut = false
    await catalogue.apply(drops)
  }

  async function sweep(ids: Iterable<string>): Promise<void> {
    for (const id of ids) {
      files.delete(id)
      await ported(`${name}: remove a data file`, () => medium.remove(id))
    }
  }

  return {
    name,
    catalogue,
    medium,
    freeing,
    commit,
    block,
    blockAt,
    dataFile: openFile,
    freshFile: (cid, container) => {
      files.delete(container.id)
      return openFile(cid, container)
    },
    stands: ({ entry }, file) => entry.size === file.size && entry.modified === file.lastModified,
    assertUsable,
    isCurrent: () => ported(`${name}: the index`, isCurrent),
    catchUp: () => ported(`${name}: the index`, catchUp),
    staged,
    strays: () => ported(`${name}: look for strays`, findStrays),
    dropStrays,
    sweep,
    close: () => ported(`${name}: close`, () => medium.close()),
  }
}
