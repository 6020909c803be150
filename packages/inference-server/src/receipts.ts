import { parseCid, type Block, type CID } from '@x/cid'
import {
  decodeReceipt,
  decodeReceiptList,
  decodeRemoteReceipt,
  receiptCar,
  receiptToJson,
  remoteReceiptToJson,
} from '@x/infer-core'
import { isStorageError } from '@x/storage-core'
import { concatBytes } from '@x/storage-core/backend'

import { badRequest, HttpError } from './http-error.ts'
import type { ReceiptsPort } from './ports.ts'
import { RECEIPT } from './receipt-schemas.ts'
import type { Route } from './route.ts'

const CAR_TYPE = 'application/vnd.ipld.car'

/** What a receipt names is the same for ever; whether it is here is not. */
const CACHE = { 'cache-control': 'private, max-age=3600', vary: 'accept' }

/** A receipt, or a list of receipts, as JSON, or with what it names as a CAR. */
export const receiptRoute: Route = {
  method: 'GET',
  dialect: 'openai',
  scope: 'infer',
  path: '/receipts/:cid',
  described: {
    id: 'getReceipt',
    summary: 'A receipt, as JSON or with what it names as a CAR',
    answers: { 200: { summary: 'the receipt', json: RECEIPT, bytes: [CAR_TYPE] } },
    errors: [400, 404],
  },
  async run({ request, parameter, ports, signal }) {
    const cid = cidOf(parameter('cid'))
    const blocks = await ports.receipts.get(cid, { signal })
    const own = blocks?.find((block) => block.cid.equals(cid))
    if (!blocks || !own) {
      throw new HttpError(404, 'no such receipt is kept here any more, or ever was', {
        type: 'not_found_error',
        code: 'receipt_not_found',
      })
    }
    if ((request.headers.get('accept') ?? '').toLowerCase().includes(CAR_TYPE)) {
      const all = await withListed(own, blocks, ports.receipts, signal)
      return { headers: CACHE, body: { bytes: await carOf(cid, all), type: `${CAR_TYPE}; version=1` } }
    }
    return { headers: CACHE, body: { json: toJson(cid, own.bytes) } }
  },
}

function cidOf(text: string): CID {
  try {
    return parseCid(text)
  } catch (cause) {
    if (isStorageError(cause)) throw badRequest('that is no CID', { cause })
    throw cause
  }
}

/** With those of the receipts that a list names, as far as they are kept. */
async function withListed(
  own: Block,
  blocks: readonly Block[],
  receipts: ReceiptsPort,
  signal: AbortSignal,
): Promise<readonly Block[]> {
  const listed = decodeReceiptList(own.bytes)
  if (!listed) return blocks
  const all = new Map(blocks.map((block) => [block.cid.toString(), block]))
  for (const cid of listed) {
    for (const block of (await receipts.get(cid, { signal })) ?? []) all.set(block.cid.toString(), block)
  }
  return [...all.values()]
}

type Blocks = Parameters<typeof receiptCar>[1]

async function carOf(cid: CID, blocks: Blocks): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let total = 0
  for await (const piece of receiptCar(cid, blocks)) {
    pieces.push(piece)
    total += piece.length
  }
  return concatBytes(pieces, total)
}

function toJson(cid: CID, bytes: Uint8Array): unknown {
  const list = decodeReceiptList(bytes)
  if (list) return { cid: cid.toString(), schema: 1, receipts: list.map(String) }
  const remote = decodeRemoteReceipt(bytes)
  if (remote) return remoteReceiptToJson(remote, cid)
  return receiptToJson(decodeReceipt(bytes), cid)
}
