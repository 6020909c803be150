import { InvalidInputError } from '@x/cid'

import { DTYPE_BITS } from './dtypes.ts'
import { createJsonReader, type JsonReader } from './json-reader.ts'
import { MAX_NAME_BYTES, MAX_RANK } from './limits.ts'
import { quoted } from './quoted.ts'
import { createTensorList } from './tensor-list.ts'
import { elementCount, packedBytes } from './tensor-size.ts'
import type { Tensor } from './tensor-table.ts'

export interface SafetensorsHeader {
  /** By offset; offsets are those in the file. */
  tensors: Tensor[]
  metadata: Map<string, string>
}

const DTYPES: ReadonlyMap<string, string> = new Map([
  ['BOOL', 'bool'],
  ['F4', 'float4e2m1'],
  ['F6_E2M3', 'float6e2m3'],
  ['F6_E3M2', 'float6e3m2'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8e5m2'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['F8_E8M0', 'float8e8m0'],
  ['F8_E4M3FNUZ', 'float8e4m3fnuz'],
  ['F8_E5M2FNUZ', 'float8e5m2fnuz'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['F32', 'float32'],
  ['C64', 'complex64'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
])
const METADATA = '__metadata__'
/** Bytes of metadata that are kept. */
const MAX_METADATA_BYTES = 16 * 2 ** 20
/** Before the header: its length. */
export const PREFIX_BYTES = 8
/** What the reference implementation allows. */
const MAX_HEADER_BYTES = 100_000_000

/** The length of the header, from the bytes before it. */
export function readHeaderLength(prefix: Uint8Array, refuse: (why: string) => never): number {
  const claimed = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true)
  return claimed > MAX_HEADER_BYTES
    ? refuse(`its header claims ${claimed} bytes, over ${MAX_HEADER_BYTES}`)
    : Number(claimed)
}

/** What every reader of such a file says of one that it refuses. */
export const notWhole = (file: string, why: string): InvalidInputError =>
  new InvalidInputError(`${file} is not a whole safetensors file: ${why}`, { input: file })

export const endsInside = (offset: number, what: string): string => `it ends at byte ${offset}, inside ${what}`
export const goesOn = (offset: number): string => `there is more behind its last tensor, which ends at byte ${offset}`
export const LENGTH_OF_HEADER = 'the length of its header'
export const HEADER = 'its header'
export const tensorCalled = (name: string): string => `tensor ${quoted(name)}`

/**
 * Reads the header: strict JSON, no name twice, every tensor as long as its shape says, one after the other without a gap.
 *
 * @param refuse - Throws, with what is wrong.
 */
export function readSafetensorsHeader(header: Uint8Array, refuse: (why: string) => never): SafetensorsHeader {
  const refuseAt = (why: string, at: number): never => refuse(`${why} at byte ${PREFIX_BYTES + at}`)
  if (header[0] !== 0x7b) refuseAt('there is no {', 0)
  const json = createJsonReader(header, refuseAt)
  const list = createTensorList(refuse)
  const names = new Set<string>()
  const dataAt = PREFIX_BYTES + header.length
  let metadata: Map<string, string> | undefined

  readObject(json, MAX_NAME_BYTES, (name, at) => {
    if (names.has(name)) refuseAt(`there is a second ${quoted(name)}`, at)
    names.add(name)
    if (name !== METADATA) list.add(readTensor(json, name, dataAt, (why) => refuse(`tensor ${quoted(name)} ${why}`)))
    else metadata = readMetadata(json, refuseAt)
  })
  if (json.peek() !== undefined) refuseAt('there is something behind the header', json.at)

  const tensors = list.tensors.toSorted(
    (a, b) => a.offset - b.offset || a.length - b.length || (a.name < b.name ? -1 : Number(a.name > b.name)),
  )
  let end = dataAt
  for (const { name, offset, length } of tensors) {
    if (offset !== end) {
      refuse(
        `tensor ${quoted(name)} begins at byte ${offset}, ${offset > end ? 'behind a gap' : 'inside another'}: ${end}`,
      )
    }
    end = offset + length
  }
  return { tensors, metadata: metadata ?? new Map() }
}

function readObject(json: JsonReader, maxKeyBytes: number, onKey: (key: string, at: number) => void): void {
  json.expect('{')
  if (json.accept('}')) return
  do {
    json.peek()
    const { at } = json
    const key = json.text(maxKeyBytes)
    json.expect(':')
    onKey(key, at)
  } while (json.accept(','))
  json.expect('}')
}

function readMetadata(json: JsonReader, refuseAt: (why: string, at: number) => never): Map<string, string> {
  const metadata = new Map<string, string>()
  if (json.peek() === 'n'.charCodeAt(0)) {
    json.skipValue()
    return metadata
  }
  const start = json.at
  readObject(json, MAX_METADATA_BYTES, (key, at) => {
    if (metadata.has(key)) refuseAt(`${METADATA} has a second ${quoted(key)}`, at)
    metadata.set(key, json.text(MAX_METADATA_BYTES))
    if (json.at - start > MAX_METADATA_BYTES) refuseAt(`${METADATA} is over ${MAX_METADATA_BYTES} bytes long`, start)
  })
  return metadata
}

function readTensor(json: JsonReader, name: string, dataAt: number, refuse: (why: string) => never): Tensor {
  const seen = new Set<string>()
  let dtype: string | undefined
  let shape: number[] | undefined
  let offsets: number[] | undefined
  readObject(json, MAX_NAME_BYTES, (key) => {
    if (seen.has(key)) refuse(`has a second ${quoted(key)}`)
    // The format allows further keys; a set of them is not kept.
    if (key === 'dtype') dtype = json.text(MAX_NAME_BYTES)
    else if (key === 'shape') shape = readCounts(json, MAX_RANK, () => refuse(`has over ${MAX_RANK} dimensions`))
    else if (key === 'data_offsets') offsets = readCounts(json, 2, () => refuse('has over two data_offsets'))
    else return json.skipValue()
    seen.add(key)
  })
  if (dtype === undefined) return refuse('has no dtype')
  if (shape === undefined) return refuse('has no shape')
  const [begin, end] = offsets ?? []
  if (begin === undefined || end === undefined) return refuse('has no data_offsets')
  if (end < begin) return refuse(`ends before it begins: ${begin}, ${end}`)
  const ownDtype = DTYPES.get(dtype) ?? refuse(`has type ${quoted(dtype)}, which is not known`)
  const elements = elementCount(shape) ?? refuse('has a shape with over 2^53 elements')
  const bits = DTYPE_BITS.get(ownDtype) ?? 0
  const wanted = packedBytes(elements, bits) ?? refuse('is over 2^53 bytes')
  if (((elements % 8) * bits) % 8 !== 0)
    return refuse(`of ${elements} elements of ${bits} bits does not end with a byte`)
  const length = end - begin
  if (wanted !== length)
    refuse(`of ${dtype} [${shape.slice(0, 8).join(', ')}] takes ${wanted} bytes, and has ${length}`)
  if (dataAt + end > Number.MAX_SAFE_INTEGER) refuse(`ends at ${end}, where no file does`)
  return { name, dtype: ownDtype, shape, offset: dataAt + begin, length }
}

function readCounts(json: JsonReader, limit: number, tooMany: () => never): number[] {
  const counts: number[] = []
  json.expect('[')
  if (json.accept(']')) return counts
  do {
    if (counts.length === limit) tooMany()
    counts.push(json.count())
  } while (json.accept(','))
  json.expect(']')
  return counts
}
