import { encodeOutboard, type Block, type CID, type Outboard } from '@x/cid'
import { blockKey } from '@x/storage-core/backend'

import type { Change, FileEntry, PackEntry } from './change.ts'
import { ported } from './port-error.ts'
import type { Room } from './room.ts'
import type { Vault } from './vault.ts'

/** What one caller writes before any of it is in the index, and so before anybody sees it. */
export interface Staging {
  /** A block that goes into the pack. Its bytes are copied. */
  addBlock(block: Block): Promise<void>
  /** A file of its own. */
  beginFile(): Promise<StagedFile>
  /** Ends the pack; everything is on the disk. */
  seal(): Promise<StagedEntries>
  /** Deletes what is not in the index by now. */
  discard(): Promise<void>
}

export interface StagedFile {
  /** The bytes are copied. */
  write(bytes: Uint8Array): Promise<void>
  /** @param root - Of the file; its version is kept. */
  end(root: CID, outboard: Outboard): Promise<void>
}

export interface StagedEntries {
  files: FileEntry[]
  pack: PackEntry | undefined
}

// Small blocks go to the disk together.
const BUFFER_BYTES = 1024 * 1024

/** @param room - Makes room for what is written. Without it, there is some or not. */
export function createStaging(
  { name, medium, catalogue, staged }: Vault,
  room: Room = { find: (_more, _written, work) => work() },
): Staging {
  const begun = new Set<string>()
  const files: FileEntry[] = []
  let pack: { id: string; blocks: PackEntry['blocks']; keys: Set<string>; size: number } | undefined
  let buffer = new Uint8Array(BUFFER_BYTES)
  let filled = 0
  let written = 0

  const begin = async (): Promise<string> => {
    const id = crypto.randomUUID()
    begun.add(id)
    staged.set(id, 0)
    await room.find(0, written, () => ported(`${name}: begin a data file`, () => medium.create(id)))
    return id
  }
  async function write(id: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { length } = bytes
    await room.find(length, written, () => ported(`${name}: write`, () => medium.write(id, bytes)))
    written += length
    staged.set(id, (staged.get(id) ?? 0) + length)
  }
  const seal = (id: string): Promise<{ size: number; modified: number }> =>
    ported(`${name}: write`, () => medium.seal(id))

  async function flush(id: string): Promise<void> {
    if (filled === 0) return
    const full = buffer.subarray(0, filled)
    buffer = new Uint8Array(BUFFER_BYTES)
    filled = 0
    await write(id, full)
  }

  return {
    async addBlock({ cid, bytes }) {
      pack ??= { id: await begin(), blocks: [], keys: new Set(), size: 0 }
      const key = blockKey(cid)
      if (pack.keys.has(key)) return
      pack.keys.add(key)
      pack.blocks.push([cid.toV1(), pack.size, bytes.length])
      pack.size += bytes.length
      if (filled + bytes.length > BUFFER_BYTES) await flush(pack.id)
      if (bytes.length > BUFFER_BYTES) await write(pack.id, bytes.slice())
      else {
        buffer.set(bytes, filled)
        filled += bytes.length
      }
    },
    async beginFile() {
      const id = await begin()
      return {
        write: (bytes) => write(id, bytes.slice()),
        async end(root, outboard) {
          files.push({ type: 'file', id, ...(await seal(id)), root, outboard: encodeOutboard(outboard) })
        },
      }
    },
    async seal() {
      if (!pack) return { files, pack: undefined }
      await flush(pack.id)
      const { id, blocks } = pack
      return { files, pack: { type: 'pack', id, ...(await seal(id)), blocks } }
    },
    async discard() {
      const left = [...begun].filter((id) => !catalogue.containers.has(id))
      // Why the caller failed is what it hears; what is left goes with `gc`, or when the store is opened next.
      await Promise.allSettled(left.map((id) => medium.remove(id)))
      for (const id of begun) staged.delete(id)
    },
  }
}

/** The changes that make staged entries visible. */
export const entriesOf = ({ files, pack }: StagedEntries): Change[] => (pack ? [...files, pack] : files)
