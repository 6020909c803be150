import type { Refuse } from './car-cid.ts'
import { InvalidInputError } from './errors.ts'

/** Reads numbers and runs of bytes from a stream of pieces of any size. Holds one piece. */
export interface CarSource {
  /** Bytes read so far. */
  readonly offset: number
  /** Names a place in what it refuses: by default the next byte. */
  refuse(at?: number): Refuse
  /** Whether another byte comes; waits for it. */
  hasMore(): Promise<boolean>
  /** Fills `target`, or refuses a CAR that ends before. */
  readInto(target: Uint8Array): Promise<void>
  /** An unsigned varint; not exact over 2^53. Refuses one that is longer than its value needs. */
  readVarint(): Promise<number>
  skip(byteLength: number): Promise<void>
  /** The byte after the last one to be read. */
  endAt(offset: number): void
  /** Closes the source, once, unless it has ended. */
  close(): Promise<void>
}

export function createCarSource(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { signal }: { signal?: AbortSignal | undefined },
): CarSource {
  const pieces = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let piece: Uint8Array = new Uint8Array()
  let position = 0
  let offset = 0
  let end = Infinity
  let hasEnded = false
  let isWaiting = false

  const refuse =
    (at: number = offset): Refuse =>
    (why, cause) => {
      throw new InvalidInputError(`not a valid CAR: at byte ${at}: ${why}`, { input: `byte ${at}`, cause })
    }

  async function pull(): Promise<IteratorResult<Uint8Array>> {
    isWaiting = true
    const next = Promise.resolve(pieces.next())
    const result = await (signal ? untilAborted(next, signal) : next)
    isWaiting = false
    return result
  }

  /** Makes sure that the current piece has a byte left. */
  async function hasPiece(): Promise<boolean> {
    while (position === piece.length) {
      signal?.throwIfAborted()
      if (hasEnded) return false
      const { done, value } = await pull().catch((error: unknown) => {
        // One that failed is closed; one whose answer was not waited for is not.
        if (!signal?.aborted) hasEnded = true
        throw error
      })
      if (done === true) {
        hasEnded = true
        return false
      }
      if (!(value instanceof Uint8Array)) {
        const kind: unknown = value
        throw new InvalidInputError('a piece of the CAR is not bytes (Uint8Array)', { input: typeof kind })
      }
      piece = value
      position = 0
    }
    return true
  }

  /** The next bytes, at least one and at most `most`, as they lie in the current piece. */
  async function take(most: number): Promise<Uint8Array> {
    if (offset >= end) refuse()('more bytes are wanted than the CARv2 says that its data has')
    if (!(await hasPiece())) refuse()('it is cut short')
    const taken = piece.subarray(position, position + Math.min(most, end - offset))
    position += taken.length
    offset += taken.length
    return taken
  }

  return {
    get offset() {
      return offset
    },
    refuse,
    hasMore: async () => (end === Infinity ? hasPiece() : offset < end),
    async readInto(target) {
      for (let filled = 0; filled < target.length;) {
        const taken = await take(target.length - filled)
        target.set(taken, filled)
        filled += taken.length
      }
    },
    async readVarint() {
      const start = offset
      let value = 0
      for (let index = 0; index < 9; index++) {
        const [byte = 0] = await take(1)
        value += (byte & 0x7f) * 2 ** (7 * index)
        if (byte === 0 && index > 0) return refuse(start)('a length that is not written in the shortest way')
        if (byte < 0x80) return value
      }
      return refuse(start)('a length of over 9 bytes')
    },
    async skip(byteLength) {
      for (let left = byteLength; left > 0;) left -= (await take(left)).length
    },
    endAt(last) {
      end = last
    },
    async close() {
      if (hasEnded) return
      hasEnded = true
      const closed = Promise.resolve(pieces.return?.())
      // A generator that waits for its own next piece would answer after it, which may be never.
      if (isWaiting) closed.catch(() => undefined)
      else await closed
    },
  }
}

/** Rejects with `signal.reason` when it aborts, without waiting any longer. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    // The source may have aborted it itself, before it was listened to.
    if (signal.aborted) abort()
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
