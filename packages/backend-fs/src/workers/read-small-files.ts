import { InvalidInputError } from '@x/cid'

import { diskError } from '../disk-error.ts'
import { NOT_READ, TOO_LARGE, type ReadFailure } from './messages.ts'
import { sharedPool } from './worker-pool.ts'

/** A file that was read whole. */
interface SmallFile {
  /** Gone when the use of it has ended: the memory is used again. */
  bytes: Uint8Array
  /** SHA-256. */
  digest: Uint8Array
}

export interface SmallFileReader {
  /**
   * Resolves to what `use` makes of it; `undefined`, and no use, for one that is larger than what was asked for. `use` must
   * reject instead of throwing.
   *
   * @throws {InvalidInputError} It changed while it was read.
   */
  read<T>(path: string, use: (file: SmallFile) => Promise<T>): Promise<T | undefined>
}

const DIGEST_BYTES = 32
const DONE = Promise.resolve()
const noop = (): void => undefined
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
    /** Resolves when the bytes are not needed any more. */
    take: (file: SmallFile | undefined) => Promise<void>
    reject: (cause: unknown) => void
  }
  let waiting: Waiting[] = []
  let isPlanned = false
  /** What was used and can be filled again. */
  const spare: ArrayBuffer[] = []

  const send = async (batch: Waiting[]): Promise<void> => {
    try {
      const paths = batch.map(({ path }) => path).join('\0')
      const job = { type: 'read-files', paths, maxBytes, into: spare.pop() } as const
      const { bytes, digests, lengths, failures } = await sharedPool().run(job)
      let position = 0
      const uses = batch.map(({ take }, index) => {
        const length = lengths[index] ?? NOT_READ
        if (length < 0) return length === TOO_LARGE ? take(undefined) : DONE
        position += length
        const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
        return take({ bytes: bytes.subarray(position - length, position), digest })
      })
      for (const failure of failures) batch[failure.index]?.reject(failureOf(batch[failure.index]?.path ?? '', failure))
      await Promise.all(uses)
      spare.push(bytes.buffer)
    } catch (cause) {
      for (const { reject } of batch) reject(cause)
    }
  }

  const flush = (): void => {
    const batch = waiting
    waiting = []
    if (batch.length > 0) void send(batch)
  }

  const plan = (): void => {
    if (waiting.length >= BATCH) return flush()
    if (isPlanned) return
    isPlanned = true
    setImmediate(() => {
      isPlanned = false
      flush()
    })
  }

  return {
    read: (path, use) =>
      new Promise((resolve, reject) => {
        // It would be taken for two.
        if (path.includes('\0'))
          throw new InvalidInputError(`a path cannot be ${JSON.stringify(path)}`, { input: path })
        const take: Waiting['take'] = (file) => {
          const used = file ? use(file) : undefined
          resolve(used)
          return used ? used.then(noop, noop) : DONE
        }
        waiting.push({ path, take, reject })
        plan()
      }),
  }
}

function failureOf(path: string, { message, code, errno }: ReadFailure): unknown {
  if (code !== undefined) {
    return diskError(`read ${path}`, Object.assign(new Error(message), { code, errno, syscall: 'read' }))
  }
  return new InvalidInputError(`${path} changed while it was read: ${message}`, { input: path })
}
