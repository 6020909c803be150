import { chmod, open } from 'node:fs/promises'
import { join } from 'node:path'

import type { CID } from '@x/cid'
import { base32upper } from 'multiformats/bases/base32'

import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'

/** Where a daemon keeps a block. */
function blockPath({ repo }: KuboNode, { multihash }: CID): string {
  const key = base32upper.baseEncode(multihash.bytes)
  return join(repo, 'blocks', key.slice(-3, -1), `${key}.data`)
}

/** Turns one bit in the middle of a block, behind the daemon's back. */
export async function corruptBlock(node: KuboNode, cid: CID): Promise<void> {
  const path = blockPath(node, cid)
  await chmod(path, 0o644)
  const handle = await open(path, 'r+')
  try {
    const { size } = await handle.stat()
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, size >> 1)
    byte[0] = (byte[0] ?? 0) ^ 1
    await handle.write(byte, 0, 1, size >> 1)
  } finally {
    await handle.close()
  }
}
