import type { CacheArea, Entry } from '@x/cache'
import { InvalidInputError, isStorageError, readCar, type Block, type CID } from '@x/cid'
import {
  decodeInput,
  decodeOutput,
  decodeParams,
  decodeReceipt,
  encodeReceipt,
  encodeResultKey,
  encodeVoucher,
  isOutputOf,
  isVoucher,
  type ResultReceipt,
} from '@x/infer-core'
import { verifyDocument, type SignerIdentity, type TrustedSigner } from '@x/model-signing'
import type { AbortOptions } from '@x/storage-core'

import { kindOfKey, whyNoFacts } from './entry-kind.ts'
import { DOCUMENT_KIND, readDocument, type ListedEntry } from './results-document.ts'

export interface AcceptResultsOptions extends AbortOptions {
  /** Whose results are taken. Someone trusted for some repositories alone signs no results. */
  trusted: readonly TrustedSigner[]
  /** The list that it has to be. Default: any. */
  name?: string | undefined
  /** As of which day certificates count. Default: when the signer's became valid. */
  certificatesValidAt?: Date | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
  /** Entries looked at, of all that are listed. */
  onProgress?: ((done: number, total: number) => void) | undefined
  /** Given each result that is disputed, which is kept nowhere else; what it rejects with ends it all. Default: they are only named. */
  onDisputed?: ((result: DisputedResult) => void | Promise<void>) | undefined
}

/** Here is another result under the same key. */
export interface Dispute {
  key: CID
  receipt: CID
  /** The receipt of the one that is here. */
  ours: CID
}

export interface DisputedResult extends Dispute {
  /** The receipt's own, then those of its output, parameters and input. */
  blocks: readonly Block[]
}

export interface AcceptedResults {
  name: string
  signer: SignerIdentity
  /** New here. */
  results: number
  /** What loading models found out, new here. */
  facts: number
  /** They were here: the same result; or what loading the model found out, of which ours stays. */
  held: number
  /** They are signed, and not in the CAR. */
  missing: number
  /** Their time was over. */
  expired: number
  /** Here is another result under the same key, which stays: one of the two is not true, or the model draws lots. */
  disputed: Dispute[]
  /** Signed, and not taken. */
  refused: { key: CID; why: string }[]
}

/** Of outputs that are images or sounds. */
const MAX_BLOCK_BYTES = 64 * 2 ** 20
/** Output, parameters and input. */
const OPERANDS = 3

/**
 * Takes in results that somebody else computed and signed. The signature is checked before anything else is read, every block
 * against its CID, and every result against its key: what decides it is what its receipt says. Whether the output is what the model
 * gives is what the signer vouches for; `verifyReceipt` of `@x/infer-node` finds out. Each is kept with a voucher that
 * names the signer.
 *
 * @param area - That of a result cache. What was taken before something fails stays.
 * @param pieces - A CAR of `packResults`.
 * @throws {SignatureError} Nobody who is trusted signed it, or it is signed for something else.
 * @throws {InvalidInputError} It is no such CAR, or has in it what is not signed; or nobody is trusted.
 * @throws {IntegrityError} A block does not hash to its CID.
 */
export async function acceptResults(
  area: CacheArea,
  pieces: AsyncIterable<Uint8Array>,
  { trusted, name, certificatesValidAt, signal, now = Date.now, onProgress, onDisputed }: AcceptResultsOptions,
): Promise<AcceptedResults> {
  const scoped = trusted.find(({ repos }) => repos !== undefined)
  if (scoped || trusted.length === 0) {
    const why = scoped ? `${scoped.name} is trusted for some repositories alone` : 'nobody is trusted'
    throw new InvalidInputError(`${why}, so results of nobody are taken`, { input: 'trusted' })
  }
  const car = await readCar(pieces, { signal, maxBlockBytes: MAX_BLOCK_BYTES })
  const blocks = createReader(car.blocks)
  try {
    const root = await blocks.next()
    if (!root || !car.roots[0]?.equals(root.cid)) throw noResults('it does not begin with what its header names')
    const document = await verifyDocument(root.bytes, trusted, { kind: DOCUMENT_KIND, name, certificatesValidAt })
    const listed = new Map(readDocument(document.value).map((entry) => [entry.key.toString(), entry]))
    const { method, name: signerName, fingerprint, subject } = document.signer
    const voucher = await encodeVoucher({ method, name: signerName, fingerprint, subject })
    const report: AcceptedResults = {
      name: document.name,
      signer: document.signer,
      results: 0,
      facts: 0,
      held: 0,
      missing: 0,
      expired: 0,
      disputed: [],
      refused: [],
    }
    const total = listed.size
    let passable = 0
    for (let key = await blocks.next(); key !== undefined; key = await blocks.next()) {
      signal?.throwIfAborted()
      const entry = listed.get(key.cid.toString())
      // Of a key or receipt that could not be read it is not known which blocks belong to it, but how many may.
      if (!entry && passable > 0) {
        passable -= 1
        continue
      }
      if (!entry) throw noResults(`${key.cid} is not signed, or is there twice`)
      listed.delete(key.cid.toString())
      const offered = { entry, key, blocks, voucher, nowMs: now(), onDisputed }
      passable = (await take(area, offered, report)) ? 0 : OPERANDS
      onProgress?.(total - listed.size, total)
    }
    report.missing = listed.size
    return report
  } finally {
    await car.blocks.return(undefined)
  }
}

interface Reader {
  next(): Promise<Block | undefined>
  /** @throws {InvalidInputError} Another block comes next, or none. */
  expect(cid: CID): Promise<Block>
}

function createReader(blocks: AsyncGenerator<Block>): Reader {
  const next = async (): Promise<Block | undefined> => {
    const { value, done } = await blocks.next()
    return done === true ? undefined : value
  }
  return {
    next,
    async expect(cid) {
      const block = await next()
      if (block?.cid.equals(cid)) return block
      throw noResults(block ? `${cid} is wanted where ${block.cid} is` : `it ends before ${cid}`)
    },
  }
}

interface Offered {
  entry: ListedEntry
  key: Block
  blocks: Reader
  voucher: Block
  nowMs: number
  onDisputed: AcceptResultsOptions['onDisputed']
}

/** @returns Whether all that belongs to it was read. */
async function take(
  area: CacheArea,
  { entry: { key, value: cid, expiresMs }, key: keyBlock, blocks, voucher, nowMs, onDisputed }: Offered,
  report: AcceptedResults,
): Promise<boolean> {
  const of = await kindOfKey(keyBlock.bytes)
  const value = await blocks.expect(cid)
  const receipt = typeof of === 'string' ? of : of.kind === 'result' ? receiptIn(value) : undefined
  if (typeof receipt === 'string') {
    report.refused.push({ key, why: receipt })
    return false
  }
  const linked: Block[] = []
  if (receipt)
    for (const operand of [receipt.output, receipt.params, receipt.input]) linked.push(await blocks.expect(operand))
  const why = receipt ? await whyNot(keyBlock.cid, value, receipt, linked) : whyNoFacts(value)
  if (why !== undefined) {
    report.refused.push({ key, why })
    return true
  }
  if (expiresMs !== undefined && expiresMs <= nowMs) {
    report.expired += 1
    return true
  }
  const there = await area.get(key)
  const ours = valueOf(there, nowMs)
  if (ours?.equals(cid) || (ours && !receipt)) {
    report.held += 1
    return true
  }
  if (ours) {
    const dispute = { key, receipt: cid, ours }
    report.disputed.push(dispute)
    await onDisputed?.({ ...dispute, blocks: [value, ...linked] })
    return true
  }
  const entry: Entry = {
    key,
    keyBytes: keyBlock.bytes,
    content: { kind: 'value', cid, blocks: [value, ...linked, voucher] },
    storedMs: nowMs,
    expiresMs,
  }
  // What is computed here meanwhile stays.
  const kept = await area.put(entry, nowMs, undefined, { instead: there === 'damaged' ? undefined : there })
  if (!kept.kept) report.refused.push({ key, why: kept.why })
  else if (receipt) report.results += 1
  else report.facts += 1
  return true
}

/** Or why it is none. */
function receiptIn({ bytes }: Block): ResultReceipt | string {
  try {
    return decodeReceipt(bytes)
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return error.message
    throw error
  }
}

/** Why a signed result is not one that would be looked up under its key, or could not be read there. */
async function whyNot(
  key: CID,
  { cid }: Block,
  receipt: ResultReceipt,
  [output, params, input]: readonly Block[],
): Promise<string | undefined> {
  if (!output || !params || !input) throw new TypeError('a result has three operands')
  const { numericClass, tools } = receipt
  if (numericClass === undefined || tools === undefined) return `its receipt is of schema ${receipt.schema}`
  // Of one receipt there is one block; another one with the same in it is refused wherever a receipt is read.
  const written = await encodeReceipt(receipt)
  if (!written.cid.equals(cid)) return `its receipt is not written as receipts are: what is in it is ${written.cid}`
  const own = await encodeResultKey({ ...receipt, numericClass, tools })
  if (!own.cid.equals(key)) return `its receipt has the key ${own.cid}`
  try {
    decodeInput(input.bytes)
    decodeParams(params.bytes)
    if (!isOutputOf(receipt.task, decodeOutput(output.bytes))) return `its output is none of ${receipt.task}`
    // It would name somebody as who signed it.
    return [output, params, input].some(isVoucher) ? 'its output, parameters or input read as a voucher' : undefined
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return error.message
    throw error
  }
}

/** What counts under a key now. */
function valueOf(entry: Entry | 'damaged' | undefined, nowMs: number): CID | undefined {
  if (entry === undefined || entry === 'damaged' || entry.content.kind !== 'value') return undefined
  const isOver = entry.expiresMs !== undefined && entry.expiresMs <= nowMs
  return isOver ? undefined : entry.content.cid
}

const noResults = (why: string): InvalidInputError =>
  new InvalidInputError(`not a CAR of signed results: ${why}`, { input: 'CAR' })
