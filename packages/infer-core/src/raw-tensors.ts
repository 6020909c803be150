import { InvalidInputError } from '@x/cid'

import { copyTensor, isTensor, type Tensor, type TensorType } from './tensor.ts'

/** What a graph takes and gives, as ONNX Runtime names it; it has no bfloat16 in JavaScript. */
export type RawType = TensorType | 'string'

/** Texts; their bytes are UTF-8. */
export type TextTensor = { type: 'string'; dims: readonly number[]; data: readonly string[] }

export type RawTensor = Tensor | TextTensor

/** Tensors by the names that a graph has for them. */
export type RawTensors = { readonly [name: string]: RawTensor }

/** An input or an output of a graph. */
export interface GraphValue {
  name: string
  type: RawType
  /**
   * A number, or the name of a dimension that is known only when it runs, which may be empty. An empty list is that of a scalar, or
   * of a value whose number of dimensions the graph does not say.
   */
  shape: readonly (number | string)[]
}

/**
 * The names of the Open Inference Protocol, version 2.
 *
 * @see https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#tensor-data-types
 */
export const OIP_TYPES: Readonly<Record<RawType, string>> = {
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
}

export const isRawType = (value: unknown): value is RawType =>
  typeof value === 'string' && Object.hasOwn(OIP_TYPES, value)

/** Whether a value has the fields of a tensor, texts included, and as many items as its dimensions say. */
export const isRawTensor = (value: unknown): value is RawTensor => whyNoTensor(value) === undefined

export const isRawTensors = (value: unknown): value is RawTensors =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isRawTensor)

/**
 * How many items dimensions make; `undefined`: they are none, or more than can be counted. Those of an empty tensor are counted
 * without its zeros: ONNX Runtime multiplies them in their order.
 */
function itemsOf(dims: readonly unknown[]): number | undefined {
  let product = 1
  for (const dim of dims) {
    if (typeof dim !== 'number' || !Number.isSafeInteger(dim) || dim < 0) return undefined
    product *= Math.max(1, dim)
    if (product > Number.MAX_SAFE_INTEGER) return undefined
  }
  return dims.includes(0) ? 0 : product
}

function whyNoTensor(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value && 'dims' in value && 'data' in value)) {
    return 'is no tensor { type, dims, data }'
  }
  const { type, dims, data } = value
  if (!isRawType(type)) return `is of no type that a graph takes: ${String(type).slice(0, 40)}`
  if (!Array.isArray(dims)) return 'has no list of dims'
  const items = itemsOf(dims)
  const shape = `[${dims.slice(0, 16).join(', ')}]`
  if (items === undefined) return `has dims ${shape}, which are none, or make more items than there can be`
  const length = lengthOf(type, value)
  if (length === undefined) return `is of ${type}, and its data a ${nameOf(data)}`
  if (length !== items) return `has dims ${shape}, ${items} items, and data of ${length}`
  return type === 'bool' ? whyNoBooleans(data) : undefined
}

/** Of its data; `undefined`: they are not of this type. */
function lengthOf(type: RawType, value: { data: unknown }): number | undefined {
  if (type !== 'string') return isTensor(value) ? value.data.length : undefined
  const { data } = value
  const areTexts = Array.isArray(data) && data.every((item) => typeof item === 'string' && item.isWellFormed())
  return areTexts ? data.length : undefined
}

// ONNX Runtime computes with whatever byte it is given.
function whyNoBooleans(data: unknown): string | undefined {
  return data instanceof Uint8Array && data.every((byte) => byte < 2)
    ? undefined
    : 'is of bool, with a byte that is not 0 or 1'
}

const nameOf = (data: unknown): string =>
  typeof data === 'object' && data !== null ? (data.constructor?.name ?? 'object') : typeof data

/**
 * Checks what a graph is to be given against what it takes.
 *
 * @returns A copy of it: the caller may use its memory again.
 * @throws {InvalidInputError} Something is missing, unknown, no tensor, or of another type or shape; it names it.
 */
export function toFeeds(inputs: readonly GraphValue[], feeds: unknown): RawTensors {
  const known = inputs.map(({ name }) => name).join(', ')
  if (typeof feeds !== 'object' || feeds === null || Array.isArray(feeds)) {
    throw new InvalidInputError(`the graph takes an object of tensors by name (${known})`, { input: typeof feeds })
  }
  for (const name of Object.keys(feeds)) {
    if (inputs.some((one) => one.name === name)) continue
    throw refused(name, `is no input of the graph, which takes ${known || 'none'}`)
  }
  return Object.fromEntries(
    inputs.map((input) => [input.name, toFeed(input, Object.getOwnPropertyDescriptor(feeds, input.name)?.value)]),
  )
}

function toFeed({ name, type, shape }: GraphValue, value: unknown): RawTensor {
  if (value === undefined) throw refused(name, 'is missing')
  const why = whyNoTensor(value)
  if (why !== undefined || !isRawTensor(value)) throw refused(name, why ?? 'is no tensor')
  if (value.type !== type) throw refused(name, `is ${type}, not ${value.type}`)
  const { dims } = value
  const isLike =
    shape.length === 0 ||
    (dims.length === shape.length && shape.every((dim, at) => typeof dim === 'string' || dim === dims[at]))
  if (!isLike)
    throw refused(
      name,
      `has dims [${shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}], not [${dims.join(', ')}]`,
    )
  return value.type === 'string' ? { type: value.type, dims: [...dims], data: [...value.data] } : copyTensor(value)
}

const refused = (name: string, why: string): InvalidInputError =>
  new InvalidInputError(`input ${JSON.stringify(name.slice(0, 80))} ${why}`, { input: name })

/**
 * The names of the outputs that are wanted: all of a graph's, where none are named.
 *
 * @throws {InvalidInputError} The graph has no such output.
 */
export function toOutputNames(outputs: readonly GraphValue[], wanted: readonly string[] | undefined): string[] {
  const known = outputs.map(({ name }) => name)
  for (const name of wanted ?? []) {
    if (known.includes(name)) continue
    throw new InvalidInputError(`${JSON.stringify(name)} is no output of the graph, which gives ${known.join(', ')}`, {
      input: name,
    })
  }
  // In the graph's order, so that equal wishes are equal.
  const names = known.filter((name) => wanted?.includes(name) ?? true)
  if (names.length > 0) return names
  throw new InvalidInputError('no output of the graph is wanted', { input: 'outputs' })
}
