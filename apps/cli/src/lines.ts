import { InvalidInputError } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import type { Io } from './io.ts'

/**
 * The lines of standard input as they come: without their ends, `\n` or `\r\n`; the last needs none.
 *
 * @throws {InvalidInputError} It is not UTF-8: another text would be run than was given.
 */
export async function* linesOf({ stdin, signal }: Pick<Io, 'stdin' | 'signal'>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const chunks = stdin[Symbol.asyncIterator]()
  /** Of the line that is not whole yet. */
  let parts: string[] = []
  const line = (): string => parts.join('').replace(/\r$/, '')
  try {
    for (;;) {
      const { done, value } = await untilAborted(chunks.next(), signal)
      const [first = '', ...more] = textOf(decoder, done ? undefined : value).split('\n')
      parts.push(first)
      for (const next of more) {
        yield line()
        parts = [next]
      }
      if (done) break
    }
    if (line() !== '') yield line()
  } finally {
    // Not waited for: of one who was stopped a read is still under way. What it ends with is nobody's any more.
    chunks.return?.().catch(() => undefined)
  }
}

/** @param bytes - `undefined` at the end. */
function textOf(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array | undefined): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
  } catch (cause) {
    throw new InvalidInputError('standard input is not text in UTF-8', { input: '-', cause })
  }
}
