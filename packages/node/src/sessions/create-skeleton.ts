// To be replaced by `createSkeleton` of @x/model-formats, which has the same signature and also looks into subgraphs.
import { InvalidInputError } from '@x/cid'

/** Bytes of a file from `offset`: `length` of them, or fewer at its end. */
export type ReadRange = (offset: number, length: number) => Promise<Uint8Array>

export interface Skeleton {
  bytes: Uint8Array
  /** How many tensors it points to. */
  tensors: number
  /** The same row may give other bits in another batch: weights are quantised on the fly. */
  batchVariant: boolean
  /** Operators of the graph itself, sorted. */
  operators: string[]
}

/** Changes whenever the same model would give another skeleton. */
export const SKELETON_VERSION = 1

// Field numbers of ONNX's protobuf schema.
const MODEL_GRAPH = 7
const GRAPH_NODE = 1
const GRAPH_INITIALIZER = 5
const NODE_OP_TYPE = 4
const TENSOR_RAW_DATA = 9
const TENSOR_EXTERNAL_DATA = 13
const TENSOR_DATA_LOCATION = 14
const LOCATION_EXTERNAL = 1

const BATCH_VARIANT = /^DynamicQuantize/
const WINDOW = 256 * 1024
const MAX_FIELD = 256 * 1024 * 1024

interface Field {
  number: number
  start: number
  /** Of the content. */
  from: number
  end: number
}

/**
 * The same graph with every large initializer pointing into the original file, so that ONNX Runtime maps it. Initializers
 * of subgraphs stay where they are.
 *
 * @param options.location - The original's name, relative to where the skeleton will lie.
 * @param options.minBytes - Smaller tensors stay inline. Default 1024, as ONNX's own tools do.
 * @throws {InvalidInputError} It is no ONNX file.
 * @see https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
export async function createSkeleton(
  readRange: ReadRange,
  { location, minBytes = 1024 }: { location: string; minBytes?: number | undefined },
): Promise<Skeleton> {
  let window = { at: 0, bytes: new Uint8Array(0) }
  const refuse = (why: string): never => {
    throw new InvalidInputError(`not an ONNX file: ${why}`, { input: location })
  }
  async function read(offset: number, length: number): Promise<Uint8Array> {
    if (length > MAX_FIELD) refuse(`the field at byte ${offset} has ${length} bytes`)
    const isInside = offset >= window.at && offset + length <= window.at + window.bytes.length
    if (!isInside) window = { at: offset, bytes: Uint8Array.from(await readRange(offset, Math.max(length, WINDOW))) }
    return window.bytes.subarray(offset - window.at, offset - window.at + length)
  }

  async function fieldAt(position: number, end: number): Promise<Field | undefined> {
    const head = await read(position, 20)
    if (head.length === 0 || position >= end) return undefined
    const [tag, tagBytes] = varintAt(head, 0)
    const wireType = tag % 8
    const number = Math.floor(tag / 8)
    const afterTag = position + tagBytes
    if (wireType === 0) {
      const [, bytes] = varintAt(head, tagBytes)
      return { number, start: position, from: afterTag, end: afterTag + bytes }
    }
    if (wireType === 1) return { number, start: position, from: afterTag, end: afterTag + 8 }
    if (wireType === 5) return { number, start: position, from: afterTag, end: afterTag + 4 }
    if (wireType !== 2) return refuse(`wire type ${wireType} at byte ${position}`)
    const [length, lengthBytes] = varintAt(head, tagBytes)
    const from = afterTag + lengthBytes
    if (from + length > end) refuse(`the field at byte ${position} runs past its message`)
    return { number, start: position, from, end: from + length }
  }

  async function* fields(from: number, end: number): AsyncGenerator<Field> {
    let field = await fieldAt(from, end)
    while (field) {
      yield field
      field = await fieldAt(field.end, end)
    }
  }

  const copy = async ({ start, end }: { start: number; end: number }): Promise<Uint8Array> =>
    Uint8Array.from(await read(start, end - start))

  let tensors = 0
  const operators = new Set<string>()

  async function tensorOf(tensor: Field): Promise<Uint8Array> {
    const kept: Uint8Array[] = []
    let data: Field | undefined
    for await (const field of fields(tensor.from, tensor.end)) {
      if (field.number === TENSOR_RAW_DATA) data = field
      else if (field.end - field.start > MAX_FIELD) return refuse('a tensor keeps its values in typed fields')
      else kept.push(await copy(field))
    }
    const length = data === undefined ? 0 : data.end - data.from
    if (data === undefined || length < minBytes) return copy(tensor)
    tensors++
    const entry = (key: string, value: string | number): Uint8Array =>
      message(TENSOR_EXTERNAL_DATA, [message(1, [text(key)]), message(2, [text(String(value))])])
    return message(GRAPH_INITIALIZER, [
      ...kept,
      entry('location', location),
      entry('offset', data.from),
      entry('length', length),
      varint(TENSOR_DATA_LOCATION * 8),
      varint(LOCATION_EXTERNAL),
    ])
  }

  async function graphOf(graph: Field): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const field of fields(graph.from, graph.end)) {
      if (field.number === GRAPH_INITIALIZER) {
        parts.push(await tensorOf(field))
        continue
      }
      if (field.number === GRAPH_NODE) {
        for await (const inner of fields(field.from, field.end)) {
          if (inner.number !== NODE_OP_TYPE) continue
          operators.add(new TextDecoder().decode(await read(inner.from, inner.end - inner.from)))
        }
      }
      parts.push(await copy(field))
    }
    return message(MODEL_GRAPH, parts)
  }

  const parts: Uint8Array[] = []
  for await (const field of fields(0, Number.MAX_SAFE_INTEGER)) {
    parts.push(field.number === MODEL_GRAPH ? await graphOf(field) : await copy(field))
  }
  const batchVariant = [...operators].some((operator) => BATCH_VARIANT.test(operator))
  return { bytes: concat(parts), tensors, batchVariant, operators: [...operators].toSorted() }
}

/** Exact to 2^53: enough for tags and lengths. */
function varintAt(bytes: Uint8Array, position: number): [value: number, bytes: number] {
  let value = 0
  let factor = 1
  for (let index = position; index < position + 10; index++) {
    const byte = bytes[index]
    if (byte === undefined) break
    value += (byte & 0x7f) * factor
    factor *= 128
    if (byte < 0x80) return [value, index + 1 - position]
  }
  throw new InvalidInputError('not an ONNX file: it ends inside a number', { input: 'model' })
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? low + 128 : low)
  } while (rest > 0)
  return Uint8Array.from(bytes)
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function message(number: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return concat([varint(number * 8 + 2), varint(length), ...parts])
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let position = 0
  for (const part of parts) {
    joined.set(part, position)
    position += part.length
  }
  return joined
}
