import { CID, DAG_CBOR, decodeDagCbor, encodeDagCbor, InvalidInputError, verify, type Block } from '@x/cid'

import { isCount, toTensor } from './check-tensor.ts'
import { MAX_OPERATOR_BYTES, MAX_OPERATORS, MAX_TENSORS } from './limits.ts'
import { quoted } from './quoted.ts'
import type { Tensor, TensorFormat, TensorTable } from './tensor-table.ts'
import { utf8Length } from './utf8.ts'

/**
 * A table as dag-cbor blocks: what a manifest links to is the CID of `root`.
 *
 * A small table is one block: `{ schema: 1, format, operators?, tensors }`. A larger one is cut into pages: the root is
 * `{ schema: 1, format, operators?, count, pages: [CID] }`, each page a list of tensors. No block is over 512 KiB.
 */
export interface EncodedTable {
  root: Block
  pages: Block[]
}

/** A page ends before the tensor that would take it over this, as `encodedBytes` counts. Part of the format: it decides CIDs. */
const PAGE_BYTES = 393_216
/** Heads, keys and numbers of a tensor at their longest, with its digest. */
const TENSOR_BYTES = 160
const DIMENSION_BYTES = 9
const MAX_PAGES = 4096
/** Of a block that is read: what any peer takes. */
const MAX_BLOCK_BYTES = 1_048_576

/**
 * One byte sequence for one table: equal tables have equal CIDs.
 *
 * @throws {InvalidInputError} The table is none that `decodeTensorTable` would take.
 */
export async function encodeTensorTable(table: TensorTable): Promise<EncodedTable> {
  const { format, operators } = table
  const head = { schema: 1, format, ...(operators && { operators: checkedOperators(operators, format) }) }
  const tensors = table.tensors.map((tensor, index) => checkedTensor(tensor, table.format, index))
  assertCount(tensors.length)
  const pages = toPages(tensors)
  const [first = []] = pages
  if (pages.length <= 1) return { root: await encodeDagCbor({ ...head, tensors: first }), pages: [] }
  const blocks: Block[] = []
  for (const page of pages) blocks.push(await encodeDagCbor(page))
  const root = await encodeDagCbor({ ...head, count: tensors.length, pages: blocks.map(({ cid }) => cid) })
  return { root, pages: blocks }
}

/**
 * Reads a table, whose root block was verified; pages are verified here. What it says is still a stranger's: every field is
 * checked, but not whether the file has these tensors.
 *
 * @param getBlock - The bytes of a page.
 * @throws {InvalidInputError} It is no table, of another schema, or over the limits.
 * @throws {IntegrityError} A page is not what its CID says.
 */
export async function decodeTensorTable(
  root: Uint8Array,
  getBlock: (cid: CID) => Promise<Uint8Array>,
): Promise<TensorTable> {
  const fields = rootFields(decoded(root))
  const { schema, operators, count, pages } = fields
  if (schema !== 1) throw refusal(`its schema is ${JSON.stringify(schema) ?? 'missing'}, not 1`)
  const format = toFormat(fields['format'])
  const head: Omit<TensorTable, 'tensors'> = { schema: 1, format }
  if (operators !== undefined) head.operators = checkedOperators(operators, format)
  if (pages === undefined) {
    if (count !== undefined) throw refusal('it has a count without pages')
    return { ...head, tensors: toTensors(fields['tensors'], format, 0) }
  }
  if (fields['tensors'] !== undefined) throw refusal('it has both tensors and pages')
  if (!Array.isArray(pages) || pages.length < 2 || pages.length > MAX_PAGES) throw refusal('its pages are no list')
  if (!isCount(count)) throw refusal('it has no count')
  assertCount(count)
  const tensors: Tensor[] = []
  for (const page of pages.map((cid: unknown) => toPageCid(cid))) {
    const bytes = await getBlock(page)
    await verify(page, bytes)
    const more = toTensors(decoded(bytes), format, tensors.length)
    if (more.length === 0) throw refusal('a page is empty')
    if (tensors.length + more.length > count) throw refusal(`its pages have over ${count} tensors`)
    for (const tensor of more) tensors.push(tensor)
  }
  if (tensors.length !== count) throw refusal(`its pages have ${tensors.length} tensors, not ${count}`)
  return { ...head, tensors }
}

function encodedBytes({ name, shape, file = '' }: Tensor): number {
  return TENSOR_BYTES + utf8Length(name) + utf8Length(file) + shape.length * DIMENSION_BYTES
}

function toPages(tensors: readonly Tensor[]): Tensor[][] {
  const pages: Tensor[][] = []
  let page: Tensor[] = []
  let bytes = 0
  for (const tensor of tensors) {
    const more = encodedBytes(tensor)
    if (bytes + more > PAGE_BYTES && page.length > 0) {
      pages.push(page)
      page = []
      bytes = 0
    }
    page.push(tensor)
    bytes += more
  }
  if (page.length > 0) pages.push(page)
  return pages
}

function decoded(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_BLOCK_BYTES) throw refusal(`a block is ${bytes.length} bytes long`)
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw refusal('a block is not dag-cbor', cause)
  }
}

const FIELDS: readonly string[] = ['schema', 'format', 'operators', 'tensors', 'count', 'pages']

function rootFields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal('it is no map')
  const fields: Record<string, unknown> = Object.fromEntries(Object.entries(value))
  const stranger = Object.keys(fields).find((name) => !FIELDS.includes(name))
  if (stranger !== undefined) throw refusal(`it has an unknown field ${quoted(stranger)}`)
  return fields
}

function toFormat(value: unknown): TensorFormat {
  if (value === 'onnx' || value === 'safetensors' || value === 'gguf') return value
  throw refusal('its format is not known')
}

function toTensors(value: unknown, format: TensorFormat, before: number): Tensor[] {
  if (!Array.isArray(value)) throw refusal('its tensors are no list')
  assertCount(before + value.length)
  return value.map((tensor: unknown, index) => checkedTensor(tensor, format, before + index))
}

function checkedTensor(value: unknown, format: TensorFormat, index: number): Tensor {
  return toTensor(value, format, (why) => {
    throw refusal(`of tensor ${index}, ${why}`)
  })
}

function checkedOperators(value: unknown, format: TensorFormat): string[] {
  if (format !== 'onnx') throw refusal(`a file of ${format} has no operators`)
  if (!Array.isArray(value) || value.length > MAX_OPERATORS) throw refusal('its operators are no list')
  const names = value.filter((name: unknown) => typeof name === 'string')
  if (names.length !== value.length) throw refusal('its operators are no texts')
  if (names.reduce((sum, name) => sum + utf8Length(name), 0) > MAX_OPERATOR_BYTES) {
    throw refusal(`its operators are over ${MAX_OPERATOR_BYTES} bytes long`)
  }
  names.forEach((name, index) => {
    const previous = names[index - 1]
    if (previous !== undefined && previous >= name)
      throw refusal(`operator ${quoted(name)} is out of order or there twice`)
  })
  return names
}

function toPageCid(value: unknown): CID {
  const cid = CID.asCID(value)
  if (cid === null || cid.code !== DAG_CBOR) throw refusal('a page is no CID of dag-cbor')
  return cid
}

function assertCount(count: number): void {
  if (count > MAX_TENSORS) throw refusal(`it has over ${MAX_TENSORS} tensors`)
}

function refusal(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`not a tensor table: ${why}`, { input: 'tensor table', cause })
}
