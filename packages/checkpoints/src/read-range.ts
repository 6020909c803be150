import { InvalidInputError, type CID } from '@x/cid'
import type { AbortOptions, ContentSource } from '@x/storage-core'

import type { CheckpointFile } from './list-files.ts'

/** Exactly these bytes of a file, each verified. */
export async function readRange(
  store: ContentSource,
  root: CID,
  file: CheckpointFile,
  { offset, length, signal }: AbortOptions & { offset: number; length: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  let filled = 0
  for await (const piece of store.cat(root, { path: file.path, offset, length, reuse: true, signal })) {
    bytes.set(piece, filled)
    filled += piece.length
  }
  if (filled < length) throw endsEarly(root, file, offset + filled)
  return bytes
}

/** What was listed is longer than what is there. */
export const endsEarly = (root: CID, { path, size }: CheckpointFile, at: number): InvalidInputError =>
  new InvalidInputError(`${root}/${path} was listed with ${size} bytes, and ends at byte ${at}`, { input: path })
