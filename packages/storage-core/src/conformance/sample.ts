import { CID, cidOf, profileOf, RAW, type ProfileName } from '@x/cid'

import type { Blockstore } from '../blockstore.ts'
import { buildSource } from '../build-source.ts'
import { concatBytes } from '../concat-bytes.ts'
import type { AddResult } from '../content-store.ts'
import { toSourceNode, type AddSource, type DirectorySource, type SourceNode } from '../source.ts'

/** Bytes that look random and are the same in every run. */
export function sampleBytes(seed: number, byteLength: number): Uint8Array<ArrayBuffer> {
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

/** Cuts bytes into pieces that fit no chunk. */
export function* inPieces(bytes: Uint8Array, pieceBytes = 100_003): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) yield bytes.subarray(start, start + pieceBytes)
}

export interface SampleBlock {
  cid: CID
  bytes: Uint8Array
}

/** A raw block that no other call returned. */
export async function randomBlock(): Promise<SampleBlock> {
  const bytes = crypto.getRandomValues(new Uint8Array(64))
  return { cid: await cidOf(RAW, bytes), bytes }
}

export type Tree = { readonly [name: string]: Uint8Array | string | Tree }

/** A directory; a string is the target of a symlink. */
export function directoryOf(tree: Tree): DirectorySource {
  return fromEntries(
    Object.entries(tree).map(([name, item]) => {
      if (typeof item === 'string') return [name, { type: 'symlink', target: item }]
      return [name, item instanceof Uint8Array ? toSourceNode(item) : directoryOf(item)]
    }),
  )
}

/** A directory with any names, good or bad. */
export const fromEntries = (entries: readonly (readonly [string, SourceNode])[]): DirectorySource => ({
  type: 'directory',
  entries: () => entries,
})

/** What @x/cid alone says that adding this gives. */
export async function expectedOf(source: AddSource, profile?: ProfileName): Promise<AddResult> {
  const { cid, type, size } = await buildSource(toSourceNode(source), { profile })
  return { cid, type, size }
}

/** A file of three full leaves and a bit. */
export const fourLeaves = (profile: ProfileName): Uint8Array =>
  sampleBytes(profile.length, 3 * profileOf(profile).chunkBytes + 5)

export async function collect<T>(items: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function concat(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return join(await collect(pieces))
}

/** As many bytes as came before the stream failed, and the failure. */
export async function readUntilError(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ bytes: Uint8Array; error: unknown }> {
  const read: Uint8Array[] = []
  try {
    for await (const piece of pieces) read.push(piece.slice())
  } catch (error) {
    return { bytes: join(read), error }
  }
  return { bytes: join(read), error: undefined }
}

export const join = (pieces: readonly Uint8Array[]): Uint8Array =>
  concatBytes(
    pieces,
    pieces.reduce((sum, piece) => sum + piece.length, 0),
  )

/** Much faster than a matcher's own comparison of megabytes, whose report nobody could read anyway. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): boolean {
  if (actual.length !== expected.length) return false
  for (let index = 0; index < actual.length; index++) if (actual[index] !== expected[index]) return false
  return true
}

export const texts = (cids: Iterable<CID>): string[] => [...cids].map(String).toSorted()

export const keysOf = async (blocks: Blockstore): Promise<string[]> => texts(await collect(blocks.list()))
