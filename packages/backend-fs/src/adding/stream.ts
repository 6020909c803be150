import { buildOutboard, InvalidInputError, type BalancedOutboard, type BuildFileOptions, type BuiltFile } from '@x/cid'

import type { TempFile } from '../durable-write.ts'

/** The first bytes of a stream: all of it, or over `mostBytes`. Pieces are copied, for a source may use them again. */
export async function readHead(
  pieces: AsyncIterator<Uint8Array>,
  mostBytes: number,
): Promise<{ bytes: Uint8Array; isAll: boolean }> {
  const parts: Uint8Array[] = []
  let length = 0
  while (length <= mostBytes) {
    const next = await pieces.next()
    if (next.done) return { bytes: new Uint8Array(Buffer.concat(parts)), isAll: true }
    const piece: unknown = next.value
    if (!(piece instanceof Uint8Array)) {
      throw new InvalidInputError('a piece of the source is not bytes (Uint8Array)', { input: typeof piece })
    }
    parts.push(next.value.slice())
    length += next.value.length
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), isAll: false }
}

export async function* withHead(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** Writes and hashes the pieces in one pass. */
export async function writeAndHash(
  pieces: AsyncIterable<Uint8Array>,
  options: BuildFileOptions,
  temp: TempFile,
): Promise<BuiltFile & { outboard: BalancedOutboard }> {
  let writing = Promise.resolve()
  return buildOutboard(pieces, {
    ...options,
    // The chunk is hashed while it is written; it may be reused once its leaf has been announced, so that waits.
    onChunk: (chunk) => {
      writing = temp.write(chunk)
      // `onBlock` of the same leaf, which comes next, rejects with it.
      writing.catch(() => undefined)
    },
    onBlock: () => writing,
  })
}
