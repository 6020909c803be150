import { InvalidInputError } from '@x/cid'

import { diskError } from '../disk-error.ts'
import type { ReadFile } from './messages.ts'
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
      const { bytes, digests, files } = await sharedPool().run({
        type: 'read-files',
        paths: batch.map(({ path }) => path),
        maxBytes,
      })
      for (const [index, { path, resolve, reject }] of batch.entries()) {
        const file = files[index]
        if (file?.status === 'read') {
          const { offset, length } = file
          resolve({
            bytes: bytes.subarray(offset, offset + length),
            digest: digests.slice(index * 32, index * 32 + 32),
          })
        } else if (file?.status === 'too-large') resolve(undefined)
        else reject(failureOf(path, file))
      }
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

function failureOf(path: string, file: ReadFile | undefined): unknown {
  if (file?.status === 'failed') {
    return diskError(`read ${path}`, Object.assign(new Error(file.message), { code: file.code, syscall: 'read' }))
  }
  const how = file?.status === 'changed' ? file.how : 'it could not be read'
  return new InvalidInputError(`${path} changed while it was read: ${how}`, { input: path })
}
