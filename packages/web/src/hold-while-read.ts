import { readSpan } from '@x/backend-opfs'

/** Streams that are being read, and their readers. */
const held = new Set<object>()

/**
 * A file whose slices are read to their end by whoever asks them for streams.
 *
 * Nothing but who waits for it holds a stream of a Blob in Chromium (seen in 156): a WebAssembly that was suspended until the next
 * piece came, which nothing else holds either, was collected as garbage together with the stream, and a model never loaded.
 */
export function holdWhileRead(file: File): File {
  const slice = (start = 0, end?: number, type?: string): Blob => {
    const part = Blob.prototype.slice.call(file, start, end, type)
    const first = start < 0 ? Math.max(file.size + start, 0) : Math.min(start, file.size)
    return Object.defineProperty(part, 'stream', { value: () => holdStream(readSpan(file, first, first + part.size)) })
  }
  return Object.defineProperty(file, 'slice', { value: slice, configurable: true })
}

type Closable = Pick<ReadableStreamGenericReader, 'closed'>

function holdStream(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const getOne: (options?: ReadableStreamGetReaderOptions) => Closable = stream.getReader.bind(stream)
  const getReader = (options?: ReadableStreamGetReaderOptions): Closable => {
    const reader = getOne(options)
    held.add(stream).add(reader)
    const release = (): void => {
      held.delete(stream)
      held.delete(reader)
    }
    // Its end, its failure, and that it is let go.
    reader.closed.then(release, release)
    return reader
  }
  return Object.defineProperty(stream, 'getReader', { value: getReader })
}
