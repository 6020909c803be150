import type { SyncAccessHandle } from './sync-access-handle.ts'

// Opening a handle takes as long as 0.5 MiB through the browser's process do.
const SMALL_BYTES = 1024 * 1024
const CHUNK_BYTES = 1024 * 1024

/** Where the files of a store on the disk lie. */
const places = new WeakMap<File, FileSystemFileHandle>()

/** The file as it is at this moment, of which `readSpan` knows where it lies. */
export async function fileAt(handle: FileSystemFileHandle): Promise<File> {
  const file = await handle.getFile()
  places.set(file, handle)
  return file
}

/**
 * Reads a span of a file that `getFile` gave: what `file.slice(start, end).stream()` gives. A dedicated worker reads files of the
 * private file system itself where the browser lets several do so at a time (Chromium), which is 2 to 3 times as fast as by way of the
 * browser's process. Nobody can write to or remove the file until the stream has ended or is cancelled.
 *
 * @param start - Bytes, and so is `end`: 0 to the file's size, in this order.
 * @returns A byte stream. It fails with a `NotReadableError` when the file's size or time of modification are no longer what they were when
 *   `getFile` gave it.
 */
export function readSpan(file: File, start: number, end: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const throughBrowser = (): ReadableStream<Uint8Array<ArrayBuffer>> =>
    Blob.prototype.slice.call(file, start, end).stream()
  const place = places.get(file)
  if (place === undefined || !('createSyncAccessHandle' in place) || end - start < SMALL_BYTES) return throughBrowser()

  let at = start
  let handle: SyncAccessHandle | undefined
  let other: ReadableStreamBYOBReader | undefined
  let isCancelled = false
  return new ReadableStream({
    type: 'bytes',
    autoAllocateChunkSize: CHUNK_BYTES,
    async start() {
      handle = await openUnchanged(place, file)
      if (isCancelled) return handle?.close()
      // Which says what is wrong, if anything is.
      if (handle === undefined) other = throughBrowser().getReader({ mode: 'byob' })
    },
    async pull(controller) {
      const request = controller.byobRequest
      if (!request?.view) throw new TypeError('a byte stream was pulled with nowhere to put bytes')
      const { buffer, byteOffset, byteLength } = request.view
      if (other !== undefined) {
        const { value, done } = await other.read(new Uint8Array(buffer, byteOffset, byteLength))
        if (done) controller.close()
        if (value) request.respondWithNewView(value)
        return
      }
      try {
        const length = handle?.read(new Uint8Array(buffer, byteOffset, Math.min(byteLength, end - at)), { at }) ?? 0
        if (length === 0) throw new DOMException(`${file.name} ends at ${at}, not at ${end}`, 'NotReadableError')
        at += length
        request.respond(length)
        if (at < end) return
        controller.close()
        handle?.close()
      } catch (error) {
        handle?.close()
        throw error
      }
    },
    cancel(reason) {
      isCancelled = true
      handle?.close()
      return other?.cancel(reason)
    },
  })
}

/**
 * `undefined`: somebody writes to it, it is gone, or the browser lets one alone have a handle.
 *
 * @throws {DOMException} `NotReadableError`: it has changed.
 */
async function openUnchanged(place: FileSystemFileHandle, file: File): Promise<SyncAccessHandle | undefined> {
  const handle = await place.createSyncAccessHandle({ mode: 'read-only' }).catch(() => undefined)
  if (handle?.mode !== 'read-only') {
    handle?.close()
    return undefined
  }
  try {
    // From here on nobody writes to it.
    const { size, lastModified } = await place.getFile()
    if (size === file.size && lastModified === file.lastModified) return handle
    throw new DOMException(`${file.name} was written to since it was opened`, 'NotReadableError')
  } catch (error) {
    handle.close()
    throw error
  }
}
