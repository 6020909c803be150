import { cidOf, DAG_CBOR, decodeDagCbor, IntegrityError, parseCid, readCar, type Block, type CID } from '@x/cid'
import {
  decodeReceipt,
  decodeReceiptList,
  encodeReceipt,
  RAW_TENSORS,
  receiptFromJson,
  TASKS,
  voucherIn,
  type ResultReceipt,
  type ResultVoucher,
} from '@x/infer-core'
import { InvalidInputError, isStorageError, NotFoundError } from '@x/storage-core'

import type { Context } from './command.ts'
import { readBytes } from './read-file.ts'
import { entryOfReceipt, resultArea } from './results.ts'

/** A receipt, and what came with it. */
export interface GivenReceipt {
  receipt: ResultReceipt
  cid: CID
  /** Blocks of what it names, as far as they are here; each was checked. */
  blocks: readonly Block[]
  /** The input as it was given to `run`, where the file has it and it is a text. */
  input: string | undefined
  /** The result is kept here, and somebody else computed and signed it. What a file says of that counts for nothing. */
  vouchedBy?: ResultVoucher | undefined
}

/**
 * The receipts that a command line names: one by its CID, from the results that are kept; or a file, which is the CAR of
 * `run --receipt`, the receipt's own block, or JSON as `run --json` prints it; or the CAR that a server gives of an answer, which may be one of
 * a list of receipts.
 *
 * @returns At least one, and none twice.
 * @throws {NotFoundError} No result with that CID is kept. @throws {InvalidInputError} The file is not there, or holds no receipt.
 * @throws {IntegrityError} The file says another CID than the one that it hashes to.
 */
export async function givenReceipts(context: Context, operand: string): Promise<GivenReceipt[]> {
  const cid = cidIn(operand)
  if (cid) return [await asWritten(await fromCache(context, cid))]
  const all: GivenReceipt[] = []
  for (const given of await inFile(operand, await readBytes('the receipt', operand)))
    all.push(await withWhatIsHere(context, await asWritten(given)))
  return all
}

async function withWhatIsHere(context: Context, given: GivenReceipt): Promise<GivenReceipt> {
  if (given.blocks.length > 0) return given
  try {
    // What the file lacks may be here.
    return { ...(await fromCache(context, given.cid)), input: given.input }
  } catch (error) {
    if (error instanceof NotFoundError) return given
    throw error
  }
}

/** Of one receipt there is one block: another one with the same in it would have another CID, and be nobody's. */
async function asWritten(given: GivenReceipt): Promise<GivenReceipt> {
  const { cid } = await encodeReceipt(given.receipt)
  if (cid.toString() === given.cid.toString()) return given
  const message = `${given.cid} is not written as receipts are: what is in it is the receipt ${cid}`
  throw new IntegrityError(message, { cid: given.cid, actual: cid })
}

function cidIn(operand: string): CID | undefined {
  try {
    return parseCid(operand.replace(/^ipfs:\/\//, ''))
  } catch {
    // A file, then.
    return undefined
  }
}

async function fromCache(context: Context, cid: CID): Promise<GivenReceipt> {
  const { content } = await entryOfReceipt(await resultArea(context), cid)
  const [first, ...blocks] = content.kind === 'value' ? content.blocks : []
  if (first === undefined) throw new TypeError('a result without its receipt')
  return {
    receipt: decodeReceipt(first.bytes),
    cid: first.cid,
    blocks,
    input: undefined,
    vouchedBy: voucherIn([first, ...blocks], 'result'),
  }
}

async function inFile(file: string, bytes: Uint8Array): Promise<GivenReceipt[]> {
  try {
    const text = bytes[0] === 0x7b ? new TextDecoder().decode(bytes) : undefined
    if (text !== undefined) return [await fromJson(JSON.parse(text))]
    return isOneBlock(bytes) ? [await fromBlock(bytes)] : await fromCar(bytes)
  } catch (cause) {
    if (isStorageError(cause) && cause.code === 'INTEGRITY') throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidInputError(`${file} holds no receipt: ${why}`, { input: file, cause })
  }
}

/** As `run --json` prints a result, or its `receipt` alone. */
async function fromJson(value: unknown): Promise<GivenReceipt> {
  const line = typeof value === 'object' && value !== null && 'receipt' in value ? value : { receipt: value }
  const { receipt, block } = await receiptFromJson(line.receipt)
  const isText = receipt.task !== RAW_TENSORS && TASKS[receipt.task].inputs.every((kind) => TEXTS.has(kind))
  const input = 'input' in line && typeof line.input === 'string' && isText ? line.input : undefined
  return { receipt, cid: block.cid, blocks: [], input }
}

/** What names no file: a file's path in somebody else's receipt is none of here. */
const TEXTS: ReadonlySet<string> = new Set(['text', 'chat', 'pair', 'question', 'ranking'])

function isOneBlock(bytes: Uint8Array): boolean {
  try {
    decodeDagCbor(bytes)
    return true
  } catch {
    // Or not even a CAR, as its reader will say.
    return false
  }
}

async function fromBlock(bytes: Uint8Array): Promise<GivenReceipt> {
  if (decodeReceiptList(bytes)) {
    const message = 'a list of receipts alone, without the receipts, which the CAR of it has'
    throw new InvalidInputError(message, { input: 'block' })
  }
  const receipt = decodeReceipt(bytes)
  return { receipt, cid: await cidOf(DAG_CBOR, bytes), blocks: [], input: undefined }
}

async function fromCar(bytes: Uint8Array): Promise<GivenReceipt[]> {
  const car = await readCar([bytes], { maxBlockBytes: Math.max(1, bytes.length) })
  const blocks: Block[] = []
  for await (const block of car.blocks) blocks.push(block)
  const [root] = car.roots
  const first = blocks.find(({ cid }) => root?.equals(cid))
  if (first === undefined) throw new InvalidInputError('the block that its header names is not in it', { input: 'CAR' })
  const listed = decodeReceiptList(first.bytes)
  if (listed === undefined) return [amongBlocks(first, blocks)]
  if (listed.length === 0) throw new InvalidInputError('its list of receipts is empty', { input: 'CAR' })
  return [...new Set(listed.map(String))].map((cid) => {
    const own = blocks.find((block) => block.cid.toString() === cid)
    if (own) return amongBlocks(own, blocks)
    throw new InvalidInputError(`the receipt ${cid}, which its list names, is not in it`, { input: 'CAR' })
  })
}

const amongBlocks = (own: Block, blocks: readonly Block[]): GivenReceipt => ({
  receipt: decodeReceipt(own.bytes),
  cid: own.cid,
  blocks: blocks.filter((block) => block !== own),
  input: undefined,
})
