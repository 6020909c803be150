import type { Block } from '@x/cid'
import { BackendError, type AddSource, type SourceNode } from '@x/storage-core'

import { createReading, type Ahead, type Items, type Reading } from './reading.ts'

const PIECES: Ahead<Uint8Array> = { copy: (piece) => piece.slice(), bytesOf: ({ length }) => length }
const BLOCKS: Ahead<Block> = {
  copy: ({ cid, bytes }) => ({ cid, bytes: bytes.slice() }),
  bytesOf: ({ bytes }) => bytes.length,
}

// Bytes up to here go with the call.
const INLINE_BYTES = 1024 * 1024
const PIECE_BYTES = 1024 * 1024

/** Something of the caller's that the owner reads, with functions that are in what is sent. */
export interface Offered {
  /** For `toWire`. Ends what was read of the one before. */
  offer: () => unknown
  /** Whether it can be read from its beginning, though an owner that is gone may have read of it. */
  canReadAgain: () => boolean
  /** Nothing of it is read any more. */
  end: () => void
}

/** The source of an add. Blobs and files go by reference; memory and streams piece by piece, as the owner asks for them. */
export function offerSource(source: AddSource): Offered {
  if (source instanceof Blob) return offerAgain(() => source)
  if (source instanceof Uint8Array) {
    return offerAgain((reading) =>
      source.length <= INLINE_BYTES
        ? source
        : { type: 'file', size: source.length, open: () => reading.open(cut(source)) },
    )
  }
  if (isNode(source)) {
    const taken = new Map<string, number>()
    return offerAgain((reading) => offerNode(source, { reading, taken, path: '' }))
  }
  const items = offerItems(source instanceof ReadableStream ? valuesOf(source) : source, PIECES)
  return { ...items, offer: () => ({ type: 'file', open: items.offer() }) }
}

export const offerBlocks = (blocks: AsyncIterable<Block> | Iterable<Block>): Offered => offerItems(blocks, BLOCKS)

/** Things that are in order; most can be read once. */
function offerItems<T>(items: AsyncIterable<T> | Iterable<T>, ahead: Ahead<T>): Offered {
  let isBegun = false
  const offered = offerAgain((reading) => (): Items<T> => {
    isBegun = true
    return reading.open(items, ahead)
  })
  return { ...offered, canReadAgain: () => !isBegun || Array.isArray(items) }
}

function offerAgain(make: (reading: Reading) => unknown): Offered {
  let reading: Reading | undefined
  return {
    offer() {
      reading?.end()
      reading = createReading()
      return make(reading)
    },
    canReadAgain: () => true,
    end: () => reading?.end(),
  }
}

const isNode = (source: Exclude<AddSource, Uint8Array | Blob>): source is SourceNode =>
  'type' in source && (source.type === 'file' || source.type === 'directory' || source.type === 'symlink')

function* cut(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

interface Place {
  reading: Reading
  /** By path: bytes or entries that an owner has read, which may be gone. */
  taken: Map<string, number>
  path: string
}

function offerNode(node: SourceNode, place: Place): unknown {
  const { reading } = place
  const options = { signal: reading.signal }
  if (node.type === 'symlink') return { type: node.type, target: node.target }
  if (node.type === 'file') {
    const { type, size, held } = node
    return { type, size, held, open: () => reading.open(noLess(node.open(options), place, PIECES.bytesOf), PIECES) }
  }
  async function* entries() {
    if (node.type !== 'directory') return
    for await (const [name, child] of noLess(node.entries(options), place, () => 1)) {
      yield [name, offerNode(child, { ...place, path: `${place.path}/${name}` })]
    }
  }
  return { type: node.type, entries: () => reading.open(entries()) }
}

/** What can be read once alone would be empty the second time, and pass for another content. */
async function* noLess<T>(
  items: AsyncIterable<T> | Iterable<T>,
  { taken, path }: Place,
  measure: (item: T) => number,
): AsyncGenerator<T> {
  let read = 0
  for await (const item of items) {
    read += measure(item)
    if (read > (taken.get(path) ?? 0)) taken.set(path, read)
    yield item
  }
  if (read >= (taken.get(path) ?? 0)) return
  const message = `the tab that owned the store is gone, and ${path || 'the source'} gives less when it is read again`
  throw new BackendError(message, { retryable: true })
}

async function* valuesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Safari's ReadableStream cannot be iterated.
  const reader = stream.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel()
  }
}
