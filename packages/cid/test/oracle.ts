import { CID, type Block, type GetBlock, type ProfileName } from '@x/cid'
import { importer, type ImportCandidate, type ImporterOptions } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'

export const PROFILE_NAMES: readonly ProfileName[] = ['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1']

/** Blocks by CID, for @x/cid and for the reference packages. Counts what is read. */
export class Blocks {
  readonly held: Map<string, Uint8Array> = new Map()
  readonly read: string[] = []

  readonly add: (block: Block) => void = ({ cid, bytes }) => {
    // The builder may use the bytes again.
    this.held.set(cid.toV1().toString(), bytes.slice())
  }

  readonly getBlock: GetBlock = async (cid) => {
    const bytes = this.held.get(cid.toV1().toString())
    if (!bytes) throw new Error(`not held: ${cid}`)
    this.read.push(cid.toString())
    return bytes
  }

  async put(cid: CID, bytes: unknown): Promise<CID> {
    if (!(bytes instanceof Uint8Array)) throw new Error('the reference puts whole blocks')
    this.held.set(cid.toV1().toString(), bytes)
    return cid
  }

  async *get(cid: CID): AsyncGenerator<Uint8Array> {
    yield await this.getBlock(cid, {})
  }
}

/** Made anew for every call: the importer writes into it, so that a second profile would get the first one's values. */
function importerOptions(profile: ProfileName): ImporterOptions {
  if (profile !== 'kubo-v1') return { profile }
  return {
    cidVersion: 1,
    rawLeaves: true,
    chunker: fixedSize({ chunkSize: 262_144 }),
    layout: balanced({ maxChildrenPerNode: 174 }),
    shardSplitStrategy: 'links-bytes',
  }
}

export interface Imported {
  cid: string
  /** What Tsize of a link to it says. */
  dagBytes: number
}

/** What `ipfs-unixfs-importer` makes of it. The last entry of the tree, the root, is the result. */
export async function importWithReference(
  source: Iterable<ImportCandidate>,
  profile: ProfileName,
  blocks: Blocks = new Blocks(),
): Promise<Imported> {
  let root: Imported | undefined
  for await (const { cid, size } of importer(source, blocks, importerOptions(profile))) {
    root = { cid: cid.toString(), dagBytes: Number(size) }
  }
  if (!root) throw new Error('nothing was imported')
  return root
}

/** Bytes that look random and are the same in every run. */
export function sampleBytes(seed: number, byteLength: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(byteLength / 4))
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return new Uint8Array(words.buffer, 0, byteLength)
}

/** Cuts bytes into pieces of these sizes, over and over. */
export function* inPieces(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(start, start + size)
    start += size
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export const concat = async (pieces: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await collect(pieces))
