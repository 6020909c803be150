import { constants, type BigIntStats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

import { BackendError } from '@x/storage-core'

import { onDisk } from './disk-error.ts'
import { createDigestChecker, type ExpectedDigests } from './file-digests.ts'

const PIECE_BYTES = 1024 * 1024

/**
 * A range of a file in fresh pieces of 1 MiB, through one handle, the next one read while the last is used.
 *
 * @param path - Where it really is: a link is refused.
 * @param size - Bytes the file must have.
 * @throws {BackendError} It is another file than was listed, or changed while it was read.
 */
export async function* readLocal(
  path: string,
  size: number,
  { offset, length }: { offset: number; length: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted()
  // A FIFO that took the file's place would block an open for reading for ever. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0)
  const handle = await onDisk(`open ${path}`, open(path, flags))
  let ahead: Promise<Uint8Array> | undefined
  try {
    const before = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
    if (!before.isFile() || Number(before.size) !== size) throw changed(path)
    const end = offset + length
    const pieceAt = (at: number): Promise<Uint8Array> | undefined =>
      at < end ? readPiece(handle, path, at, Math.min(PIECE_BYTES, end - at)) : undefined
    ahead = pieceAt(offset)
    for (let [at, piece] = [offset, await ahead]; piece; piece = await ahead) {
      at += piece.length
      ahead = pieceAt(at)
      // Awaited in its turn. Who leaves before that does not want it.
      ahead?.catch(() => undefined)
      signal?.throwIfAborted()
      yield piece
    }
    const after = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
    if (!isSame(before, after)) throw changed(path)
  } finally {
    // The handle must stay open until nobody reads from it; what it read is not wanted any more.
    await ahead?.catch(() => undefined)
    await handle.close()
  }
}

/**
 * Reads a whole file and compares it with what is expected; with nothing expected it is read all the same.
 *
 * @throws {IntegrityError} The bytes are others.
 */
export async function checkLocal(
  path: string,
  size: number,
  expected: ExpectedDigests,
  signal: AbortSignal | undefined,
): Promise<void> {
  const checker = createDigestChecker(path, size, expected)
  for await (const piece of readLocal(path, size, { offset: 0, length: size }, signal)) checker.update(piece)
  checker.end()
}

async function readPiece(handle: FileHandle, path: string, position: number, length: number): Promise<Uint8Array> {
  const piece = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await onDisk(`read ${path}`, handle.read(piece, filled, length - filled, position + filled))
    if (bytesRead === 0) throw changed(path)
    filled += bytesRead
  }
  return piece
}

const isSame = (a: BigIntStats, b: BigIntStats): boolean => a.size === b.size && a.mtimeNs === b.mtimeNs

const changed = (path: string): BackendError =>
  new BackendError(`hub-cache: ${path} is not the file any more that was listed`, { retryable: false })
