import { InvalidInputError } from '@x/cid'

import { isBatchVariant } from './batch-variance.ts'
import { toDataFile } from './external-location.ts'
import { TENSOR } from './onnx-fields.ts'
import { createOnnxReader } from './onnx-reader.ts'
import { refuseOnnx } from './onnx-structure.ts'
import type { ClosedTensor } from './onnx-tensor.ts'
import type { Field, Frame } from './protobuf-reader.ts'
import { copyRanges, type Edit } from './rewrite.ts'
import type { Tensor } from './tensor-table.ts'

/** A file that is read by ranges: a file handle, a Blob, a store. */
export interface RangeReader {
  /** Of the whole file, bytes. */
  readonly size: number
  /** Exactly these bytes. */
  read(offset: number, length: number, options: { signal?: AbortSignal | undefined }): Promise<Uint8Array>
}

export interface SkeletonOptions {
  /**
   * What the original is called beside the skeleton. ONNX Runtime from 1.24 on demands that it lies in the skeleton's
   * folder: a hard link or a reflink does, a symlink to elsewhere does not.
   */
  location: string
  /** Smaller tensors stay inside. Bytes; default 1024, as ONNX's own tools have it. */
  minBytes?: number | undefined
  /** Refuse a skeleton that is larger. Bytes; default 268_435_456. */
  maxBytes?: number | undefined
  /** What messages call the file. Default: the location. */
  label?: string | undefined
  signal?: AbortSignal | undefined
}

export interface Skeleton {
  /** An ONNX file. */
  bytes: Uint8Array<ArrayBuffer>
  /** What points into the original now, in the order of the file; offsets are those of the original. */
  externalised: Tensor[]
  /** Other files that the model needs beside it: those that it named before. Sorted. */
  dataFiles: string[]
  /** As in a tensor table. */
  operators: string[]
  /** See `isBatchVariant`. */
  batchVariant: boolean
}

/**
 * Part of the key under which skeletons are kept, beside the model's CID and the options: it changes when the bytes that
 * are made of a model do.
 */
export const SKELETON_VERSION = 1

const DEFAULT_MIN_BYTES = 1024
const DEFAULT_MAX_BYTES: number = 256 * 2 ** 20
/**
 * Lists of integers under this stay inside, whatever `minBytes` is: ONNX Runtime infers shapes from them before it reads
 * external data, and refuses a graph in which it cannot ("Cannot parse data from external tensors").
 */
const MIN_LIST_BYTES = 65_536
/** Read at once: little behind a tensor that was passed over, more and more as long as nothing is. */
const MIN_WINDOW_BYTES = 4096
const MAX_WINDOW_BYTES = 262_144
const EXTERNAL = 1

/**
 * Makes a small graph of a model that points into it: each initializer and constant of `minBytes` and more, of the graph and
 * its subgraphs, becomes external data at its place in the original. Nothing is copied: the original keeps its CID, and a
 * runtime maps its weights.
 *
 * Moved are elements that lie there little-endian and in one piece: `raw_data`, and `float_data` or `double_data` as one
 * packed field. Sparse tensors, texts, numbers kept as varints, tensors of functions and training graphs, and what is
 * external already stay as they are, and so does every other byte. So do lists of integers under 64 KiB, which may be shapes.
 *
 * The file is read twice, without the tensors that move; the skeleton is in memory, not more.
 *
 * @throws {InvalidInputError} The location is no path inside a folder; the file is no whole ONNX file (see
 *   `createTensorScanner`), or what is left of it is over `maxBytes`.
 */
export async function createSkeleton(file: RangeReader, options: SkeletonOptions): Promise<Skeleton> {
  const { location, minBytes = DEFAULT_MIN_BYTES, maxBytes = DEFAULT_MAX_BYTES, label = location, signal } = options
  if (toDataFile(location) !== location) {
    throw new InvalidInputError(`${JSON.stringify(location)} is no path inside the skeleton's folder`, {
      input: location,
    })
  }
  const edits: Edit[] = []
  const externalised: Tensor[] = []
  let size = file.size

  function edit(at: number, removed: number, inserted: Uint8Array): number {
    edits.push({ at, removed, inserted })
    size += inserted.length - removed
    return inserted.length - removed
  }

  function moveOut(
    { tensor, inline, location: old, isOdd }: ClosedTensor & { inline: Field },
    frame: Frame<object>,
  ): number {
    if (inline.length < minBytes || isOdd || isShape(tensor)) return 0
    externalised.push(tensor)
    const removed = edit(inline.start, inline.begin + inline.length - inline.start, new Uint8Array())
    const moved = old === undefined ? 0 : edit(old.start, old.begin + old.length - old.start, new Uint8Array())
    return removed + moved + edit(frame.end, 0, externalData(location, inline.begin, inline.length))
  }

  const reader = createOnnxReader(refuseOnnx(label), {
    onInline: moveOut,
    onResized: (frame, length) => edit(frame.lengthAt, frame.begin - frame.lengthAt, varint(length)),
  })
  const read = (offset: number, length: number): Promise<Uint8Array> => readExactly(file, offset, length, signal)
  let windowBytes = MIN_WINDOW_BYTES
  while (reader.offset < file.size) {
    signal?.throwIfAborted()
    const left = file.size - reader.offset
    const skipped = Math.min(reader.skippable(), left)
    if (skipped > 0) {
      reader.skip(skipped)
      windowBytes = MIN_WINDOW_BYTES
      continue
    }
    reader.push(await read(reader.offset, Math.min(windowBytes, left)))
    windowBytes = Math.min(2 * windowBytes, MAX_WINDOW_BYTES)
  }
  const { tensors, operators } = reader.end()
  if (size > maxBytes) {
    throw new InvalidInputError(
      `${label} has ${size} bytes besides the tensors that can be moved out of it, over ${maxBytes}`,
      { input: label },
    )
  }
  const bytes = await copyRanges({ read, size: file.size, edits, copiedSize: size })
  const dataFiles = new Set(tensors.flatMap((tensor) => tensor.file ?? []))
  return {
    bytes,
    externalised,
    dataFiles: [...dataFiles].toSorted((a, b) => (a < b ? -1 : Number(a > b))),
    operators,
    batchVariant: isBatchVariant(operators),
  }
}

/** What a Reshape or Split may be given: a scalar or a list of integers. */
function isShape({ dtype, shape, length }: Tensor): boolean {
  return shape.length <= 1 && (dtype === 'int64' || dtype === 'int32') && length < MIN_LIST_BYTES
}

async function readExactly(
  file: RangeReader,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await file.read(offset, length, { signal })
  signal?.throwIfAborted()
  if (bytes.length === length) return bytes
  throw new InvalidInputError(`bytes ${offset} to ${offset + length} were asked for, and ${bytes.length} came`, {
    input: String(offset),
  })
}

const encoder = new TextEncoder()
const WIRE_VARINT = 0
const WIRE_BYTES = 2

/** The fields of a TensorProto that say where its data is. */
function externalData(location: string, offset: number, length: number): Uint8Array {
  const entry = (key: string, value: string): Uint8Array => {
    return bytesField(
      TENSOR.externalData,
      concat(bytesField(1, encoder.encode(key)), bytesField(2, encoder.encode(value))),
    )
  }
  return concat(
    entry('location', location),
    entry('offset', String(offset)),
    entry('length', String(length)),
    varint(TENSOR.dataLocation * 8 + WIRE_VARINT),
    varint(EXTERNAL),
  )
}

function bytesField(number: number, bytes: Uint8Array): Uint8Array {
  return concat(varint(number * 8 + WIRE_BYTES), varint(bytes.length), bytes)
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Uint8Array.of(...bytes, rest)
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
