import { profileOf, PROFILES, readNode, type CID, type GetBlock, type Profile, type ProfileName } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'

const RAW = 0x55

// Deeper than this, or in more small directories, the first large file is not looked for.
const MOST_NODES = 16

/**
 * The profile that a DAG was probably built with, from its first nodes. Whether it was, only building it again can tell.
 * `undefined`: none, for sure.
 */
export async function guessProfile(
  get: GetBlock,
  root: CID,
  { signal }: AbortOptions,
): Promise<ProfileName | undefined> {
  const queue: CID[] = [root]
  for (let read = 0; read < MOST_NODES; read++) {
    const cid = queue.shift()
    if (cid === undefined) break
    if (cid.version === 0) return 'unixfs-v0-2015'
    if (cid.code === RAW) {
      read -= 1
      continue
    }
    const node = await readNode(get, cid, { signal })
    if (node.type === 'symlink') continue
    if (node.type !== 'file') {
      queue.push(...node.links.map((link) => link.cid))
      continue
    }
    const [first] = node.children
    // A wrapped leaf under a CIDv1, or one with a mode.
    if (first === undefined || node.mode !== undefined) return undefined
    if (first.cid.code === RAW) return Object.values(PROFILES).find((profile) => fits(profile, first.fileBytes))?.name
    queue.unshift(first.cid)
  }
  return profileOf().name
}

const fits = ({ rawLeaves, cidVersion, chunkBytes }: Profile, leafBytes: number): boolean =>
  rawLeaves && cidVersion === 1 && chunkBytes === leafBytes
