import { CID } from 'multiformats/cid'

/** What is looked for in a node. */
export interface FoundLinks {
  /** The first link of each name, in the order asked; `undefined` where there is none. */
  cids: (CID | undefined)[]
  /** Bytes of the shortest name. `Infinity` where there are no links. */
  shortestName: number
}

const HASH = (1 << 3) | 2
const NAME = (2 << 3) | 2
const TSIZE = 3 << 3
const DATA = (1 << 3) | 2
const LINK = (2 << 3) | 2

/**
 * The bytes of a dag-pb node's `Data`. Links are passed over.
 *
 * @throws {Error} It is not dag-pb; a plain one, for the caller says of which block.
 */
export function findData(bytes: Uint8Array): Uint8Array | undefined {
  let data: Uint8Array | undefined
  const reader = createReader(bytes, 0, bytes.length)
  while (reader.hasMore()) {
    const tag = reader.number()
    const [start, end] = reader.part()
    if (tag === DATA && data === undefined) data = bytes.subarray(start, end)
    else if (tag !== LINK) throw new Error(tag === DATA ? 'two Data fields' : `a field ${tag}`)
  }
  return data
}

/**
 * Finds links by name, without an object for each of the others: a directory of 2 MiB has 40 000. CIDs of those are not
 * looked at.
 *
 * @throws {Error} It is not dag-pb, or the CID of a link that is found is none.
 */
export function findLinks(bytes: Uint8Array, names: readonly string[]): FoundLinks {
  const wanted = names.map((name) => new TextEncoder().encode(name))
  const cids: (CID | undefined)[] = names.map(() => undefined)
  let shortestName = Infinity
  const node = createReader(bytes, 0, bytes.length)
  while (node.hasMore()) {
    const tag = node.number()
    const [start, end] = node.part()
    if (tag !== LINK) continue
    const { hash, name } = linkAt(bytes, start, end)
    shortestName = Math.min(shortestName, name[1] - name[0])
    for (const [index, each] of wanted.entries()) {
      if (cids[index] === undefined && isAt(bytes, name, each)) cids[index] = CID.decode(bytes.slice(hash[0], hash[1]))
    }
  }
  return { cids, shortestName }
}

type Span = readonly [start: number, end: number]

function linkAt(bytes: Uint8Array, start: number, end: number): { hash: Span; name: Span } {
  let hash: Span | undefined
  let name: Span = [end, end]
  let last = 0
  const link = createReader(bytes, start, end)
  while (link.hasMore()) {
    const tag = link.number()
    // Each at most once, in this order.
    if (tag <= last) throw new Error(`a link with a field ${tag} after ${last}`)
    last = tag
    if (tag === HASH) hash = link.part()
    else if (tag === NAME) name = link.part()
    else if (tag === TSIZE) link.number()
    else throw new Error(`a link with a field ${tag}`)
  }
  if (hash === undefined) throw new Error('a link without a CID')
  return { hash, name }
}

function isAt(bytes: Uint8Array, [start, end]: Span, wanted: Uint8Array): boolean {
  if (end - start !== wanted.length) return false
  for (let index = 0; index < wanted.length; index++) if (bytes[start + index] !== wanted[index]) return false
  return true
}

/** Reads protobuf between two places. */
function createReader(bytes: Uint8Array, start: number, end: number) {
  let position = start

  function number(): number {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      // Ten bytes are the most of 64 bits.
      if (scale > 2 ** 63) throw new Error('a number that is too long')
      const byte = position < end ? bytes[position] : undefined
      if (byte === undefined) throw new Error('it is cut short')
      position += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  return {
    hasMore: (): boolean => position < end,
    number,
    /** Where a part lies that has its length before it. */
    part(): Span {
      const length = number()
      const from = position
      if (length > end - from) throw new Error('it is cut short')
      position = from + length
      return [from, position]
    },
  }
}
