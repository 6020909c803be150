import { concatBytes } from '@x/storage-core/backend'

import { MAX_MESSAGE_BYTES } from './message.ts'
import { findVarint, MalformedError } from './varint.ts'

/** Cuts the bytes of a stream into messages. */
export interface MessageReader {
  /**
   * Takes the next bytes, and keeps them until their message is whole.
   *
   * @returns Messages for `decodeMessage`.
   * @throws {MalformedError} They announce too long a message, or too many.
   */
  push(piece: Uint8Array): Uint8Array[]
  /** Bytes of the message that is not whole yet. */
  readonly held: number
}

// A length is written in so many bytes at most.
const LONGEST_PREFIX = 10
/** In one piece of a stream, some 64 KiB. */
const MAX_MESSAGES = 1024

export function createMessageReader(): MessageReader {
  /** Of a message whose length is known; else of a length. */
  let pieces: Uint8Array[] = []
  let held = 0
  let length: number | undefined

  /** @returns What lies behind the length. */
  function readLength(piece: Uint8Array): Uint8Array | undefined {
    const before = join(pieces, held)
    const bytes = join(
      [before, piece.subarray(0, LONGEST_PREFIX)],
      before.length + Math.min(piece.length, LONGEST_PREFIX),
    )
    const found = findVarint(bytes, 0)
    if (found === undefined) {
      pieces = [bytes]
      held = bytes.length
      return undefined
    }
    if (found.value > MAX_MESSAGE_BYTES) throw new MalformedError(`a message of ${found.value} bytes`)
    length = found.value
    pieces = []
    held = 0
    return piece.subarray(found.end - before.length)
  }

  return {
    get held() {
      return held
    },
    push(given) {
      const messages: Uint8Array[] = []
      let rest: Uint8Array | undefined = given
      while (rest) {
        if (length === undefined) {
          if (rest.length === 0) break
          rest = readLength(rest)
          continue
        }
        const missing: number = length - held
        pieces.push(rest.subarray(0, missing))
        held += Math.min(missing, rest.length)
        if (held < length) break
        rest = rest.subarray(missing)
        const whole = join(pieces, held)
        pieces = []
        held = 0
        length = undefined
        if (messages.length === MAX_MESSAGES) throw new MalformedError(`over ${MAX_MESSAGES} messages at once`)
        messages.push(whole)
      }
      return messages
    },
  }
}

/** What is in one piece is not copied. */
const join = (pieces: readonly Uint8Array[], length: number): Uint8Array =>
  pieces[0]?.length === length ? pieces[0] : concatBytes(pieces, length)
