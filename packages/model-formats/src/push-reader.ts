/** What a reading program asks for next: bytes of its file, in order. */
type Ask =
  /** So many bytes at once: keep them few, or hand over a `limit` that was checked. `what` is for messages. */
  | { bytes: number; what: string }
  /** So many bytes, in pieces; without `onPiece` they are passed over. */
  | { pass: number; what: string; onPiece?: ((piece: Uint8Array) => void) | undefined }

/** Yields what it asks for, is given it (nothing for `pass`), and returns when it wants no more. */
export type ReadingProgram<T> = Generator<Ask, T, Uint8Array>

export interface PushReader<T> {
  push(bytes: Uint8Array): void
  /** What the program returned. Calls `cut` when it asks for more than there was. */
  end(): T
}

export interface PushReaderOptions {
  /** The file ended at `offset`, inside `what`. Throws. */
  cut: (offset: number, what: string) => never
  /** Bytes came that the program did not ask for, from `offset` on. May throw. */
  rest: (offset: number) => void
}

const FIRST_BUFFER = 65_536
const EMPTY = new Uint8Array()

/** Feeds a program that is written as if it could read; memory is what it asks for at once, as far as that has come. */
export function createPushReader<T>(program: ReadingProgram<T>, { cut, rest }: PushReaderOptions): PushReader<T> {
  let offset = 0
  let held: Uint8Array = EMPTY
  let filled = 0
  let passed = 0
  let step = program.next()

  function answer(bytes: Uint8Array): void {
    held = EMPTY
    filled = 0
    passed = 0
    step = program.next(bytes)
  }

  /** What asks for nothing is answered at once, also at the end of the file. */
  function answerEmpty(): void {
    while (!step.done && ('bytes' in step.value ? step.value.bytes : step.value.pass) === 0) answer(EMPTY)
  }

  function hold(piece: Uint8Array, wanted: number): void {
    if (held.length < filled + piece.length) {
      // A size that a file only claims is not allocated.
      const grown = new Uint8Array(Math.min(wanted, Math.max(FIRST_BUFFER, 2 * held.length, filled + piece.length)))
      grown.set(held.subarray(0, filled))
      held = grown
    }
    held.set(piece, filled)
    filled += piece.length
  }

  /** Takes from `bytes` what is asked for, and returns how much. */
  function take(ask: Ask, bytes: Uint8Array): number {
    if ('pass' in ask) {
      const piece = bytes.subarray(0, ask.pass - passed)
      ask.onPiece?.(piece)
      passed += piece.length
      if (passed === ask.pass) answer(EMPTY)
      return piece.length
    }
    const piece = bytes.subarray(0, ask.bytes - filled)
    if (filled === 0 && piece.length === ask.bytes) {
      answer(piece)
      return piece.length
    }
    hold(piece, ask.bytes)
    if (filled === ask.bytes) answer(held)
    return piece.length
  }

  return {
    push(bytes) {
      let position = 0
      while (position < bytes.length) {
        answerEmpty()
        if (step.done) {
          rest(offset)
          offset += bytes.length - position
          return
        }
        const taken = take(step.value, bytes.subarray(position))
        position += taken
        offset += taken
      }
      answerEmpty()
    },
    end() {
      answerEmpty()
      return step.done ? step.value : cut(offset, step.value.what)
    },
  }
}
