import type { CID } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import { stoppable } from './stoppable.ts'

/** Bytes that are there, or that stream in once. */
export type ByteSource =
  | Uint8Array
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>

/** A file whose bytes can be read, again if need be. */
export interface FileSource {
  type: 'file'
  /** Pieces of any size, from the first byte. Must reject when the bytes turn out not to be those of one moment. */
  open(options: AbortOptions): AsyncIterable<Uint8Array>
  /** Bytes, when known beforehand. For progress, and for a store to choose how to take it. */
  size?: number | undefined
  /** Where the same bytes are a file on this machine, for a store that reads it itself. Absolute. */
  localPath?: string | undefined
  /** The state of what is there now, as far as the system tells: while it stays the same, nobody wrote to it. */
  stamp?: ((options: AbortOptions) => Promise<string>) | undefined
  /**
   * The root of the same bytes. A store that holds it links to it, under any profile, and reads nothing; `heldFile` makes
   * one. Whether the bytes are still right is found out by reading them.
   */
  held?: CID | undefined
}

export interface SymlinkSource {
  type: 'symlink'
  target: string
}

/** A directory, one level at a time; names are checked before they are used. */
export interface DirectorySource {
  type: 'directory'
  entries(
    options: AbortOptions,
  ): AsyncIterable<readonly [name: string, source: SourceNode]> | Iterable<readonly [name: string, source: SourceNode]>
}

export type SourceNode = FileSource | SymlinkSource | DirectorySource

/** What `add` takes. Bare bytes are a file. */
export type AddSource = ByteSource | SourceNode

const isSourceNode = (source: AddSource): source is SourceNode =>
  'type' in source && (source.type === 'file' || source.type === 'directory' || source.type === 'symlink')

/** Makes a node of bare bytes. A stream's node can be opened once; bytes and Blobs any number of times. */
export function toSourceNode(source: AddSource): SourceNode {
  if (source instanceof Uint8Array) return { type: 'file', size: source.length, open: () => once(source) }
  if (source instanceof Blob) {
    return { type: 'file', size: source.size, open: ({ signal }) => stoppable(piecesOf(source), signal) }
  }
  if (isSourceNode(source)) return source
  return {
    type: 'file',
    open: ({ signal }) => stoppable(piecesOf(source), signal),
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Pieces that are read once. */
export function piecesOf(source: ByteSource): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (source instanceof Uint8Array) return [source]
  if (source instanceof Blob) return iterate(source.stream())
  return source instanceof ReadableStream ? iterate(source) : source
}

/** In Chromium nothing else than who waits for its next piece holds the stream of a Blob: both were collected as garbage then. */
const reading = new Set<object>()

async function* iterate(source: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Safari's ReadableStream cannot be iterated.
  const reader = source.getReader()
  reading.add(reader)
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    reading.delete(reader)
    await reader.cancel()
  }
}
