import { DTYPE_BITS, STRING_DTYPE } from './dtypes.ts'
import { toDataFile } from './external-location.ts'
import { GGML_TYPES_BY_NAME } from './ggml-types.ts'
import { MAX_NAME_BYTES, MAX_RANK } from './limits.ts'
import { SHA256_BYTES } from './sha256.ts'
import { blockBytes, elementCount, packedBytes } from './tensor-size.ts'
import type { Tensor, TensorFormat } from './tensor-table.ts'
import { utf8Length } from './utf8.ts'

/** Reads a tensor from a stranger's data: every field is checked, and that they fit together. */
export function toTensor(value: unknown, format: TensorFormat, refuse: (why: string) => never): Tensor {
  const fields = fieldsOf(value, refuse)
  const { name, dtype, file, offset, length, encoding, sha256 } = fields
  if (typeof name !== 'string' || utf8Length(name) > MAX_NAME_BYTES) return refuse('it has no name')
  if (typeof dtype !== 'string' || !isDtype(dtype, format)) return refuse('it has no dtype that is known')
  const shape = toShape(fields['shape'], refuse)
  if (!isCount(offset) || !isCount(length) || !isCount(offset + length)) return refuse('it has no place')
  if (encoding !== undefined && (format !== 'onnx' || (encoding !== 'varint' && encoding !== 'protobuf'))) {
    return refuse('its encoding is not known')
  }
  const tensor: Tensor = { name, dtype, shape, offset, length }
  if (encoding !== undefined) tensor.encoding = encoding
  else if (length !== bytesOf(dtype, shape)) return refuse(`its length is ${length}, which does not fit its shape`)
  if (file !== undefined) {
    if (format !== 'onnx' || encoding !== undefined) return refuse('it cannot be in another file')
    if (typeof file !== 'string' || toDataFile(file) !== file) return refuse('its file is no path inside a folder')
    tensor.file = file
  }
  if (sha256 !== undefined) {
    if (!(sha256 instanceof Uint8Array) || sha256.length !== SHA256_BYTES) return refuse('its sha256 is none')
    tensor.sha256 = sha256
  }
  return tensor
}

const FIELDS: readonly string[] = ['name', 'dtype', 'shape', 'file', 'offset', 'length', 'encoding', 'sha256']

function fieldsOf(value: unknown, refuse: (why: string) => never): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('it is no map')
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((name) => !FIELDS.includes(name))
  return stranger === undefined ? fields : refuse(`it has an unknown field ${JSON.stringify(stranger)}`)
}

function toShape(value: unknown, refuse: (why: string) => never): number[] {
  if (!Array.isArray(value) || value.length > MAX_RANK) return refuse('it has no shape')
  const shape = value.filter((size: unknown) => isCount(size))
  return shape.length === value.length ? shape : refuse('its shape is none')
}

function isDtype(dtype: string, format: TensorFormat): boolean {
  if (format === 'gguf') return GGML_TYPES_BY_NAME.has(dtype)
  return DTYPE_BITS.has(dtype) || (format === 'onnx' && dtype === STRING_DTYPE)
}

/** `undefined`: of no known length. */
function bytesOf(dtype: string, shape: readonly number[]): number | undefined {
  const elements = elementCount(shape)
  if (elements === undefined) return undefined
  const bits = DTYPE_BITS.get(dtype)
  if (bits !== undefined) return packedBytes(elements, bits)
  const block = GGML_TYPES_BY_NAME.get(dtype)
  return block && blockBytes(elements, block.blockElements, block.blockBytes)
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
