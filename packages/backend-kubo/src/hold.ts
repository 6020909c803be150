import { randomBytes } from 'node:crypto'

import { buildDirectory, CID, DAG_PB, decodeNode, IDENTITY } from '@x/cid'

/** One call that puts something, and when it made a hold. */
export interface HoldNote {
  /** Milliseconds since 1970. */
  since: number
  /** The same for all holds of one call. */
  call: string
}

export const newCall = (): string => randomBytes(6).toString('hex')

/**
 * What is pinned to keep `content` while it is being put: a directory that links it, whole in its own CID. No two calls
 * have the same one, so nobody takes another's pin away. It needs no block, and is known for what it is wherever it is
 * listed.
 *
 * @param content - dag-pb or raw, with at most 64 bytes of digest: Kubo takes inline blocks of up to 128 bytes.
 */
export async function holdOf(content: CID, { since, call }: HoldNote): Promise<CID> {
  const name = `${PREFIX}${since.toString(36)}.${call}`
  let inline: CID | undefined
  await buildDirectory([{ name, cid: content, dagBytes: 0 }], {
    // Shorter than 128 bytes, so its length is one byte.
    onBlock: ({ bytes }) => void (inline = CID.decode(Uint8Array.from([1, DAG_PB, IDENTITY, bytes.length, ...bytes]))),
  })
  if (inline === undefined) throw new TypeError('a directory without a block')
  return inline
}

/** What a hold says of itself; `undefined` for anything else. */
export function readHold(cid: CID): HoldNote | undefined {
  if (cid.code !== DAG_PB || cid.multihash.code !== IDENTITY) return undefined
  const [, since, call] = /^being-put\.([0-9a-z]{1,9})\.([0-9a-f]{12})$/.exec(linkName(cid) ?? '') ?? []
  return since === undefined || call === undefined ? undefined : { since: Number.parseInt(since, 36), call }
}

/** How a hold is listed, for a daemon knows no name of it. */
export const holdName = ({ since, call }: HoldNote): string =>
  `ipfs-accelerate/being-put/${new Date(since).toISOString()}/${call}`

const PREFIX = 'being-put.'

function linkName(cid: CID): string | undefined {
  try {
    const node = decodeNode(cid, cid.multihash.digest)
    return node.type === 'directory' && node.links.length === 1 ? node.links[0]?.name : undefined
  } catch {
    // An inline block of somebody else's that is no directory.
    return undefined
  }
}
