import { CID, decodeDagCbor, encodeDagCbor, IntegrityError, InvalidInputError, parseCid, type Block } from '@x/cid'

import { assertRun, type RunName } from './tasks.ts'

/** A file that the run read, by the UnixFS root of its bytes. */
export interface UsedFile {
  path: string
  cid: CID
}

export interface Software {
  name: string
  version: string
}

/**
 * What a result rests on: whoever runs the same model, input and parameters on the same runtime gets the same output.
 *
 * Everything here is hashed. What differs from run to run and decides nothing, such as the time, the host and the
 * duration, is kept beside it.
 */
export interface ResultReceipt {
  schema: 1 | 2 | 3
  /** `raw-tensors` of a graph that was run on tensors as they are. */
  task: RunName
  /** The UnixFS root of the model's directory. */
  model: CID
  /** The dag-cbor block that lists the model's files. */
  manifest: CID
  /** Sorted by path. */
  files: readonly UsedFile[]
  /** Blocks of `encodeInput`, `encodeParams` and `encodeOutput`. */
  input: CID
  params: CID
  output: CID
  /** What ran the graph, as installed. */
  runtime: Software
  /** What prepared its inputs and read its outputs; of raw tensors, what gave them to the runtime. */
  library: Software
  /**
   * The one execution provider that every session was made for, as ONNX Runtime or llama.cpp names it. Operators that it lacks are run on the
   * processor; which, follows from the runtime and the graph.
   */
  executionProvider: string
  /**
   * Of each session, by the name of its graph: `{ model: 'fp32' }`; of a GGUF as llama.cpp calls it: `{ model: 'Q4_K_M' }`. Of raw tensors
   * none: the parameters name the graph.
   */
  dtype: Readonly<Record<string, string>>
  /**
   * What else decides the last bits: the processor's features and how the weights are held. Only runs of one class are to be
   * equal bit for bit. From schema 2 on.
   */
  numericClass?: string | undefined
  /** What else made the inputs or the output, by version: what wrote this receipt, what decodes images, Unicode's tables. Sorted by name. From schema 3 on. */
  tools?: readonly Software[] | undefined
}

export function encodeReceipt(receipt: ResultReceipt): Promise<Block> {
  const { schema, task, model, manifest, input, params, output, executionProvider } = receipt
  return encodeDagCbor({
    schema,
    task,
    model,
    manifest,
    files: receipt.files.map(({ path, cid }) => ({ path, cid })),
    input,
    params,
    output,
    runtime: { name: receipt.runtime.name, version: receipt.runtime.version },
    library: { name: receipt.library.name, version: receipt.library.version },
    executionProvider,
    dtype: { ...receipt.dtype },
    ...(receipt.numericClass !== undefined && { numericClass: receipt.numericClass }),
    ...(receipt.tools !== undefined && { tools: receipt.tools.map(({ name, version }) => ({ name, version })) }),
  })
}

/**
 * Reads a receipt's block, whose bytes were verified.
 *
 * @throws {InvalidInputError} It is none, of another schema, or has more in it than its schema.
 */
export function decodeReceipt(bytes: Uint8Array): ResultReceipt {
  return toReceipt(toFields(decoded(bytes), 'the receipt'))
}

function toReceipt(fields: Record<string, unknown>): ResultReceipt {
  const { schema } = fields
  if (schema !== 1 && schema !== 2 && schema !== 3) {
    throw refusal(`its schema is ${JSON.stringify(schema) ?? 'missing'}, not 1, 2 or 3`)
  }
  // What is not read was not looked at by who says that a receipt is true.
  const known = [...FIELDS, ...(schema > 1 ? ['numericClass'] : []), ...(schema > 2 ? ['tools'] : [])]
  assertNoOthers(fields, 'the receipt', known)
  const task = toText(fields.task, 'task')
  assertRun(task)
  return {
    schema,
    task,
    model: toCid(fields.model, 'model'),
    manifest: toCid(fields.manifest, 'manifest'),
    files: toFiles(fields.files),
    input: toCid(fields.input, 'input'),
    params: toCid(fields.params, 'params'),
    output: toCid(fields.output, 'output'),
    runtime: toSoftware(fields.runtime, 'runtime'),
    library: toSoftware(fields.library, 'library'),
    executionProvider: toText(fields.executionProvider, 'executionProvider'),
    dtype: Object.fromEntries(
      Object.entries(toFields(fields.dtype, 'dtype')).map(([key, value]) => [key, toText(value, `dtype ${key}`)]),
    ),
    ...(schema > 1 && { numericClass: toText(fields.numericClass, 'numericClass') }),
    ...(schema > 2 && { tools: toTools(fields.tools) }),
  }
}

/** Of every schema. */
const FIELDS = [
  'schema',
  'task',
  'model',
  'manifest',
  'files',
  'input',
  'params',
  'output',
  'runtime',
  'library',
  'executionProvider',
  'dtype',
]

function assertNoOthers(fields: Record<string, unknown>, what: string, known: readonly string[]): void {
  const other = Object.keys(fields).find((name) => !known.includes(name))
  if (other !== undefined) throw refusal(`${what} has a field ${JSON.stringify(other)}`)
}

/** A receipt as plain JSON, CIDs as text, with its own CID in front. */
export function receiptToJson(receipt: ResultReceipt, cid: CID): Record<string, unknown> {
  return {
    cid: cid.toString(),
    ...receipt,
    model: receipt.model.toString(),
    manifest: receipt.manifest.toString(),
    files: receipt.files.map((file) => ({ path: file.path, cid: file.cid.toString() })),
    input: receipt.input.toString(),
    params: receipt.params.toString(),
    output: receipt.output.toString(),
  }
}

/**
 * Reads what `receiptToJson` gave.
 *
 * @returns The receipt and its block.
 * @throws {IntegrityError} It does not hash to the CID in front of it.
 * @throws {InvalidInputError} It is none, or of another schema.
 */
export async function receiptFromJson(value: unknown): Promise<{ receipt: ResultReceipt; block: Block }> {
  const { cid: claimedCid, ...fields } = toFields(value, 'the receipt')
  const cids = ['model', 'manifest', 'input', 'params', 'output'].map((name) => [name, cidIn(fields[name], name)])
  const files = Array.isArray(fields.files)
    ? fields.files.map((item: unknown) => {
        const file = toFields(item, 'a file')
        return { ...file, cid: cidIn(file.cid, 'cid') }
      })
    : fields.files
  const receipt = toReceipt({ ...fields, ...Object.fromEntries(cids), files })
  const block = await encodeReceipt(receipt)
  const claimed = claimedCid === undefined ? block.cid : cidIn(claimedCid, 'cid')
  if (claimed.toString() !== block.cid.toString()) {
    const message = `the receipt says that it is ${claimed}, and hashes to ${block.cid}`
    throw new IntegrityError(message, { cid: claimed, actual: block.cid })
  }
  return { receipt, block }
}

function cidIn(value: unknown, field: string): CID {
  try {
    return parseCid(toText(value, field))
  } catch (cause) {
    throw refusal(`${field} is no CID`, cause)
  }
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw refusal('it is not dag-cbor', cause)
  }
}

function toFiles(value: unknown): UsedFile[] {
  if (!Array.isArray(value)) throw refusal('files is no list')
  return value.map((item: unknown) => {
    const { path, cid, ...others } = toFields(item, 'a file')
    assertNoOthers(others, 'a file', [])
    return { path: toText(path, 'path'), cid: toCid(cid, 'cid') }
  })
}

function toTools(value: unknown): Software[] {
  if (!Array.isArray(value)) throw refusal('tools is no list')
  return value.map((item: unknown) => toSoftware(item, 'a tool'))
}

function toSoftware(value: unknown, field: string): Software {
  const { name, version, ...others } = toFields(value, field)
  assertNoOthers(others, field, [])
  return { name: toText(name, `${field} name`), version: toText(version, `${field} version`) }
}

function toFields(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(`${field} is no map`)
  return Object.fromEntries(Object.entries(value))
}

function toText(value: unknown, field: string): string {
  if (typeof value === 'string') return value
  throw refusal(`${field} is no text`)
}

function toCid(value: unknown, field: string): CID {
  const cid = CID.asCID(value)
  if (cid !== null) return cid
  throw refusal(`${field} is no CID`)
}

function refusal(why: string, cause?: unknown): InvalidInputError {
  return new InvalidInputError(`not a result receipt: ${why}`, { input: 'receipt', cause })
}
