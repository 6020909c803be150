import { emptyIndex, isUnfinished } from './index-file.ts'
import { assertNoData, DATA, ifThere, indexGenerations, indexName, openDirectory, RESERVE } from './layout.ts'
import type { Medium } from './medium.ts'
import { fileAt } from './read-span.ts'
import type { SyncAccessHandle } from './sync-access-handle.ts'

// A page that was killed lets go of its handles a moment after it let go of its lock.
const HANDLE_TRIES = 100
const HANDLE_PAUSE_MS = 20

// Chromium 156 lets a file that is opened grow by 1 MiB or not at all: one for the index, one for blocks that are moved.
const RESERVE_BYTES = 2 * 1024 * 1024

/** The medium itself. In a dedicated worker alone: nothing else has sync access handles. */
export async function openDisk(path: string): Promise<Medium> {
  const directory = await openDirectory(path, true)
  const data = await directory.getDirectoryHandle(DATA, { create: true })
  const writing = new Map<string, SyncAccessHandle>()
  let [index, generation] = await openIndex(directory, data)

  return {
    async readIndex() {
      const bytes = new Uint8Array(index.getSize())
      // Else what was not read would pass for what was never written.
      const length = index.read(bytes, { at: 0 })
      if (length !== bytes.length) throw new Error(`only ${length} of ${bytes.length} bytes of the index could be read`)
      return bytes
    },
    async truncateIndex(byteLength) {
      index.truncate(byteLength)
      index.flush()
    },
    async appendIndex(bytes, at) {
      writeAll(index, bytes, at)
      index.flush()
    },
    async replaceIndex(bytes) {
      const name = indexName(generation + 1)
      const next = await openHandle(await directory.getFileHandle(name, { create: true }))
      try {
        next.truncate(0)
        // What makes it an index comes last.
        writeAll(next, bytes.subarray(1), 1)
        next.flush()
        writeAll(next, bytes.subarray(0, 1), 0)
        next.flush()
      } catch (error) {
        next.close()
        await ifThere(directory.removeEntry(name))
        throw error
      }
      index.close()
      index = next
      generation += 1
      // Also what a page left that was killed here.
      for (const old of await indexGenerations(directory)) {
        if (old < generation) await ifThere(directory.removeEntry(indexName(old)))
      }
    },
    async create(id) {
      writing.set(id, await openHandle(await data.getFileHandle(id, { create: true })))
    },
    async write(id, bytes) {
      const handle = handleOf(id)
      const size = handle.getSize()
      try {
        writeAll(handle, bytes, size)
      } catch (error) {
        // It is written again when there is room.
        handle.truncate(size)
        throw error
      }
    },
    async seal(id) {
      const handle = handleOf(id)
      handle.flush()
      handle.close()
      writing.delete(id)
      const { size, lastModified } = await (await data.getFileHandle(id)).getFile()
      return { size, modified: lastModified }
    },
    async remove(id) {
      writing.get(id)?.close()
      writing.delete(id)
      // Somebody may be reading a span of it.
      await ifThere(onceFree(() => data.removeEntry(id)))
    },
    async list() {
      const names: string[] = []
      for await (const name of data.keys()) names.push(name)
      return names
    },
    file: async (id) => fileAt(await data.getFileHandle(id)),
    async keepReserve() {
      const file = await directory.getFileHandle(RESERVE, { create: true })
      if ((await file.getFile()).size >= RESERVE_BYTES) return
      const handle = await openHandle(file)
      try {
        // Not a hole: nothing would be kept by one.
        writeAll(handle, new Uint8Array(RESERVE_BYTES).fill(1), 0)
        handle.flush()
        handle.close()
      } catch (error) {
        handle.close()
        await ifThere(directory.removeEntry(RESERVE))
        throw error
      }
    },
    async giveUpReserve() {
      return (await ifThere(directory.removeEntry(RESERVE).then(() => true))) === true
    },
    async close() {
      for (const handle of writing.values()) handle.close()
      writing.clear()
      index.close()
    },
  }

  function handleOf(id: string): SyncAccessHandle {
    const handle = writing.get(id)
    if (!handle) throw new Error(`${id} is not being written`)
    return handle
  }
}

/** The newest one whose writing was ended, sound or not. It is checked before anything goes. */
async function openIndex(
  directory: FileSystemDirectoryHandle,
  data: FileSystemDirectoryHandle,
): Promise<[handle: SyncAccessHandle, generation: number]> {
  const empty = emptyIndex()
  for (const generation of await indexGenerations(directory)) {
    const handle = await openHandle(await directory.getFileHandle(indexName(generation)))
    const head = new Uint8Array(empty.length)
    const length = handle.read(head, { at: 0 })
    if (!isUnfinished(head.subarray(0, length))) return [handle, generation]
    handle.close()
  }
  await assertNoData(data)
  const handle = await openHandle(await directory.getFileHandle(indexName(1), { create: true }))
  handle.truncate(0)
  writeAll(handle, empty, 0)
  handle.flush()
  return [handle, 1]
}

const openHandle = (file: FileSystemFileHandle): Promise<SyncAccessHandle> =>
  onceFree(() => file.createSyncAccessHandle())

async function onceFree<T>(use: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await use()
    } catch (error) {
      const taken = error instanceof DOMException && error.name === 'NoModificationAllowedError'
      if (!taken || tries >= HANDLE_TRIES) throw error
      await new Promise((resolve) => setTimeout(resolve, HANDLE_PAUSE_MS))
    }
  }
}

function writeAll(handle: SyncAccessHandle, bytes: Uint8Array, at: number): void {
  const { buffer, byteOffset, byteLength } = bytes
  const own = buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : bytes.slice()
  for (let done = 0; done < own.length;) {
    const written = handle.write(own.subarray(done), { at: at + done })
    // The quota, where the browser does not throw.
    if (written === 0) throw new DOMException('nothing more could be written', 'QuotaExceededError')
    done += written
  }
}
