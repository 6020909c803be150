import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'

import { InvalidInputError, UnsupportedError } from './errors.ts'
import { DAG_PB, RAW, sha256 } from './hash.ts'
import { readUnixfsData, type UnixfsMessage } from './read-unixfs-data.ts'
import { encodeUnixfsData, type UnixfsData } from './unixfs-data.ts'

/** A child of a file node. */
export interface FileLink {
  cid: CID
  /** Bytes of the file below it. */
  fileBytes: number
}

/** An entry of a directory, or of one shard of it. */
export interface NodeLink {
  name: string
  cid: CID
  /** Bytes of all blocks below it, what a link's Tsize says. */
  dagBytes: number
}

/** A decoded block of a UnixFS DAG. */
export type UnixfsNode =
  | { type: 'file'; data: Uint8Array; children: FileLink[]; fileBytes: number; mode?: number | undefined }
  | { type: 'directory'; links: NodeLink[] }
  | { type: 'shard'; links: NodeLink[]; fanout: number; prefixLength: number }
  | { type: 'symlink'; target: string }

export interface Block {
  cid: CID
  bytes: Uint8Array
}

const EMPTY = new Uint8Array()

export function malformed(cid: CID, why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`${cid} is not a valid UnixFS node: ${why}`, { input: cid.toString(), cause })
}

/**
 * Decodes one block. Its bytes must have been verified.
 *
 * @throws {InvalidInputError} It is not UnixFS, or contradicts itself.
 * @throws {UnsupportedError} A codec other than raw and dag-pb, or a UnixFS type that is not read.
 */
export function decodeNode(cid: CID, bytes: Uint8Array): UnixfsNode {
  if (cid.code === RAW) return { type: 'file', data: bytes, children: [], fileBytes: bytes.length }
  if (cid.code !== DAG_PB) {
    throw new UnsupportedError(`${cid} has codec 0x${cid.code.toString(16)}; UnixFS is raw or dag-pb`)
  }
  let node: dagPb.PBNode
  let unixfs: UnixfsMessage
  try {
    node = dagPb.decode(bytes)
    if (node.Data === undefined) throw new Error('it has no data')
    unixfs = readUnixfsData(node.Data)
  } catch (cause) {
    throw malformed(cid, cause instanceof Error ? cause.message : String(cause), cause)
  }
  if (unixfs.type === 'file' || unixfs.type === 'raw') return fileNode(cid, node, unixfs)
  if (unixfs.type === 'symlink') {
    return { type: 'symlink', target: symlinkTarget(cid, unixfs.data ?? EMPTY) }
  }
  const links = node.Links.map((link) => ({ name: link.Name ?? '', cid: link.Hash, dagBytes: link.Tsize ?? 0 }))
  if (unixfs.type === 'directory') return { type: 'directory', links }
  if (unixfs.type === 'shard') {
    const { fanout, prefixLength } = shardShape(cid, unixfs)
    const short = links.find((link) => link.name.length < prefixLength)
    if (short) throw malformed(cid, `the shard's link ${JSON.stringify(short.name)} has no slot`)
    return { type: 'shard', links, fanout, prefixLength }
  }
  throw new UnsupportedError(`${cid}: UnixFS type ${unixfs.type} is not read`)
}

/** @throws {InvalidInputError} A fanout that is not read. */
export function shardShape(cid: CID, { fanout = 256 }: UnixfsMessage): { fanout: number; prefixLength: number } {
  // The largest that Kubo reads; the prefix of a link's name is the slot in hexadecimal.
  if (fanout < 2 || fanout > 1024 || (fanout & (fanout - 1)) !== 0) throw malformed(cid, `fanout ${fanout}`)
  return { fanout, prefixLength: (fanout - 1).toString(16).length }
}

function symlinkTarget(cid: CID, data: Uint8Array): string {
  try {
    // `ignoreBOM` means: keep it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
  } catch (cause) {
    throw malformed(cid, 'the target of the symlink is not UTF-8', cause)
  }
}

function fileNode(cid: CID, node: dagPb.PBNode, unixfs: UnixfsMessage): UnixfsNode {
  const data = unixfs.data ?? EMPTY
  if (unixfs.blockSizes.length !== node.Links.length) {
    throw malformed(cid, `${node.Links.length} links and ${unixfs.blockSizes.length} block sizes`)
  }
  const children = node.Links.map((link, index) => ({
    cid: link.Hash,
    fileBytes: unixfs.blockSizes[index] ?? 0,
  }))
  const fileBytes = children.reduce((sum, child) => sum + child.fileBytes, data.length)
  if (!Number.isSafeInteger(fileBytes)) throw malformed(cid, 'its size is over 2^53 bytes')
  return { type: 'file', data, children, fileBytes, mode: unixfs.mode }
}

/** A dag-pb block with its CID. Links are sorted by name, as directories want it; files have empty names. */
async function encodeNode(cidVersion: 0 | 1, unixfs: UnixfsData, links: dagPb.PBLink[]): Promise<Block> {
  const bytes = nodeBytes(unixfs, links)
  const digest = await sha256.digest(bytes)
  return { cid: cidVersion === 0 ? CID.createV0(digest) : CID.createV1(DAG_PB, digest), bytes }
}

const nodeBytes = (unixfs: UnixfsData, links: dagPb.PBLink[]): Uint8Array =>
  dagPb.encode({ Data: encodeUnixfsData(unixfs), Links: links })

const wrappedLeaf = (data: Uint8Array): UnixfsData => ({ type: 'file', data, fileSize: data.length })

/** A leaf that is not raw: the file's bytes wrapped in a dag-pb node. */
export async function encodeWrappedLeaf(cidVersion: 0 | 1, data: Uint8Array): Promise<Block> {
  return encodeNode(cidVersion, wrappedLeaf(data), [])
}

/** The block of a wrapped leaf, in memory of its own. */
export const wrapLeaf = (data: Uint8Array): Uint8Array => nodeBytes(wrappedLeaf(data), [])

/** An interior node of a file. */
export async function encodeFileNode(
  cidVersion: 0 | 1,
  children: readonly { cid: CID; fileBytes: number; dagBytes: number }[],
): Promise<Block> {
  const blockSizes = children.map((child) => child.fileBytes)
  const fileSize = blockSizes.reduce((sum, size) => sum + size, 0)
  return encodeNode(
    cidVersion,
    { type: 'file', fileSize, blockSizes },
    children.map((child) => ({ Name: '', Tsize: child.dagBytes, Hash: child.cid })),
  )
}

export async function encodeSymlink(cidVersion: 0 | 1, target: string): Promise<Block> {
  return encodeNode(cidVersion, { type: 'symlink', data: new TextEncoder().encode(target) }, [])
}

const toPbLink = ({ name, cid, dagBytes }: NodeLink): dagPb.PBLink => ({ Name: name, Tsize: dagBytes, Hash: cid })

/** @param links - Sorted by the UTF-8 bytes of their names. */
export async function encodeDirectory(cidVersion: 0 | 1, links: readonly NodeLink[]): Promise<Block> {
  return encodeNode(cidVersion, { type: 'directory' }, links.map(toPbLink))
}

/**
 * One shard of a large directory.
 *
 * @param links - In the order of their slots, names prefixed with the slot.
 * @param bitfield - Slots in use, big-endian, without leading zero bytes.
 */
export async function encodeShard(
  cidVersion: 0 | 1,
  fanout: number,
  bitfield: Uint8Array,
  links: readonly NodeLink[],
): Promise<Block> {
  const MURMUR3_X64_64 = 0x22
  return encodeNode(
    cidVersion,
    { type: 'shard', data: bitfield, hashType: MURMUR3_X64_64, fanout },
    links.map(toPbLink),
  )
}
