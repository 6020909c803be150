import { InvalidInputError } from '@x/cid'

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array

/** As ONNX Runtime names them; float16 has its bits in a Uint16Array, bool its bytes in a Uint8Array. */
export type TensorType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'

export interface Tensor {
  type: TensorType
  /** Row-major; empty for a scalar. */
  dims: readonly number[]
  data: TensorData
}

const ARRAYS: Readonly<Record<TensorType, { new (buffer: ArrayBuffer): TensorData; BYTES_PER_ELEMENT: number }>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
}

export const isTensorType = (value: unknown): value is TensorType =>
  typeof value === 'string' && Object.hasOwn(ARRAYS, value)

/** Whether a value has the three fields of a tensor, and its data the array that its type wants. */
export function isTensor(value: unknown): value is Tensor {
  if (typeof value !== 'object' || value === null) return false
  if (!('type' in value && 'dims' in value && 'data' in value) || !isTensorType(value.type)) return false
  return Array.isArray(value.dims) && value.data instanceof ARRAYS[value.type]
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * The data's bytes, each number little-endian, whatever the host is. The bits are kept: -0 stays -0, a NaN its payload.
 *
 * @throws {InvalidInputError} `dims` does not multiply to the number of items.
 */
export function tensorBytes({ dims, data }: Tensor): Uint8Array<ArrayBuffer> {
  if (itemsOf(dims) !== data.length) {
    throw new InvalidInputError(`a tensor of ${data.length} items has dims [${dims.join(', ')}]`, {
      input: dims.join(','),
    })
  }
  const bytes = new Uint8Array(data.byteLength)
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return inOrder(bytes, data.BYTES_PER_ELEMENT)
}

/**
 * The tensor that `tensorBytes` wrote.
 *
 * @throws {InvalidInputError} The bytes are not as many as type and dims ask for.
 */
export function tensorFromBytes(type: TensorType, dims: readonly number[], bytes: Uint8Array): Tensor {
  const ArrayType = ARRAYS[type]
  if (bytes.length !== itemsOf(dims) * ArrayType.BYTES_PER_ELEMENT) {
    throw new InvalidInputError(`a ${type} tensor [${dims.join(', ')}] has ${bytes.length} bytes`, {
      input: dims.join(','),
    })
  }
  // A copy: an array of wide items cannot begin anywhere in a block's bytes.
  const copy = inOrder(Uint8Array.from(bytes), ArrayType.BYTES_PER_ELEMENT)
  return { type, dims: [...dims], data: new ArrayType(copy.buffer) }
}

/** On memory of its own, in arrays of the language: `slice` of a Node `Buffer` is a view of the same. */
export function copyTensor({ type, dims, data }: Tensor): Tensor {
  const bytes = new Uint8Array(data.byteLength)
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return { type, dims: [...dims], data: new ARRAYS[type](bytes.buffer) }
}

/** NaN where one of them is no length. */
const itemsOf = (dims: readonly number[]): number =>
  dims.reduce((product, dim) => (Number.isSafeInteger(dim) && dim >= 0 ? product * dim : Number.NaN), 1)

/** Turns host order into little-endian or back, in place. */
function inOrder(bytes: Uint8Array<ArrayBuffer>, itemBytes: number): Uint8Array<ArrayBuffer> {
  if (isLittleEndian || itemBytes === 1) return bytes
  for (let start = 0; start < bytes.length; start += itemBytes) bytes.subarray(start, start + itemBytes).reverse()
  return bytes
}
