import type { Blockstore } from 'interface-blockstore'
import { importer, type ImporterOptions } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'

type Source = { path?: string; content: AsyncIterable<Uint8Array> | Uint8Array }

/** The same file in leaves of 256 KiB, as Kubo makes it with CID version 1 and no profile. */
export const smallLeaves = (): ImporterOptions => ({
  cidVersion: 1,
  rawLeaves: true,
  chunker: fixedSize({ chunkSize: 262_144 }),
  layout: balanced({ maxChildrenPerNode: 174 }),
})

/** The importer writes into its options, so each import gets its own. */
export const profile = (): ImporterOptions => ({ profile: 'unixfs-v1-2025' })

/** The root of one file or of many. */
export async function importAll(
  blockstore: Blockstore,
  sources: AsyncIterable<Source> | Iterable<Source>,
  options: ImporterOptions = profile(),
): Promise<CID> {
  let last: { cid: CID } | undefined
  for await (const entry of importer(sources, blockstore, options)) last = entry
  if (!last) throw new Error('the importer gave no root')
  return last.cid
}

export const importFile = (
  blockstore: Blockstore,
  content: AsyncIterable<Uint8Array>,
  options?: ImporterOptions,
): Promise<CID> => importAll(blockstore, [{ content }], options)
