import { DAG_PB, InvalidInputError, readDirectory, readNode, type CID, type GetBlock, type NodeLink } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSource } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import type { ContentStat } from './content-store.ts'
import { atPlace, joinPath } from './place.ts'
import { openSession } from './planned-session.ts'
import { createSlots } from './slots.ts'

/** Finds out what is at a CID, and how many bytes are below it. */
export interface DagStat {
  /**
   * @param file - Its path, for errors.
   * @throws {InvalidInputError} It is over 256 directories deep, or holds over 2^53 bytes.
   */
  statOf(cid: CID, file: string): Promise<ContentStat>
  /** Stops what is on its way. */
  close(): void
}

/** Of one block. A directory's size takes more. */
type Found = { type: 'file'; size: number } | { type: 'symlink'; target: string } | { type: 'directory' | 'shard' }

// Deeper than any real tree.
const MAX_DEPTH = 256

// Entries of a directory that are looked up before their turn; also the most blocks that are read at a time.
const ENTRIES_AHEAD = 8

// Of directories that were looked up and not entered yet, so that they need not be read again.
const MOST_KEPT_BYTES = 4 * 1024 * 1024

// Of a symlink. A longer one is no path, and is not kept.
const LONGEST_TARGET = 4096

/** For one call over a DAG: what is linked many times is looked up once, and a few blocks are read at a time. */
export function createDagStat(blocks: BlockSource, { signal: ofCall }: AbortOptions): DagStat {
  const closing = new AbortController()
  const signal = ofCall ? AbortSignal.any([ofCall, closing.signal]) : closing.signal
  const turns = createSlots(ENTRIES_AHEAD)
  const found = new Map<string, Promise<Found>>()
  const sizes = new Map<string, Promise<number>>()
  const kept = createKeptBlocks(MOST_KEPT_BYTES)

  async function look(cid: CID, file: string): Promise<Found> {
    const get: GetBlock = async (wanted, options) => {
      const bytes = await turns.run(() => blocks.get(wanted, options))
      if (wanted.code === DAG_PB) kept.add(blockKey(wanted), bytes)
      return bytes
    }
    const node = await readNode(get, cid, { signal }).catch((error: unknown) => {
      throw atPlace(error, { file })
    })
    const isDirectory = node.type === 'directory' || node.type === 'shard'
    if (!isDirectory) kept.take(blockKey(cid))
    if (node.type === 'file') return { type: 'file', size: node.fileBytes }
    return node.type === 'symlink' ? { type: 'symlink', target: node.target } : { type: node.type }
  }

  function find(cid: CID, file: string): Promise<Found> {
    const key = blockKey(cid)
    const before = found.get(key)
    if (before) return before
    const finding = look(cid, file)
    found.set(key, finding)
    // Whoever waits for it hears of a failure.
    finding.then(
      (it) => it.type === 'symlink' && it.target.length > LONGEST_TARGET && found.delete(key),
      () => undefined,
    )
    return finding
  }

  const held = async (cid: CID): Promise<Uint8Array | undefined> => kept.take(blockKey(cid))

  async function* entriesOf(cid: CID, type: 'directory' | 'shard', file: string): AsyncGenerator<NodeLink> {
    const get: GetBlock = async (wanted, options) =>
      (await held(wanted)) ?? turns.run(() => blocks.get(wanted, options))
    // A session asks for the other shards before their turn.
    const session = type === 'shard' ? openSession(blocks, cid, { scope: 'entity', held, signal }) : undefined
    try {
      yield* readDirectory(session?.get ?? get, cid, { signal })
    } catch (error) {
      throw atPlace(error, { file })
    } finally {
      await session?.close()
    }
  }

  async function sumOf(cid: CID, type: 'directory' | 'shard', file: string, depth: number): Promise<number> {
    if (depth > MAX_DEPTH) throw new InvalidInputError(`${cid} is over ${MAX_DEPTH} levels deep`, { input: `${cid}` })
    let size = 0
    const add = async ({ name, cid: below }: NodeLink): Promise<void> => {
      const path = joinPath(file, name)
      const entry = await find(below, path)
      if (entry.type === 'symlink') return
      size += entry.type === 'file' ? entry.size : await sizeOf(below, entry.type, path, depth + 1)
      if (!Number.isSafeInteger(size)) {
        throw new InvalidInputError(`the files below ${cid} have over 2^53 bytes`, { input: `${cid}` })
      }
    }
    const coming: NodeLink[] = []
    for await (const link of entriesOf(cid, type, file)) {
      coming.push(link)
      // Looked up now, so that it is there in its turn. One directory is entered at a time.
      void find(link.cid, joinPath(file, link.name))
      const first = coming.length > ENTRIES_AHEAD ? coming.shift() : undefined
      if (first) await add(first)
    }
    for (const last of coming) await add(last)
    return size
  }

  function sizeOf(cid: CID, type: 'directory' | 'shard', file: string, depth: number): Promise<number> {
    const key = blockKey(cid)
    const before = sizes.get(key)
    if (before) return before
    const summing = sumOf(cid, type, file, depth)
    // Every directory that has it hears of a failure, in its turn.
    summing.catch(() => undefined)
    sizes.set(key, summing)
    return summing
  }

  return {
    async statOf(cid, file) {
      const entry = await find(cid, file)
      if (entry.type === 'file') return { cid, ...entry }
      if (entry.type === 'symlink') return { cid, ...entry, size: new TextEncoder().encode(entry.target).length }
      return { cid, type: 'directory', size: await sizeOf(cid, entry.type, file, 0) }
    },
    close: () => closing.abort(new Error('nobody waits for it')),
  }
}

interface KeptBlocks {
  add(key: string, bytes: Uint8Array): void
  take(key: string): Uint8Array | undefined
}

/** Blocks that will be wanted once more; the oldest go first. */
function createKeptBlocks(mostBytes: number): KeptBlocks {
  const blocks = new Map<string, Uint8Array>()
  let byteLength = 0
  const take = (key: string): Uint8Array | undefined => {
    const bytes = blocks.get(key)
    if (bytes && blocks.delete(key)) byteLength -= bytes.length
    return bytes
  }
  return {
    add(key, bytes) {
      take(key)
      blocks.set(key, bytes)
      byteLength += bytes.length
      for (const oldest of blocks.keys()) {
        if (byteLength <= mostBytes) break
        take(oldest)
      }
    },
    take,
  }
}
