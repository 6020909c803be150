import { createHash } from 'node:crypto'

import {
  buildDirectory,
  buildFile,
  CID,
  DAG_PB,
  RAW,
  readDirectory,
  readFile,
  readNode,
  walkDag,
  type Block,
  type GetBlock,
  type NodeLink,
} from '@x/cid'
import type { AbortOptions } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

import { damaged, decodeShard, encodeShard, type RecordShard } from './record-shard.ts'

/** One version of all records: an immutable directory. */
export interface RecordTree {
  cid: CID
  /** By the number of a shard, the directory it is in. */
  shards: ReadonlyMap<string, NodeLink>
  commit: CommitNote
}

/** Which commit this is, so that one who was interrupted can tell whether it was made. */
export interface CommitNote {
  id: string
  /** The commits before it, the newest first; at most `REMEMBERED`. */
  previous: readonly string[]
}

const FORMAT = 1
const NOTE = 'commit.json'
const RECORDS = 'records.json'
const SHARDS = 64
const REMEMBERED = 64
/** More than the records of a million roots in one shard. */
const MAX_BYTES = 1024 * 1024 * 1024

/** The number of the shard in which a root or a name is. */
export function shardOf(kind: 'root' | 'name', key: string): string {
  const [first = 0] = createHash('sha256').update(`${kind}:${key}`).digest()
  return (first % SHARDS).toString(16).padStart(2, '0')
}

/** @throws {BackendError} It is no tree of records, or one of another format. */
export async function readTree(get: GetBlock, cid: CID, options: AbortOptions): Promise<RecordTree> {
  const shards = new Map<string, NodeLink>()
  let note: CID | undefined
  for await (const link of readDirectory(get, cid, options)) {
    if (link.name === NOTE) note = link.cid
    else shards.set(link.name, link)
  }
  if (note === undefined) throw damaged('the top')
  return { cid, shards, commit: decodeNote(await read(get, note, options)) }
}

export async function readShard(get: GetBlock, directory: CID, options: AbortOptions): Promise<RecordShard> {
  for await (const { name, cid } of readDirectory(get, directory, options)) {
    if (name === RECORDS) return decodeShard(await read(get, cid, options))
  }
  throw damaged('a shard')
}

/** The directory of a shard: its records, and links to the roots, so that the daemon keeps them. */
export async function buildShard(
  shard: RecordShard,
  onBlock: (block: Block) => void,
  options: AbortOptions,
): Promise<NodeLink> {
  const file = await buildFile([encodeShard(shard)], { onBlock, parallel: false, ...options })
  const links: NodeLink[] = [{ name: RECORDS, cid: file.cid, dagBytes: file.dagBytes }]
  const kept = new Map<string, CID>()
  for (const { cid } of [...shard.roots.values(), ...shard.names.values()]) kept.set(blockKey(cid), cid)
  for (const [name, cid] of kept) links.push({ name, cid: keptAs(cid), dagBytes: 0 })
  const { cid, dagBytes } = await buildDirectory(links, { onBlock, ...options })
  return { name: '', cid, dagBytes }
}

export async function buildTree(
  shards: ReadonlyMap<string, NodeLink>,
  { id, previous }: CommitNote,
  onBlock: (block: Block) => void,
  options: AbortOptions,
): Promise<CID> {
  const note = { format: FORMAT, id, previous: previous.slice(0, REMEMBERED) }
  const file = await buildFile([new TextEncoder().encode(JSON.stringify(note))], {
    onBlock,
    parallel: false,
    ...options,
  })
  const links = [...shards].map(([name, { cid, dagBytes }]): NodeLink => ({ name, cid, dagBytes }))
  links.push({ name: NOTE, cid: file.cid, dagBytes: file.dagBytes })
  return (await buildDirectory(links, { onBlock, ...options })).cid
}

/** The blocks of a tree's top, or of one of its shards, without what it keeps. */
export async function recordBlocks(get: GetBlock, directory: CID, options: AbortOptions): Promise<CID[]> {
  const found: CID[] = []
  const queue = [directory]
  for (let cid = queue.pop(); cid !== undefined; cid = queue.pop()) {
    found.push(cid)
    const node = await readNode(get, cid, options)
    if (node.type !== 'directory' && node.type !== 'shard') throw damaged('a directory')
    const prefixLength = node.type === 'shard' ? node.prefixLength : 0
    for (const link of node.links) {
      const name = link.name.slice(prefixLength)
      if (node.type === 'shard' && name === '') queue.push(link.cid)
      else if (name === RECORDS || name === NOTE) {
        for await (const part of walkDag(get, link.cid, options)) found.push(part)
      }
    }
  }
  return found
}

/**
 * How a root is linked. A block of another codec as raw: a store takes it for a leaf, and the daemon, which would follow
 * its links, gives up a whole collection over a codec that it does not know.
 */
function keptAs(cid: CID): CID {
  return cid.code === DAG_PB || cid.code === RAW ? cid : CID.createV1(RAW, cid.multihash)
}

function decodeNote(bytes: Uint8Array): CommitNote {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw damaged(NOTE, cause)
  }
  if (typeof value !== 'object' || value === null || !('format' in value)) throw damaged(NOTE)
  if (value.format !== FORMAT) throw damaged(`their format ${String(value.format)}, where ${FORMAT} is known, `)
  if (!('id' in value) || typeof value.id !== 'string') throw damaged(NOTE)
  if (!('previous' in value) || !Array.isArray(value.previous)) throw damaged(NOTE)
  return { id: value.id, previous: value.previous.filter((id) => typeof id === 'string') }
}

async function read(get: GetBlock, cid: CID, options: AbortOptions): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let byteLength = 0
  for await (const piece of readFile(get, cid, options)) {
    byteLength += piece.length
    if (byteLength > MAX_BYTES) throw damaged('a file')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
