import type { CacheArea, Entry } from '@x/cache'
import { cidOf, InvalidInputError, isStorageError, RAW, writeCarBlocks, type Block, type CID } from '@x/cid'
import { decodeReceipt, voucherIn } from '@x/infer-core'
import { signDocument, type Signer } from '@x/model-signing'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { kindOfKey, whyNoFacts, type EntryKind } from './entry-kind.ts'
import { DOCUMENT_KIND, MAX_ENTRIES, toDocument, type ListedEntry } from './results-document.ts'

export interface PackResultsOptions extends AbortOptions {
  /** Who stands behind them. */
  signer: Signer
  /** What the list is called. Default `results`. */
  name?: string | undefined
  /** Only results of models with these manifests. Default: of all. */
  manifests?: readonly CID[] | undefined
  /** Only results with these receipts. Default: all. */
  receipts?: readonly CID[] | undefined
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined
}

export interface PackedResults {
  /** A CARv1, made as it is read. */
  car: AsyncIterable<Uint8Array>
  /** The signature with the list of what is signed: the CAR's root. */
  root: CID
  results: number
  /** What loading models found out, which is handed on with their results. */
  facts: number
  /** Results that somebody else computed, which are not ours to sign, or that another version kept, which nobody would look up. */
  leftOut: number
}

/**
 * Packs results that were computed here, signed, for others to take in with `acceptResults`.
 *
 * Nothing of the models is in it, but the inputs are: whoever has the CAR can read them. Held in memory is the list, and one
 * result at a time.
 *
 * @param area - That of a result cache.
 * @throws {NotFoundError} No result with one of the receipts is there, or none at all.
 * @throws {InvalidInputError} There are over 250,000.
 */
export async function packResults(area: CacheArea, options: PackResultsOptions): Promise<PackedResults> {
  const { signer, name = 'results', signal } = options
  const { list, results, facts, leftOut } = await choose(area, options)
  const bytes = await signDocument(toDocument(list), signer, {
    kind: DOCUMENT_KIND,
    name,
    // No edition takes the place of another: a result stays what it is.
    sequence: 0,
    format: 'dag-cbor',
  })
  const root = { cid: await cidOf(RAW, bytes), bytes }
  return {
    car: writeCarBlocks([root.cid], blocksOf(area, root, list), { signal }),
    root: root.cid,
    results,
    facts,
    leftOut,
  }
}

interface Chosen {
  list: ListedEntry[]
  results: number
  facts: number
  leftOut: number
}

async function choose(
  area: CacheArea,
  { manifests, receipts, signal, now = Date.now }: PackResultsOptions,
): Promise<Chosen> {
  const wanted = manifests && new Set(manifests.map(String))
  const missing = new Set(receipts?.map(String))
  const found: (ListedEntry & Pick<EntryKind, 'kind' | 'manifest'>)[] = []
  let leftOut = 0
  for await (const { key, keyBytes, value, expiresMs } of area.entries()) {
    signal?.throwIfAborted()
    // What is filed under something else is no reason to pack nothing.
    const of = keyBytes && (await kindOfKey(keyBytes))
    if (typeof of !== 'object' || !value || (expiresMs !== undefined && expiresMs <= now())) continue
    if (wanted && !wanted.has(of.manifest)) continue
    const isNamed = missing.delete(value.toString())
    if (of.kind === 'result' && receipts && !isNamed) continue
    const entry = await area.get(key)
    if (entry === undefined || entry === 'damaged') continue
    const blocks = blocksIn(entry)
    if (voucherIn(blocks, of.kind) || (of.kind === 'result' && isOfOtherVersion(blocks))) {
      if (of.kind === 'result') leftOut += 1
      continue
    }
    const [first] = blocks
    if (first === undefined || (of.kind === 'facts' && whyNoFacts(first) !== undefined)) continue
    found.push({ key, value, expiresMs, kind: of.kind, manifest: of.manifest })
  }
  const [first] = missing
  if (first !== undefined) throw new NotFoundError(first, { message: `no result with the receipt ${first} is kept` })
  const results = found.filter(({ kind }) => kind === 'result')
  if (results.length === 0) {
    const why = leftOut > 0 ? `; ${leftOut} were computed by others, or kept by another version` : ''
    throw new NotFoundError('results', { message: `no result that was computed here is kept${why}` })
  }
  const models = new Set(results.map(({ manifest }) => manifest))
  const facts = found.filter(({ kind, manifest }) => kind === 'facts' && models.has(manifest))
  const list = [...facts, ...results]
  if (list.length > MAX_ENTRIES) {
    throw new InvalidInputError(`${list.length} results, over the ${MAX_ENTRIES} that are signed at once`, {
      input: String(list.length),
    })
  }
  return { list, results: results.length, facts: facts.length, leftOut }
}

/** Without what has been part of a key since; or with what this version cannot read. */
function isOfOtherVersion([receipt]: readonly Block[]): boolean {
  try {
    return receipt === undefined || decodeReceipt(receipt.bytes).tools === undefined
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return true
    throw error
  }
}

const blocksIn = ({ content }: Entry): readonly Block[] => (content.kind === 'value' ? content.blocks : [])

/** The signature, then of each entry its key, its value and what belongs to that. One that has gone meanwhile is left out. */
async function* blocksOf(area: CacheArea, root: Block, list: readonly ListedEntry[]): AsyncGenerator<Block> {
  yield root
  for (const { key, value } of list) {
    const entry = await area.get(key)
    if (entry === undefined || entry === 'damaged' || entry.keyBytes === undefined) continue
    const blocks = blocksIn(entry)
    const [first, ...others] = blocks
    const of = await kindOfKey(entry.keyBytes)
    // Replaced meanwhile: that is not what was signed.
    if (typeof of === 'string' || !first?.cid.equals(value) || voucherIn(blocks, of.kind)) continue
    yield { cid: key, bytes: entry.keyBytes }
    yield first
    if (of.kind === 'result') yield* operandsOf(first, others)
  }
}

function operandsOf(receipt: Block, others: readonly Block[]): Block[] {
  const { output, params, input } = decodeReceipt(receipt.bytes)
  return [output, params, input].map((cid) => {
    const block = others.find((other) => other.cid.equals(cid))
    if (block) return block
    throw new NotFoundError(cid.toString(), { cid, message: `the result ${receipt.cid} is kept without ${cid}` })
  })
}
