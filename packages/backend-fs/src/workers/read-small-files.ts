import { InvalidInputError } from '@x/cid'

import { diskError } from '../disk-error.ts'
import { NOT_READ, TOO_LARGE, type ReadFailure } from './messages.ts'
import { sharedPool } from './worker-pool.ts'

/** A file that was read whole; `undefined` for one that is larger than what was asked for. */
interface SmallFile {
  bytes: Uint8Array
  /** SHA-256. */
  digest: Uint8Array
}

export interface SmallFileReader {
  /** @throws {InvalidInputError} It changed while it was read. */
  read(path: string): Promise<SmallFile | undefined>
}

const DIGEST_BYTES = 32
/** Worth the way to a thread and back; more would only wait longer for the first. */
const BATCH = 64

/**
 * Reads small files, many at a time: what is asked for in one turn of the event loop goes to a thread together.
 *
 * @param maxBytes - A file of more is not read.
 */
export function createSmallFileReader(maxBytes: number): SmallFileReader {
  interface Waiting {
    path: string
    resolve: (file: SmallFile | undefined) => void
    reject: (cause: unknown) => void
  }
  let waiting: Waiting[] = []
  let isPlanned = false

  const send = async (batch: Waiting[]): Promise<void> => {
    try {
      const paths = batch.map(({ path }) => path).join('\0')
      const { bytes, digests, lengths, failures } = await sharedPool().run({ type: 'read-files', paths, maxBytes })
      let position = 0
      for (const [index, { resolve }] of batch.entries()) {
        const length = lengths[index] ?? NOT_READ
        if (length === TOO_LARGE) resolve(undefined)
        if (length < 0) continue
        const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
        resolve({ bytes: bytes.subarray(position, position + length), digest })
        position += length
      }
      for (const failure of failures) batch[failure.index]?.reject(failureOf(batch[failure.index]?.path ?? '', failure))
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  const flush = (): void => {
    const batch = waiting
    waiting = []
    if (batch.length > 0) void send(batch)
  }

  return {
    read: (path) =>
      new Promise((resolve, reject) => {
        waiting.push({ path, resolve, reject })
        if (waiting.length >= BATCH) flush()
        else if (!isPlanned) {
          isPlanned = true
          setImmediate(() => {
            isPlanned = false
            flush()
          })
        }
      }),
  }
}

function failureOf(path: string, { message, code, errno }: ReadFailure): unknown {
  if (code !== undefined) {
    return diskError(`read ${path}`, Object.assign(new Error(message), { code, errno, syscall: 'read' }))
  }
  return new InvalidInputError(`${path} changed while it was read: ${message}`, { input: path })
}
