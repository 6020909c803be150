import { DTYPE_BITS, STRING_DTYPE } from './dtypes.ts'
import { toDataFile } from './external-location.ts'
import { MAX_NAME_BYTES, MAX_RANK } from './limits.ts'
import { ONNX_DTYPES, TENSOR } from './onnx-fields.ts'
import type { Field, Frame } from './protobuf-reader.ts'
import { quoted } from './quoted.ts'
import { digestOf, type CreateSha256, type Sha256 } from './sha256.ts'
import { elementCount, packedBytes } from './tensor-size.ts'
import type { Tensor } from './tensor-table.ts'
import { decodeUtf8 } from './utf8.ts'

/** A TensorProto that is being read. */
export interface OnnxTensor {
  readonly name: string
  /** Takes a dimension or the type. */
  varint(field: Field, value: number, exact: bigint | undefined): void
  /** A single element of a list that is not packed. */
  fixed(field: Field): void
  /** What to do with a field that is no entry of external data. */
  bytes(field: Field): 'skip' | 'collect' | 'stream'
  collected(bytes: Uint8Array): void
  streamed(bytes: Uint8Array): void
  streamEnd(): void
  entry(key: string, value: string): void
  /** Checks the whole, and says what it is. */
  close(frame: Frame<object>): ClosedTensor
}

export interface ClosedTensor {
  tensor: Tensor
  /** Its elements are here, little-endian and in one piece: what may become external data. */
  inline?: Field | undefined
  /** The field `data_location`, when it is there. */
  location?: Field | undefined
  /** It has entries of external data, or is one segment of a tensor. */
  isOdd: boolean
}

const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [TENSOR.floatData, 4],
  [TENSOR.doubleData, 8],
])
const DATA_FIELDS: ReadonlyMap<number, string> = new Map([
  [TENSOR.floatData, 'float_data'],
  [TENSOR.int32Data, 'int32_data'],
  [TENSOR.stringData, 'string_data'],
  [TENSOR.int64Data, 'int64_data'],
  [TENSOR.rawData, 'raw_data'],
  [TENSOR.doubleData, 'double_data'],
  [TENSOR.uint64Data, 'uint64_data'],
])
const INT32_DTYPES: ReadonlySet<string> = new Set(
  'int32 int16 int8 uint16 uint8 bool float16 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz float8e8m0 uint4 int4 float4e2m1 uint2 int2 float6e2m3 float6e3m2'.split(
    ' ',
  ),
)
const KNOWN_FIELDS: ReadonlySet<number> = new Set(Object.values(TENSOR))
const MAX_VARINT_BYTES = 10
const EXTERNAL = 1

/** How many entries the field has for so many elements. `undefined`: tensors of this type have none in this field. */
function entriesOf(field: number, dtype: string, elements: number): number | undefined {
  const is = (...dtypes: string[]): boolean => dtypes.includes(dtype)
  if (field === TENSOR.floatData) return is('float32') ? elements : is('complex64') ? 2 * elements : undefined
  if (field === TENSOR.doubleData) return is('float64') ? elements : is('complex128') ? 2 * elements : undefined
  if (field === TENSOR.stringData) return is(STRING_DTYPE) ? elements : undefined
  if (field === TENSOR.int64Data) return is('int64') ? elements : undefined
  if (field === TENSOR.uint64Data) return is('uint32', 'uint64') ? elements : undefined
  if (field !== TENSOR.int32Data || !INT32_DTYPES.has(dtype)) return undefined
  if (is('uint4', 'int4', 'float4e2m1')) return Math.ceil(elements / 2)
  return is('uint2', 'int2') ? Math.ceil(elements / 4) : elements
}

/**
 * @param createSha256 - Absent: no digest.
 */
export function createOnnxTensor(
  start: number,
  createSha256: CreateSha256 | undefined,
  refuse: (why: string) => never,
): OnnxTensor {
  let name = ''
  const shape: number[] = []
  let dtypeNumber: number | undefined
  let location: Field | undefined
  let isExternal = false
  let isOdd = false
  const entries = new Map<string, string>()
  /** Of the field that holds the elements: how often it is there, entries in it, and its first piece. */
  let data: { field: number; pieces: number; entries: number; run?: Field; sha256?: Uint8Array } | undefined
  /** The field that is being streamed or collected. */
  let current: Field | undefined
  let running: Sha256 | undefined
  let digits = 0
  /** A varint that is not whole yet, of packed dimensions. */
  let dim = 0
  let dimBytes = 0

  const fail = (why: string): never => refuse(`tensor ${quoted(name)} at byte ${start} ${why}`)

  function addDim(value: number, exact: bigint | undefined): void {
    if (shape.length === MAX_RANK) fail(`has over ${MAX_RANK} dimensions`)
    if (value > Number.MAX_SAFE_INTEGER) {
      fail(`has a dimension of ${exact === undefined ? value : BigInt.asIntN(64, exact)}`)
    }
    shape.push(value)
  }

  function dataOf(field: Field): NonNullable<typeof data> {
    data ??= { field: field.number, pieces: 0, entries: 0 }
    if (data.field !== field.number) {
      fail(`has both ${DATA_FIELDS.get(data.field) ?? ''} and ${DATA_FIELDS.get(field.number) ?? ''}`)
    }
    return data
  }

  function addSingle(field: Field): void {
    const found = dataOf(field)
    // A value with a tag of its own is no run.
    found.pieces += 2
    found.entries++
  }

  function countVarints(bytes: Uint8Array): void {
    const found = data
    if (found === undefined) return
    for (const byte of bytes) {
      digits++
      if (byte < 0x80) {
        found.entries++
        digits = 0
      } else if (digits === MAX_VARINT_BYTES) fail(`has a number over ${MAX_VARINT_BYTES} bytes long`)
    }
  }

  function packedDims(bytes: Uint8Array): void {
    for (const byte of bytes) {
      dim += (byte & 0x7f) * 2 ** (7 * dimBytes)
      dimBytes++
      if (byte >= 0x80) {
        if (dimBytes === MAX_VARINT_BYTES) fail(`has a number over ${MAX_VARINT_BYTES} bytes long`)
        continue
      }
      addDim(dim, dim > Number.MAX_SAFE_INTEGER ? BigInt(dim) : undefined)
      dim = 0
      dimBytes = 0
    }
  }

  function wireError(field: Field): never {
    return fail(`has field ${field.number} at byte ${field.start} in another wire type than ONNX gives it`)
  }

  function entryNumber(key: string): number | undefined {
    const text = entries.get(key)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) fail(`has external data with ${key} ${quoted(text)}`)
    return value
  }

  function externalTensor(dtype: string, bytes: number | undefined): Tensor {
    if (bytes === undefined) return fail('is a list of texts in external data')
    if (data !== undefined) fail(`is external data, and has ${DATA_FIELDS.get(data.field) ?? ''} too`)
    const path = entries.get('location')
    if (path === undefined) return fail('is external data without a location')
    const file = toDataFile(path) ?? fail(`has external data at ${quoted(path)}, which is no path inside its folder`)
    const offset = entryNumber('offset') ?? 0
    const length = entryNumber('length') ?? bytes
    if (length !== bytes) fail(`of ${shapeText(dtype)} takes ${bytes} bytes, and has ${length} of external data`)
    if (offset + length > Number.MAX_SAFE_INTEGER) fail(`has external data at offset ${offset}, which no file has`)
    return { name, dtype, shape, file, offset, length }
  }

  const shapeText = (dtype: string): string => `${dtype}[${shape.slice(0, 8).join(',')}${shape.length > 8 ? ',…' : ''}]`

  function inlineTensor(frame: Frame<object>, dtype: string, elements: number, bytes: number | undefined): Tensor {
    const base = { name, dtype, shape }
    const whole = { ...base, offset: frame.begin, length: frame.end - frame.begin, encoding: 'protobuf' as const }
    if (data === undefined) {
      if (elements > 0) return fail(`of ${shapeText(dtype)} has no data`)
      if (bytes === undefined) return whole
      const hash = createSha256?.()
      return { ...base, offset: frame.end, length: 0, ...(hash && { sha256: digestOf(hash) }) }
    }
    const { field, run, sha256 } = data
    const text = DATA_FIELDS.get(field) ?? ''
    if (field === TENSOR.rawData) {
      if (bytes === undefined) return fail('is a list of texts in raw_data')
      const length = run?.length ?? 0
      if (length !== bytes) fail(`of ${shapeText(dtype)} takes ${bytes} bytes, and has ${length} in raw_data`)
    } else {
      const wanted = entriesOf(field, dtype, elements) ?? fail(`of ${shapeText(dtype)} has ${text}`)
      if (wanted !== data.entries) {
        fail(`of ${shapeText(dtype)} takes ${wanted} values, and has ${data.entries} in ${text}`)
      }
    }
    if (run === undefined || data.pieces !== 1) return whole
    const place = { ...base, offset: run.begin, length: run.length }
    const isPlain = field === TENSOR.rawData || FIXED_BYTES.has(field)
    return { ...place, ...(isPlain ? {} : { encoding: 'varint' as const }), ...(sha256 && { sha256 }) }
  }

  return {
    get name() {
      return name
    },
    varint(field, value, exact) {
      const { number } = field
      if (number === TENSOR.dims) return addDim(value, exact)
      if (number === TENSOR.dataType) {
        if (dtypeNumber !== undefined) fail('has two types')
        dtypeNumber = value
      } else if (number === TENSOR.dataLocation) {
        if (location !== undefined) fail('has two data locations')
        if (value > EXTERNAL) fail(`has data location ${value}`)
        location = field
        isExternal = value === EXTERNAL
      } else if (number === TENSOR.int32Data || number === TENSOR.int64Data || number === TENSOR.uint64Data) {
        addSingle(field)
      } else if (KNOWN_FIELDS.has(number)) wireError(field)
    },
    fixed(field) {
      if (FIXED_BYTES.get(field.number) === field.length) addSingle(field)
      else if (KNOWN_FIELDS.has(field.number)) wireError(field)
    },
    bytes(field) {
      const { number, length } = field
      current = field
      if (number === TENSOR.name) {
        if (length > MAX_NAME_BYTES) fail(`has a name of ${length} bytes`)
        return 'collect'
      }
      if (number === TENSOR.dims) return 'stream'
      if (number === TENSOR.segment) isOdd = true
      if (number === TENSOR.dataType || number === TENSOR.dataLocation) wireError(field)
      if (number === TENSOR.stringData) {
        addSingle(field)
        return 'skip'
      }
      if (!DATA_FIELDS.has(number) || length === 0) return 'skip'
      const found = dataOf(field)
      found.pieces++
      if (number === TENSOR.rawData && found.pieces > 1) fail('has raw_data twice')
      const isFirst = found.pieces === 1
      if (isFirst) found.run = current
      const width = FIXED_BYTES.get(number)
      if (width !== undefined) {
        if (length % width !== 0) fail(`has ${length} bytes of ${DATA_FIELDS.get(number) ?? ''}`)
        found.entries += length / width
      }
      digits = 0
      running = isFirst ? createSha256?.() : undefined
      const isFixedRun = width !== undefined || number === TENSOR.rawData
      return isFixedRun && running === undefined ? 'skip' : 'stream'
    },
    collected(bytes) {
      const text = decodeUtf8(bytes) ?? fail(`has a name that is not UTF-8, at byte ${current?.begin ?? start}`)
      if (name !== '' && name !== text) fail(`is also called ${quoted(text)}`)
      name = text
    },
    streamed(bytes) {
      if (current?.number === TENSOR.dims) return packedDims(bytes)
      running?.update(bytes)
      const isFixedRun = current?.number === TENSOR.rawData || FIXED_BYTES.has(current?.number ?? 0)
      if (!isFixedRun) countVarints(bytes)
    },
    streamEnd() {
      if (dimBytes > 0 || digits > 0) fail(`has a number that is cut off in field ${current?.number ?? 0}`)
      if (current?.number === TENSOR.dims || data === undefined) return
      if (running !== undefined) data.sha256 = digestOf(running)
      running = undefined
    },
    entry(key, value) {
      isOdd = true
      if (entries.has(key)) fail(`has external data with two entries ${quoted(key)}`)
      if (key === 'location' || key === 'offset' || key === 'length') entries.set(key, value)
    },
    close(frame) {
      const dtype = ONNX_DTYPES[dtypeNumber ?? 0]
      if (dtype === undefined) return fail(`has type ${dtypeNumber ?? 0}, which is not known`)
      const elements = elementCount(shape) ?? fail(`has a shape with over 2^53 elements: ${shapeText(dtype)}`)
      const bits = DTYPE_BITS.get(dtype)
      const bytes =
        bits === undefined
          ? undefined
          : (packedBytes(elements, bits) ?? fail(`of ${shapeText(dtype)} is over 2^53 bytes`))
      const tensor = isExternal ? externalTensor(dtype, bytes) : inlineTensor(frame, dtype, elements, bytes)
      const isInline = !isExternal && tensor.encoding === undefined && tensor.length > 0
      return { tensor, inline: isInline ? data?.run : undefined, location, isOdd }
    },
  }
}
