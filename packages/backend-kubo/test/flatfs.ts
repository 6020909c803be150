import { chmod, open, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { CID } from '@x/cid'
import { base32upper } from 'multiformats/bases/base32'

import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'

/** Where a daemon keeps a block. */
function blockPath({ repo }: KuboNode, { multihash }: CID): string {
  const key = base32upper.baseEncode(multihash.bytes)
  return join(repo, 'blocks', key.slice(-3, -1), `${key}.data`)
}

/** A daemon makes up to 1024 of these, keeps them, and looks into each whenever it lists its blocks: 15 ms a time. */
export async function removeEmptyFolders({ repo }: KuboNode): Promise<void> {
  const entries = await readdir(join(repo, 'blocks'), { withFileTypes: true })
  // `.temp` is not made again.
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
  await Promise.all(
    folders.map(({ parentPath, name }) =>
      rmdir(join(parentPath, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY') throw error
      }),
    ),
  )
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
