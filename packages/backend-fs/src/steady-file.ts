import { constants, type BigIntStats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'

import { InvalidInputError } from '@x/cid'

import { ifThere, onDisk } from './disk-error.ts'

const PIECE_BYTES = 1024 * 1024

/**
 * Reads a file from one handle in fresh pieces of 1 MiB, the next one read while the last is used.
 *
 * @throws {InvalidInputError} Its size, time or identity is another at the end than at the start: what was read is then
 *   of no one moment. A writer that restores the time is not noticed.
 */
export async function* readSteadyFile(path: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted()
  // A FIFO that took the file's place would block an open for reading for ever.
  const handle = await onDisk(`open ${path}`, open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)))
  let ahead: Promise<Uint8Array> | undefined
  try {
    const before = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
    if (!before.isFile()) throw changed(path, 'it is no file any more')
    let read = 0n
    ahead = readPiece(handle, 0, path)
    for (let piece = await ahead; piece.length > 0; piece = await ahead) {
      read += BigInt(piece.length)
      // One that grows while it is read would never end.
      if (read > before.size) throw changed(path, `it has more than ${before.size} bytes`)
      ahead = readPiece(handle, Number(read), path)
      // Awaited in its turn. Who leaves before that does not want it.
      ahead.catch(() => undefined)
      signal?.throwIfAborted()
      yield piece
    }
    signal?.throwIfAborted()
    if (read !== before.size) throw changed(path, `${read} bytes of ${before.size} were there`)
    await assertSame(path, handle, before)
  } finally {
    // The handle must stay open until nobody reads from it; what it read is not wanted any more.
    await ahead?.catch(() => undefined)
    await handle.close()
  }
}

async function readPiece(handle: FileHandle, position: number, path: string): Promise<Uint8Array> {
  const piece = new Uint8Array(PIECE_BYTES)
  let filled = 0
  while (filled < PIECE_BYTES) {
    const reading = handle.read(piece, filled, PIECE_BYTES - filled, position + filled)
    const { bytesRead } = await onDisk(`read ${path}`, reading)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return piece.subarray(0, filled)
}

async function assertSame(path: string, handle: FileHandle, before: BigIntStats): Promise<void> {
  const after = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
  const named = await ifThere(`look at ${path}`, stat(path, { bigint: true }))
  if (!named) throw changed(path, 'it was removed')
  for (const [now, what] of [
    [after, 'it was written to'],
    [named, 'another file took its name'],
  ] as const) {
    if (now.size !== before.size || now.mtimeNs !== before.mtimeNs || now.ino !== before.ino) throw changed(path, what)
  }
}

const changed = (path: string, how: string): InvalidInputError =>
  new InvalidInputError(`${path} changed while it was read: ${how}`, { input: path })
