import type { Block, CID } from '@x/cid'

import type { Blockstore } from '../blockstore.ts'
import { putEach } from '../put-each.ts'

/** Keeps blocks that came from further away in a nearer store, while they are read. */
export interface Populating {
  /** Takes a copy. Resolves when there is room for more. */
  keep(cid: CID, bytes: Uint8Array): Promise<void>
  /** Until all of it is there. Never rejects. */
  end(): Promise<{ blocks: number; bytes: number; error: unknown }>
}

// Written together, with one sync; as much again is gathered meanwhile.
const GROUP_BYTES = 8 * 1024 * 1024

/** Of checked blocks. What fails ends it: what is read is not held up by a disk that is full. */
export function populate(into: Blockstore): Populating {
  let group: Block[] = []
  let groupBytes = 0
  let writing: Promise<void> = Promise.resolve()
  let failure: { error: unknown } | undefined
  const done = { blocks: 0, bytes: 0 }

  async function write(blocks: readonly Block[]): Promise<void> {
    if (failure) return
    try {
      await (into.putMany ? into.putMany(blocks, { verified: true }) : putEach(into, blocks, { verified: true }))
      done.blocks += blocks.length
      for (const { bytes } of blocks) done.bytes += bytes.length
    } catch (error) {
      failure = { error }
    }
  }

  async function flush(): Promise<void> {
    await writing
    const blocks = group
    group = []
    groupBytes = 0
    if (blocks.length > 0) writing = write(blocks)
  }

  return {
    async keep(cid, bytes) {
      if (failure) return
      group.push({ cid, bytes: bytes.slice() })
      groupBytes += bytes.length
      if (groupBytes >= GROUP_BYTES) await flush()
    },
    async end() {
      await flush()
      await writing
      return { ...done, error: failure?.error }
    },
  }
}
