import { InvalidInputError, readLeaves, type CID } from '@x/cid'
import type { ContentSource, GetPathOptions } from '@x/storage-core'
import type { ContentReader } from '@x/storage-core/backend'
import { blockKey } from '@x/storage-core/backend'

import type { HeldFile } from './catalogue.ts'
import type { StoreContext } from './context.ts'

// While one is read another is hashed.
const LEAVES_AT_ONCE = 4

/** A file held whole, and its data file. */
export interface WholeFile {
  container: HeldFile
  file: File
  /** It is what it was when it was stored and hashed. */
  stands: boolean
}

/** The best of those that have this root; `undefined` for a file that is held as blocks. */
export async function wholeFile({ vault }: StoreContext, root: CID): Promise<WholeFile | undefined> {
  let best: WholeFile | undefined
  for (const { container } of vault.catalogue.blocks.get(blockKey(root))?.locations ?? []) {
    if (container.type !== 'file' || blockKey(container.entry.root) !== blockKey(root)) continue
    const file = await vault.freshFile(root, container)
    const stands = vault.stands(container, file)
    if (!best || stands) best = { container, file, stands }
    if (stands) break
  }
  return best
}

/** Hashes every leaf of a file held whole. @throws {IntegrityError} One does not match. */
export async function hashWhole(
  { vault, enter }: StoreContext,
  { container }: WholeFile,
  { signal }: Pick<GetPathOptions, 'signal'>,
): Promise<void> {
  const { outboard } = container
  for (let first = 0; first < outboard.leafCount; first += LEAVES_AT_ONCE) {
    const checking = Array.from({ length: Math.min(LEAVES_AT_ONCE, outboard.leafCount - first) }, (_, index) => {
      const leaf = first + index
      return vault.blockAt(outboard.leaf(leaf).cid, { container, leaf })
    })
    const failed = (await Promise.allSettled(checking)).find((result) => result.status === 'rejected')
    // The first in the order of the file.
    if (failed) throw failed.reason
    enter({ signal })
  }
}

/** See `OpfsStore.getFile`. */
export async function getFile(
  context: StoreContext,
  reader: Pick<ContentReader, 'stat'> & Pick<ContentSource, 'blocks'>,
  root: CID,
  options: GetPathOptions = {},
): Promise<File> {
  const { path = '', verify = 'each-leaf', signal } = options
  context.enter(options)
  const { cid, type } = await reader.stat(root, { path, signal })
  if (type !== 'file') {
    throw new InvalidInputError(`${root}/${path} is a ${type}, not a file`, { input: `${root}/${path}` })
  }
  const whole = await wholeFile(context, cid)
  if (whole) {
    if (verify === 'each-leaf' || !whole.stands) await hashWhole(context, whole, options)
    return context.vault.dataFile(cid, whole.container)
  }
  return new File(await partsOf(context, reader, cid, signal), path.split('/').at(-1) || cid.toString())
}

/** The places of a file's bytes in packs, each block read and hashed once. */
async function partsOf(
  { vault }: StoreContext,
  { blocks }: Pick<ContentSource, 'blocks'>,
  cid: CID,
  signal: AbortSignal | undefined,
): Promise<BlobPart[]> {
  const parts: BlobPart[] = []
  const get = (wanted: CID): Promise<Uint8Array> => blocks.get(wanted, { signal })
  for await (const { cid: leaf, bytes } of readLeaves(get, cid, { signal })) {
    const place = vault.catalogue.blocks.get(blockKey(leaf))?.locations.at(-1)
    // Bytes that are wrapped in a node are not on the disk as they are.
    const isBare = place !== undefined && 'offset' in place && place.length === bytes.length
    if (!isBare) parts.push(bytes.slice())
    else parts.push((await vault.dataFile(leaf, place.container)).slice(place.offset, place.offset + place.length))
  }
  return parts
}
