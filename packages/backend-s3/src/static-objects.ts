import { DAG_PB, decodeNode, IDENTITY, linksOf, RAW, verify, type CID, type GetBlock } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'
import { blockKey, codeOf, staticBlockPath, staticDataPath, staticOutboardPath } from '@x/storage-core/backend'

/** What of a static folder a root needs. Paths, the root's own last. */
export interface StaticObjects {
  paths: string[]
  /** Something below it is not there, so what else it needs is not known. */
  isWhole: boolean
}

export interface StaticReader {
  has(path: string, options: AbortOptions): Promise<boolean>
  read(path: string, options: AbortOptions): Promise<Uint8Array>
}

/**
 * Finds what a root needs in a static folder, by what lies there. Of a file that is its data and its outboard, which are not read;
 * other blocks are, for their links, and checked.
 *
 * @see docs/static-folder.md
 */
export async function staticObjectsOf(folder: StaticReader, root: CID, options: AbortOptions): Promise<StaticObjects> {
  const { signal } = options
  const paths: string[] = []
  const seen = new Set<string>()
  let isWhole = true

  const there = async (path: string): Promise<boolean> => {
    const found = await folder.has(path, options)
    if (found) paths.push(path)
    return found
  }

  const readBlock: GetBlock = async (cid) => {
    const bytes = await folder.read(staticBlockPath(cid), options)
    await verify(cid, bytes)
    return bytes
  }

  const stack: CID[] = [root]
  /** Those above others before these. */
  const blocks: string[] = []
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    signal?.throwIfAborted()
    const key = blockKey(cid)
    if (seen.has(key) || cid.multihash.code === IDENTITY) continue
    seen.add(key)
    if (cid.code === RAW) {
      if (!(await there(staticDataPath(cid))) && !(await there(staticBlockPath(cid)))) isWhole = false
      continue
    }
    if (cid.code === DAG_PB && (await there(staticOutboardPath(cid)))) {
      if (!(await there(staticDataPath(cid)))) isWhole = false
      continue
    }
    try {
      const bytes = await readBlock(cid, options)
      blocks.push(staticBlockPath(cid))
      for (const link of linksBelow(cid, bytes)) stack.push(link)
    } catch (error) {
      signal?.throwIfAborted()
      const code = codeOf(error)
      if (code !== 'NOT_FOUND' && code !== 'INTEGRITY') throw error
      // A damaged one goes with the rest.
      if (code === 'INTEGRITY') blocks.push(staticBlockPath(cid))
      isWhole = false
    }
  }
  return { paths: [...paths, ...blocks.toReversed()], isWhole }
}

function linksBelow(cid: CID, bytes: Uint8Array): CID[] {
  if (cid.code !== DAG_PB) return linksOf(cid, bytes)
  const node = decodeNode(cid, bytes)
  if (node.type === 'symlink') return []
  return (node.type === 'file' ? node.children : node.links).map((link) => link.cid)
}
