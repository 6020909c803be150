import { InvalidInputError } from '@x/cid'

import { GGML_TYPES } from './ggml-types.ts'
import { MAX_NAME_BYTES, MAX_TENSORS } from './limits.ts'
import { createPushReader, type ReadingProgram } from './push-reader.ts'
import { quoted } from './quoted.ts'
import { refuseAgain, type ScannedFile, type TensorScanner } from './scanner.ts'
import { digestOf, type CreateSha256 } from './sha256.ts'
import { createTensorList } from './tensor-list.ts'
import { blockBytes, elementCount } from './tensor-size.ts'
import type { Tensor } from './tensor-table.ts'
import { decodeUtf8 } from './utf8.ts'

const MAGIC = 'GGUF'
const MAX_KEYS = 65_536
/** Keys and texts of the metadata that are kept. */
const MAX_METADATA_BYTES = 16 * 2 ** 20
/** ggml has 4. */
const MAX_DIMENSIONS = 8
const DEFAULT_ALIGNMENT = 32
const ALIGNMENT = 'general.alignment'
const UINT32 = 4
const STRING = 8
const ARRAY = 9
/** Of a value's type, by number; a text and a list have none. */
const SCALARS: readonly (readonly [bytes: number, read: (view: DataView) => string | number | boolean] | undefined)[] =
  [
    [1, (view) => view.getUint8(0)],
    [1, (view) => view.getInt8(0)],
    [2, (view) => view.getUint16(0, true)],
    [2, (view) => view.getInt16(0, true)],
    [4, (view) => view.getUint32(0, true)],
    [4, (view) => view.getInt32(0, true)],
    [4, (view) => view.getFloat32(0, true)],
    [1, (view) => view.getUint8(0) !== 0],
    undefined,
    undefined,
    [8, (view) => exactOrText(view.getBigUint64(0, true))],
    [8, (view) => exactOrText(view.getBigInt64(0, true))],
    [8, (view) => view.getFloat64(0, true)],
  ]

type Refuse = (why: string) => never

/**
 * Lists the tensors of a GGUF file, version 2 or 3, little-endian. As in ggml each tensor begins where the one before it
 * ends, filled up to the alignment. What comes behind the last one is not looked at.
 *
 * @param file - What messages call it.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function createGgufScanner(file: string, createSha256: CreateSha256 | undefined): TensorScanner {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${file} is not a whole GGUF file: ${why}`, { input: file })
  }
  return refuseAgain(
    createPushReader(readGguf(createSha256, refuse), {
      cut: (offset, what) => refuse(`it ends at byte ${offset}, inside ${what}`),
      rest() {},
    }),
  )
}

/**
 * The metadata of a GGUF file, from its beginning: no more is read than that. Lists are passed over, as by a scanner.
 *
 * @param pieces - The file from its first byte on, cut anywhere. What comes behind the metadata is not asked for.
 * @param file - What messages call it.
 * @throws {InvalidInputError} What came cannot begin such a file, or is not all of its metadata.
 */
export async function readGgufMetadata(
  pieces: AsyncIterable<Uint8Array>,
  file: string,
): Promise<ReadonlyMap<string, string | number | boolean>> {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${file} is not a whole GGUF file: ${why}`, { input: file })
  }
  let found: ReadonlyMap<string, string | number | boolean> | undefined
  function* program(): ReadingProgram<void> {
    const place = { offset: 0 }
    const { keys } = yield* readStart(place, refuse)
    found = (yield* readMetadata(place, keys, refuse)).metadata
  }
  const reader = createPushReader(program(), {
    cut: (offset, what) => refuse(`it ends at byte ${offset}, inside ${what}`),
    rest() {},
  })
  for await (const piece of pieces) {
    reader.push(piece)
    if (found) return found
  }
  reader.end()
  return found ?? refuse('it ends inside its metadata')
}

function* readGguf(createSha256: CreateSha256 | undefined, refuse: Refuse): ReadingProgram<ScannedFile> {
  const place = { offset: 0 }
  const counts = yield* readStart(place, refuse)
  const { metadata, alignment } = yield* readMetadata(place, counts.keys, refuse)
  const infos: Info[] = []
  const list = createTensorList(refuse)
  const names = new Set<string>()
  for (let index = 0; index < counts.tensors; index++) {
    const info = yield* readInfo(place, index, refuse)
    if (names.has(info.tensor.name)) refuse(`there is a second tensor ${quoted(info.tensor.name)}`)
    names.add(info.tensor.name)
    list.add(info.tensor)
    infos.push(info)
  }
  const dataAt = padded(place.offset, alignment)
  let end = 0
  for (const { tensor, offset } of infos) {
    const why = `tensor ${quoted(tensor.name)} begins at byte ${offset} of the data, not ${end}`
    if (offset !== BigInt(end)) refuse(why)
    tensor.offset = dataAt + end
    end = padded(end + tensor.length, alignment)
    if (dataAt + end > Number.MAX_SAFE_INTEGER) refuse(`tensor ${quoted(tensor.name)} ends where no file does`)
  }
  for (const { tensor } of infos) {
    yield* passTo(place, tensor.offset, 'the padding before a tensor')
    yield* passTensor(place, tensor, createSha256)
  }
  return { table: { schema: 1, format: 'gguf', tensors: list.tensors }, metadata }
}

interface Place {
  /** Bytes read so far. */
  offset: number
}

function* take(place: Place, bytes: number, what: string): ReadingProgram<DataView> {
  const taken = yield { bytes, what }
  place.offset += bytes
  return new DataView(taken.buffer, taken.byteOffset, taken.byteLength)
}

function* passTo(place: Place, offset: number, what: string): ReadingProgram<void> {
  yield { pass: offset - place.offset, what }
  place.offset = offset
}

function* passTensor(place: Place, tensor: Tensor, createSha256: CreateSha256 | undefined): ReadingProgram<void> {
  const hash = createSha256?.()
  yield {
    pass: tensor.length,
    what: `tensor ${quoted(tensor.name)}`,
    ...(hash && { onPiece: (piece: Uint8Array) => hash.update(piece) }),
  }
  place.offset += tensor.length
  if (hash !== undefined) tensor.sha256 = digestOf(hash)
}

function* readStart(place: Place, refuse: Refuse): ReadingProgram<{ tensors: number; keys: number }> {
  const magic = yield* take(place, MAGIC.length, 'its first bytes')
  if (Array.from(MAGIC).some((letter, index) => magic.getUint8(index) !== letter.charCodeAt(0))) {
    refuse(`it does not begin with ${MAGIC}`)
  }
  const version = (yield* take(place, 4, 'its version')).getUint32(0, true)
  if (version !== 0 && version % 65_536 === 0) refuse('it is big-endian, which is not read here')
  if (version !== 2 && version !== 3) refuse(`it is of version ${version}, not 2 or 3`)
  const counts = yield* take(place, 16, 'its counts')
  const tensors = counts.getBigUint64(0, true)
  const keys = counts.getBigUint64(8, true)
  if (tensors > MAX_TENSORS) refuse(`it claims ${tensors} tensors, over ${MAX_TENSORS}`)
  if (keys > MAX_KEYS) refuse(`it claims ${keys} keys, over ${MAX_KEYS}`)
  return { tensors: Number(tensors), keys: Number(keys) }
}

function* readText(place: Place, limit: number, what: string, refuse: Refuse): ReadingProgram<string> {
  const at = place.offset
  const length = (yield* take(place, 8, what)).getBigUint64(0, true)
  if (length > limit) refuse(`${what} at byte ${at} claims ${length} bytes, over ${limit}`)
  const view = yield* take(place, Number(length), what)
  const text = decodeUtf8(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  return text ?? refuse(`${what} at byte ${at} is not UTF-8`)
}

interface Metadata {
  metadata: Map<string, string | number | boolean>
  alignment: number
}

function* readMetadata(place: Place, keys: number, refuse: Refuse): ReadingProgram<Metadata> {
  const metadata = new Map<string, string | number | boolean>()
  const names = new Set<string>()
  let alignment = DEFAULT_ALIGNMENT
  let kept = 0
  for (let index = 0; index < keys; index++) {
    const at = place.offset
    const key = yield* readText(place, MAX_NAME_BYTES, 'a key', refuse)
    if (key === '') refuse(`the key at byte ${at} is empty`)
    if (names.has(key)) refuse(`there is a second key ${quoted(key)}, at byte ${at}`)
    names.add(key)
    const type = (yield* take(place, 4, `the type of ${quoted(key)}`)).getUint32(0, true)
    const value = yield* readValue(place, key, type, refuse)
    if (value !== undefined) metadata.set(key, value)
    kept += key.length + (typeof value === 'string' ? value.length : 0)
    if (kept > MAX_METADATA_BYTES) refuse(`its keys and texts are over ${MAX_METADATA_BYTES} characters long`)
    if (key !== ALIGNMENT) continue
    if (type !== UINT32 || typeof value !== 'number') return refuse(`${ALIGNMENT} is of type ${type}, not ${UINT32}`)
    // A power of two has one bit.
    if (value === 0 || Math.log2(value) % 1 !== 0) refuse(`${ALIGNMENT} is ${value}, no power of two`)
    alignment = value
  }
  return { metadata, alignment }
}

/** `undefined`: a list, passed over. */
function* readValue(
  place: Place,
  key: string,
  type: number,
  refuse: Refuse,
): ReadingProgram<string | number | boolean | undefined> {
  const what = `the value of ${quoted(key)}`
  if (type === STRING) return yield* readText(place, MAX_METADATA_BYTES, what, refuse)
  if (type === ARRAY) {
    yield* passList(place, what, refuse)
    return undefined
  }
  const [bytes, read] = SCALARS[type] ?? refuse(`${what} is of type ${type}, which GGUF has not`)
  return read(yield* take(place, bytes, what))
}

function* passList(place: Place, what: string, refuse: Refuse): ReadingProgram<void> {
  const head = yield* take(place, 12, what)
  const type = head.getUint32(0, true)
  const count = head.getBigUint64(4, true)
  if (type === STRING) {
    for (let index = 0n; index < count; index++) {
      const length = (yield* take(place, 8, what)).getBigUint64(0, true)
      yield* passBytes(place, length, what, refuse)
    }
    return
  }
  const [bytes] = SCALARS[type] ?? refuse(`${what} is a list of type ${type}, which GGUF has not`)
  yield* passBytes(place, count * BigInt(bytes), what, refuse)
}

function* passBytes(place: Place, bytes: bigint, what: string, refuse: Refuse): ReadingProgram<void> {
  const end = BigInt(place.offset) + bytes
  if (end > Number.MAX_SAFE_INTEGER) refuse(`${what} claims ${bytes} bytes at byte ${place.offset}`)
  yield* passTo(place, Number(end), what)
}

interface Info {
  /** Without its place. */
  tensor: Tensor
  /** As the file has it: from where the data begins. */
  offset: bigint
}

function* readInfo(place: Place, index: number, refuse: Refuse): ReadingProgram<Info> {
  const name = yield* readText(place, MAX_NAME_BYTES, `the name of tensor ${index}`, refuse)
  const fail = (why: string): never => refuse(`tensor ${quoted(name)} ${why}`)
  const what = `what is said of tensor ${quoted(name)}`
  const rank = (yield* take(place, 4, what)).getUint32(0, true)
  if (rank > MAX_DIMENSIONS) fail(`has ${rank} dimensions, over ${MAX_DIMENSIONS}`)
  const rest = yield* take(place, rank * 8 + 12, what)
  const innermostFirst = Array.from({ length: rank }, (_, dimension) => {
    const size = rest.getBigUint64(dimension * 8, true)
    return size <= Number.MAX_SAFE_INTEGER ? Number(size) : fail(`has a dimension of ${size}`)
  })
  const number = rest.getUint32(rank * 8, true)
  const type = GGML_TYPES.get(number) ?? fail(`has type ${number}, which is not known`)
  const row = innermostFirst[0] ?? 1
  if (row % type.blockElements !== 0) {
    fail(`of ${type.dtype} has rows of ${row} elements, no multiple of ${type.blockElements}`)
  }
  const elements = elementCount(innermostFirst) ?? fail('has a shape with over 2^53 elements')
  const length = blockBytes(elements, type.blockElements, type.blockBytes) ?? fail('is over 2^53 bytes')
  const tensor = { name, dtype: type.dtype, shape: innermostFirst.toReversed(), offset: 0, length }
  return { tensor, offset: rest.getBigUint64(rank * 8 + 4, true) }
}

function padded(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment
}

function exactOrText(value: bigint): string | number {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}
