import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

import { readDirectory, type Block, type CID, type GetBlock, type NodeLink } from '@x/cid'
import {
  BackendError,
  ConflictError,
  type AbortOptions,
  type NameRecord,
  type RecordChange,
  type Records,
  type StoredRoot,
} from '@x/storage-core'
import { blockKey, codeOf, untilAborted } from '@x/storage-core/backend'

import { cleanUp } from '../clean-up.ts'
import { getHeldBlock, isHeld } from '../get-block.ts'
import { importBlocks } from '../import-blocks.ts'
import type { Mfs } from '../mfs.ts'
import { isPinOfContent, pinTypeOf, type KuboPin, type Pins } from '../pins.ts'
import type { Rpc } from '../rpc/rpc.ts'
import type { Bookkeeping, RecordBlocks } from './bookkeeping.ts'
import { createReadings, type Readings } from './readings.ts'
import { damaged, EMPTY_SHARD, type KeptRoot, type RecordShard } from './record-shard.ts'
import { buildShard, buildTree, readShard, readTree, recordBlocks, shardOf, type RecordTree } from './record-tree.ts'

export interface KuboRecordsParts {
  rpc: Rpc
  mfs: Mfs
  pins: Pins
  bookkeeping: Bookkeeping
  /** The directory in MFS with a version of the records in it, or a few for a moment. */
  path: string
}

export interface KuboRecords extends Records, RecordBlocks {
  root(cid: CID, options?: AbortOptions): Promise<KeptRoot | undefined>
  /** All of them, of one version. */
  tables(options?: AbortOptions): Promise<RecordTables>
  /**
   * A commit of changes that follow from the records as they are just before it, whatever others commit meanwhile. Pins are
   * taken away by it, and none is made.
   *
   * @returns What was changed.
   */
  update(decide: Decide, options?: AbortOptions): Promise<readonly RecordChange[]>
}

export interface RecordTables {
  roots: readonly KeptRoot[]
  names: readonly NameRecord[]
}

/** Called for each version that a commit may follow, so maybe several times. */
type Decide = (tables: RecordTables) => Promise<readonly RecordChange[]>

/** The newest version of the records: an entry in MFS, whose name is its number. */
interface Head {
  sequence: number
  cid: CID
  /** Entries of versions that are not needed any more. */
  older: readonly string[]
}

interface Version {
  tree: RecordTree
  shard(number: string): Promise<RecordShard>
  /** Of the top, or of a shard's directory. */
  blocks(directory: CID): Promise<CID[]>
}

/** A pin that a commit has made. */
interface MadePin {
  cid: CID
  /** The pin of the block alone that was there. */
  direct: KuboPin | undefined
  /** `pinnedAt` of its record before. */
  before: string | undefined
}

type ChangesTo = (version: Version | undefined) => Promise<readonly RecordChange[]>

// Each one that fails has let another one in.
const MOST_TRIES = 200

/**
 * Roots and names of a daemon, kept in the daemon itself. All of them are one immutable directory; a commit makes the next
 * one and links it in MFS under the next number, which only one of several can do. The directory links the roots, which
 * keeps them from the daemon's collections for as long as they are recorded. Pins are the daemon's own.
 */
export function createKuboRecords(parts: KuboRecordsParts): KuboRecords {
  const { rpc, mfs, pins, bookkeeping, path } = parts
  const get: GetBlock = (cid, options) => getHeldBlock(rpc, cid, options)
  let listed: { directory: CID; head: Head | undefined } | undefined
  let cached: { tree: RecordTree; shards: Readings<RecordShard>; blocks: Readings<CID[]> } | undefined

  /** @param known - What `path` is at this moment, where the caller has just asked. */
  async function head(options: AbortOptions, known?: { directory: CID | undefined }): Promise<Head | undefined> {
    const directory = known ? known.directory : await mfs.stat(path, options)
    if (directory === undefined) return undefined
    if (listed?.directory.equals(directory)) return listed.head
    const entries: { sequence: number; cid: CID }[] = []
    for await (const { name, cid } of readDirectory(get, directory, options)) {
      if (/^[1-9]\d{0,14}$/.test(name)) entries.push({ sequence: Number(name), cid })
    }
    const [newest, ...older] = entries.toSorted((a, b) => b.sequence - a.sequence)
    listed = { directory, head: newest && { ...newest, older: older.map(({ sequence }) => String(sequence)) } }
    return listed.head
  }

  async function versionAt(cid: CID, { signal }: AbortOptions): Promise<Version> {
    if (!cached?.tree.cid.equals(cid)) {
      const tree = await readTree(get, cid, { signal })
      const directories = [cid, ...[...tree.shards.values()].map((link) => link.cid)]
      const { shards, blocks } = cached ?? {}
      cached = { tree, shards: createReadings(directories, shards), blocks: createReadings(directories, blocks) }
    }
    const { tree, shards, blocks } = cached
    // Read without the signal: others may wait for the same one.
    return {
      tree,
      shard(number) {
        const directory = tree.shards.get(number)?.cid
        if (directory === undefined) return Promise.resolve(EMPTY_SHARD)
        return untilAborted(
          shards.get(directory, () => readShard(get, directory, {})),
          signal,
        )
      },
      blocks: (directory) =>
        untilAborted(
          blocks.get(directory, () => recordBlocks(get, directory, {})),
          signal,
        ),
    }
  }

  /** Reads the newest version, again when it was replaced and collected meanwhile. */
  async function reading<T>(options: AbortOptions, task: (version: Version | undefined) => Promise<T>): Promise<T> {
    let last: CID | undefined
    for (;;) {
      options.signal?.throwIfAborted()
      const newest = await head(options)
      try {
        return await task(newest && (await versionAt(newest.cid, options)))
      } catch (error) {
        if (codeOf(error) !== 'NOT_FOUND' || newest === undefined) throw error
        if (last?.equals(newest.cid)) throw damaged('a block is missing, so that version', error)
        last = newest.cid
      }
    }
  }

  const findRoot = (cid: CID, options: AbortOptions = {}): Promise<KeptRoot | undefined> =>
    reading(options, async (version) => {
      const key = blockKey(cid)
      return (await version?.shard(shardOf('root', key)))?.roots.get(key)
    })

  const tables = (options: AbortOptions = {}): Promise<RecordTables> => reading(options, tablesOf)

  /** What is to be made of a version; `undefined` when it was replaced, and collected, while it was read. */
  async function plan(newest: Head | undefined, changesTo: ChangesTo, options: AbortOptions) {
    try {
      const version = newest && (await versionAt(newest.cid, options))
      const changes = await changesTo(version)
      return { version, changes, shards: await applyTo(version, changes) }
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND' && newest && !(await head(options))?.cid.equals(newest.cid)) return undefined
      throw error
    }
  }

  /** Applies changes to the version that is the newest, and makes the next one of it. `undefined`: others were faster. */
  async function tryCommit(changesTo: ChangesTo, options: AbortOptions): Promise<readonly RecordChange[] | undefined> {
    const newest = await head(options, await bookkeeping.noteDirectories(options))
    const planned = await plan(newest, changesTo, options)
    if (planned === undefined) return undefined
    const { version, changes, shards } = planned
    if (shards.size === 0) return changes
    const blocks = new Map<string, Block>()
    const onBlock = (block: Block): void => void blocks.set(block.cid.toString(), copy(block))
    const links = new Map<string, NodeLink>(version?.tree.shards)
    for (const [number, shard] of shards) {
      if (shard.roots.size + shard.names.size === 0) links.delete(number)
      else links.set(number, await buildShard(shard, onBlock, options))
    }
    const id = randomUUID()
    const { commit } = version?.tree ?? {}
    const previous = commit ? [commit.id, ...commit.previous] : []
    const cid = await buildTree(links, { id, previous }, onBlock, options)
    for (const block of blocks.values()) bookkeeping.own(block.cid)
    await putBlocks(blocks.values(), options)
    const sequence = (newest?.sequence ?? 0) + 1
    // What these steps leave of the directories is noted after each.
    if (!newest) {
      await mfs.makeDirectory(path, options)
      await bookkeeping.noteDirectories(options)
    }
    options.signal?.throwIfAborted()
    // Without the signal from here on: a commit is made, or it is not.
    const failure = await mfs.link(cid, `${path}/${sequence}`).then(
      () => undefined,
      (cause: unknown) => ({ cause }),
    )
    // A collection may have come between the blocks and their link. From now on none takes them.
    // Where the link failed too, that came first.
    const [at] = await Promise.all([bookkeeping.noteDirectories(), putMissing(blocks.values(), {})]).catch(
      (error: unknown) => {
        throw failure ? failure.cause : error
      },
    )
    const now = await head({}, at)
    if (!now || !(await isAfter(now, { id, cid }, {}))) {
      // Others were faster, and their versions have gone again; ours would hide theirs from nobody.
      if (now && now.sequence > sequence) await mfs.remove([`${path}/${sequence}`])
      // Where the answer was lost, what it was is known now. One block that a collection took first is put again.
      if (failure && codeOf(failure.cause) !== 'NOT_FOUND') throw failure.cause
      return undefined
    }
    await dropOlder(now)
    return changes
  }

  /** Whether a commit is the newest version, or one that this was made of. */
  async function isAfter(now: Head, { id, cid }: { id: string; cid: CID }, options: AbortOptions): Promise<boolean> {
    if (now.cid.equals(cid)) return true
    const { commit } = (await versionAt(now.cid, options)).tree
    return commit.id === id || commit.previous.includes(id)
  }

  async function dropOlder({ older }: Head): Promise<void> {
    try {
      for (const name of older) {
        await mfs.remove([`${path}/${name}`])
        await bookkeeping.noteDirectories()
      }
    } catch (error) {
      // The commit is made; whoever makes the next one removes them.
      if (codeOf(error) !== 'BACKEND') throw error
    }
  }

  const putBlocks = (blocks: Iterable<Block>, { signal }: AbortOptions): Promise<void> =>
    importBlocks(rpc, blocks, { what: 'commit records', signal })

  async function putMissing(blocks: Iterable<Block>, options: AbortOptions): Promise<void> {
    const all = [...blocks]
    const held = await Promise.all(all.map(({ cid }) => isHeld(rpc, cid, options)))
    const missing = all.filter((_, index) => !held[index])
    if (missing.length > 0) await putBlocks(missing, options)
  }

  async function make(changesTo: ChangesTo, options: AbortOptions): Promise<readonly RecordChange[]> {
    for (let tries = 1; ; tries++) {
      const changes = await tryCommit(changesTo, options)
      if (changes) {
        for (const change of changes) if (change.type === 'delete-pin') await dropPin(change.cid, undefined, options)
        return changes
      }
      if (tries === MOST_TRIES) {
        throw new BackendError('kubo: the records could not be changed: others change them all the time', {
          retryable: true,
        })
      }
      await delay(randomInt(1, 5 + 5 * tries), undefined, { signal: options.signal }).catch((error: unknown) => {
        options.signal?.throwIfAborted()
        throw error
      })
    }
  }

  const commit: Records['commit'] = async (changes, options = {}) => {
    const { signal } = options
    const made: MadePin[] = []
    const found: CID[] = []
    try {
      for (const change of changes) {
        if (change.type !== 'put-pin') continue
        const { cid } = change.record
        if (await isPinned(cid, options)) {
          found.push(cid)
          continue
        }
        const { pinnedAt } = (await findRoot(cid, options)) ?? {}
        // A daemon has one pin of a block: that of the block alone, and its name, would be lost.
        const direct = await pins.direct(cid, options)
        made.push({ cid, direct, before: pinnedAt })
        await pins.pin(cid, { type: pinTypeOf(cid), name: direct?.name, signal })
      }
      await make(async () => changes, options)
    } catch (error) {
      // Without the signal: who gave up must not leave a pin behind.
      await cleanUp(Promise.allSettled(made.map(takeBack)), { signal })
      signal?.throwIfAborted()
      throw error
    }
    // Who made them may have taken them back just before. What is recorded is kept meanwhile.
    for (const cid of found) if (!(await isPinned(cid, {}))) await pins.pin(cid, { type: pinTypeOf(cid) })
  }

  const isPinned = async (cid: CID, options: AbortOptions): Promise<boolean> =>
    (await pins.of(cid, options)).some(isPinOfContent)

  async function takeBack({ cid, direct, before }: MadePin): Promise<void> {
    const isDropped = await dropPin(cid, before, {})
    if (isDropped && direct) await pins.pin(direct.cid, { type: 'direct', name: direct.name })
  }

  /**
   * Takes away the pin of a root, unless it was pinned through a store since its record said `before`: who did found this
   * pin, and made none.
   *
   * @returns Whether it has gone.
   */
  async function dropPin(cid: CID, before: string | undefined, options: AbortOptions): Promise<boolean> {
    const isWanted = async (): Promise<boolean> => {
      const { pinnedAt } = (await findRoot(cid, options)) ?? {}
      return pinnedAt !== undefined && pinnedAt !== before
    }
    if (await isWanted()) return false
    await pins.unpin(cid, options)
    // Or found it just before. What is recorded is kept meanwhile.
    const isStill = await isWanted()
    if (isStill) await pins.pin(cid, { type: pinTypeOf(cid), signal: options.signal })
    return !isStill
  }

  return {
    root: findRoot,
    tables,
    update: (decide, options = {}) => make(async (version) => decide(await tablesOf(version)), options),
    async *roots(options) {
      for (const { pinnedAt: _pinnedAt, ...root } of (await tables(options)).roots) {
        yield root satisfies StoredRoot
        options?.signal?.throwIfAborted()
      }
    },
    async pin(cid, options = {}) {
      const pin = (await pins.of(cid, options)).find(isPinOfContent)
      const { pinnedAt } = (pin && (await findRoot(pin.cid, options))) ?? {}
      // One that nobody has recorded may be that of a commit that fails yet, so who relies on it records it.
      return pin && pinnedAt !== undefined ? { cid: pin.cid, pinnedAt } : undefined
    },
    async *pins(options = {}) {
      const pinnedAt = new Map<string, string | undefined>()
      for (const root of (await tables(options)).roots) pinnedAt.set(blockKey(root.cid), root.pinnedAt)
      const seen = new Set<string>()
      for (const type of ['recursive', 'direct'] as const) {
        for await (const pin of pins.list({ type, signal: options.signal })) {
          const key = blockKey(pin.cid)
          if (!isPinOfContent(pin) || seen.has(key)) continue
          seen.add(key)
          const at = pinnedAt.get(key)
          yield at === undefined ? { cid: pin.cid } : { cid: pin.cid, pinnedAt: at }
          options.signal?.throwIfAborted()
        }
      }
    },
    name: (of, options = {}) =>
      reading(options, async (version) => (await version?.shard(shardOf('name', of)))?.names.get(of)),
    async *names(options) {
      const { names } = await tables(options)
      for (const record of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
        yield record
        options?.signal?.throwIfAborted()
      }
    },
    commit,
    close: async () => {
      cached = undefined
    },
    current: (options) =>
      reading(options, async (version) => {
        if (!version) return []
        const { cid, shards } = version.tree
        const directories = [cid, ...[...shards.values()].map((link) => link.cid)]
        const cids: CID[] = []
        for (const some of inGroups(directories, 8))
          cids.push(...(await Promise.all(some.map((at) => version.blocks(at)))).flat())
        return cids
      }),
    async *kept(options) {
      const { roots, names } = await tables(options)
      for (const { cid } of [...roots, ...names]) yield cid
    },
  }
}

async function tablesOf(version: Version | undefined): Promise<RecordTables> {
  const roots: KeptRoot[] = []
  const names: NameRecord[] = []
  if (!version) return { roots, names }
  for (const some of inGroups([...version.tree.shards.keys()], 8)) {
    for (const shard of await Promise.all(some.map((number) => version.shard(number)))) {
      roots.push(...shard.roots.values())
      names.push(...shard.names.values())
    }
  }
  return { roots, names }
}

/** The shards as they are after the changes, those alone that differ. */
async function applyTo(
  version: Version | undefined,
  changes: readonly RecordChange[],
): Promise<Map<string, RecordShard>> {
  const changed = new Map<string, { roots: Map<string, KeptRoot>; names: Map<string, NameRecord> }>()
  const shardFor = async (kind: 'root' | 'name', key: string) => {
    const number = shardOf(kind, key)
    const known = changed.get(number)
    if (known) return { number, shard: known }
    const { roots, names } = (await version?.shard(number)) ?? EMPTY_SHARD
    return { number, shard: { roots: new Map(roots), names: new Map(names) } }
  }
  for (const change of changes) await assertExpected(change, shardFor)
  for (const change of changes) {
    if (change.type === 'put-name' || change.type === 'delete-name') {
      const name = change.type === 'put-name' ? change.record.name : change.name
      const { number, shard } = await shardFor('name', name)
      if (change.type === 'put-name') shard.names.set(name, change.record)
      else if (!shard.names.delete(name)) continue
      changed.set(number, shard)
      continue
    }
    const key = blockKey(change.type === 'delete-root' || change.type === 'delete-pin' ? change.cid : change.record.cid)
    const { number, shard } = await shardFor('root', key)
    const before = shard.roots.get(key)
    if (change.type === 'put-root') shard.roots.set(key, { ...pinTime(before?.pinnedAt), ...change.record })
    else if (before === undefined) continue
    else if (change.type === 'delete-root') shard.roots.delete(key)
    else {
      const { pinnedAt: _before, ...rest } = before
      shard.roots.set(key, { ...rest, ...pinTime(change.type === 'put-pin' ? change.record.pinnedAt : undefined) })
    }
    changed.set(number, shard)
  }
  return changed
}

const pinTime = (pinnedAt: string | undefined): { pinnedAt?: string } => (pinnedAt === undefined ? {} : { pinnedAt })

async function assertExpected(
  change: RecordChange,
  shardFor: (kind: 'root' | 'name', key: string) => Promise<{ shard: RecordShard }>,
): Promise<void> {
  if (change.type !== 'put-name' && change.type !== 'delete-name') return
  const { expected } = change
  if (expected === undefined) return
  const name = change.type === 'put-name' ? change.record.name : change.name
  const current = (await shardFor('name', name)).shard.names.get(name)?.cid
  const meets =
    expected === null ? current === undefined : current !== undefined && blockKey(current) === blockKey(expected)
  if (meets) return
  const points = current === undefined ? 'is free' : `points to ${current}`
  throw new ConflictError(`name ${JSON.stringify(name)} ${points}`, { current })
}

const copy = ({ cid, bytes }: Block): Block => ({ cid, bytes: bytes.slice() })

function* inGroups<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
