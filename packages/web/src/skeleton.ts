/*
 * To be replaced by `createSkeleton` of @x/model-formats, which knows subgraphs and models over 2 GB as well.
 */
import { InvalidInputError } from '@x/cid'

import { bytesField, join, textField, varint } from './protobuf-fields.ts'

/** A file that is read by ranges. */
export interface RangeReader {
  /** Of the whole file, bytes. */
  readonly size: number
  /** Exactly these bytes. */
  read(offset: number, length: number, options: { signal?: AbortSignal | undefined }): Promise<Uint8Array>
}

export interface SkeletonOptions {
  /** What the skeleton calls the file that it points into. */
  location: string
  /** Smaller tensors stay inline. Bytes; default 1024, as ONNX's own tools have it; smaller ones break optimisers on wasm. */
  minBytes?: number | undefined
  signal?: AbortSignal | undefined
}

export interface Skeleton {
  bytes: Uint8Array<ArrayBuffer>
  /** How many tensors point into the file. */
  externalised: { length: number }
}

// https://protobuf.dev/programming-guides/encoding/#structure
const WIRE_VARINT = 0
const WIRE_FIXED64 = 1
const WIRE_BYTES = 2
const WIRE_FIXED32 = 5

// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
const MODEL_GRAPH = 7
const GRAPH_INITIALIZER = 5
const TENSOR_DATA_TYPE = 2
const TENSOR_RAW_DATA = 9
const TENSOR_EXTERNAL_DATA = 13
const TENSOR_DATA_LOCATION = 14
const INT32 = 6
const INT64 = 7
const ENTRY_KEY = 1
const ENTRY_VALUE = 2
const LOCATION_EXTERNAL = 1

// Lists of integers may be shapes, which ONNX Runtime wants to see before it reads external data.
const MIN_LIST_BYTES = 64 * 1024
const WINDOW_BYTES = 256 * 1024
// A tag, and a varint of ten bytes.
const LONGEST_HEAD = 20
// What is not weights. A graph of more is no graph.
const MOST_INLINE_BYTES = 256 * 1024 * 1024

interface Field {
  number: number
  start: number
  contentStart: number
  end: number
}

/**
 * The graph of a single-file ONNX model, with every large initializer pointing into that file. Reads the framing and what
 * stays inline, not the weights.
 *
 * @throws {InvalidInputError} It is no ONNX model, or cut short.
 */
export async function createSkeleton(
  file: RangeReader,
  { location, minBytes = 1024, signal }: SkeletonOptions,
): Promise<Skeleton> {
  const { size } = file
  let window: { start: number; bytes: Uint8Array } = { start: 0, bytes: new Uint8Array() }
  let inlineBytes = 0
  let tensors = 0

  async function bytesAt(offset: number, length: number): Promise<Uint8Array> {
    const { start, bytes } = window
    if (offset < start || offset + length > start + bytes.length) {
      const wanted = Math.min(size - offset, Math.max(length, WINDOW_BYTES))
      window = { start: offset, bytes: await file.read(offset, wanted, { signal }) }
    }
    return window.bytes.subarray(offset - window.start, offset - window.start + length)
  }

  async function* fields(begin: number, end: number): AsyncGenerator<Field> {
    for (let position = begin; position < end;) {
      const head = await bytesAt(position, Math.min(LONGEST_HEAD, end - position))
      const [tag, afterTag] = varintAt(head, 0)
      const wire = tag & 7
      let contentStart = position + afterTag
      let next = contentStart
      if (wire === WIRE_VARINT) next = position + varintAt(head, afterTag)[1]
      else if (wire === WIRE_FIXED64) next += 8
      else if (wire === WIRE_FIXED32) next += 4
      else if (wire === WIRE_BYTES) {
        const [length, afterLength] = varintAt(head, afterTag)
        contentStart = position + afterLength
        next = contentStart + length
      } else throw refusal(`a field of the kind ${wire} at byte ${position}`)
      if (next > end) throw refusal(`the field at byte ${position} runs past its message`)
      yield { number: Math.floor(tag / 8), start: position, contentStart, end: next }
      position = next
    }
  }

  async function copy({ start, end }: Pick<Field, 'start' | 'end'>): Promise<Uint8Array> {
    inlineBytes += end - start
    if (inlineBytes > MOST_INLINE_BYTES) throw refusal(`over ${MOST_INLINE_BYTES} bytes that are no weights`)
    return (await bytesAt(start, end - start)).slice()
  }

  async function tensorOf(field: Field): Promise<Uint8Array> {
    const kept: Pick<Field, 'start' | 'end'>[] = []
    let raw: Field | undefined
    let dataType = 0
    for await (const part of fields(field.contentStart, field.end)) {
      if (part.number === TENSOR_RAW_DATA) raw = part
      else kept.push(part)
      if (part.number === TENSOR_DATA_TYPE) {
        ;[dataType] = varintAt(await bytesAt(part.contentStart, part.end - part.contentStart), 0)
      }
    }
    const fewest = dataType === INT32 || dataType === INT64 ? Math.max(minBytes, MIN_LIST_BYTES) : minBytes
    if (!raw || raw.end - raw.contentStart < fewest) return copy(field)
    tensors += 1
    const parts: Uint8Array[] = []
    for (const part of kept) parts.push(await copy(part))
    parts.push(
      entry('location', location),
      entry('offset', String(raw.contentStart)),
      entry('length', String(raw.end - raw.contentStart)),
      join([varint(TENSOR_DATA_LOCATION << 3), varint(LOCATION_EXTERNAL)]),
    )
    return bytesField(GRAPH_INITIALIZER, join(parts))
  }

  const model: Uint8Array[] = []
  for await (const field of fields(0, size)) {
    if (field.number !== MODEL_GRAPH) {
      model.push(await copy(field))
      continue
    }
    const graph: Uint8Array[] = []
    for await (const inner of fields(field.contentStart, field.end)) {
      graph.push(await (inner.number === GRAPH_INITIALIZER ? tensorOf(inner) : copy(inner)))
    }
    model.push(bytesField(MODEL_GRAPH, join(graph)))
  }
  return { bytes: join(model), externalised: { length: tensors } }
}

const entry = (key: string, value: string): Uint8Array =>
  bytesField(TENSOR_EXTERNAL_DATA, join([textField(ENTRY_KEY, key), textField(ENTRY_VALUE, value)]))

function refusal(why: string): InvalidInputError {
  return new InvalidInputError(`not an ONNX model: ${why}`, { input: why })
}

/** As a number, which is exact to 2^53: enough for tags and lengths. */
function varintAt(bytes: Uint8Array, start: number): [value: number, end: number] {
  let value = 0
  let factor = 1
  for (let position = start; ; position++) {
    const byte = bytes[position]
    if (byte === undefined || position - start > 9) throw refusal('it ends inside a number')
    value += (byte & 0x7f) * factor
    factor *= 128
    if (byte < 0x80) return [value, position + 1]
  }
}
