import { IntegrityError, type CID, type Outboard } from '@x/cid'
import { BackendError } from '@x/storage-core'
import { discard, staticDataPath } from '@x/storage-core/backend'

import { assertNotAPage, request, type Connection } from './get-block.ts'
import { readBody } from './read-body.ts'
import type { AskOptions } from './upstream.ts'

export interface FilePart {
  cid: CID
  outboard: Outboard
  /** Where to begin. */
  offset: number
  length: number
  /** Most that is passed over where the server has no ranges. Default: no limit. */
  maxSkippedBytes?: number | undefined
}

/** Bytes of a file from a place on, unchecked. */
export interface FileBytes {
  /** The next ones, in memory of their own. */
  take(length: number): Promise<Uint8Array>
  /** Ends the request, without waiting. */
  close(): void
}

/**
 * Part of a whole file from a web server, by a range request. A server that has no ranges sends the file from its start, and
 * what comes before the part is passed over.
 *
 * @throws {BackendError} Among others: there would be too much to pass over.
 */
export async function openFileBytes(connection: Connection, part: FilePart, asked: AskOptions): Promise<FileBytes> {
  const { endpoint, stallTimeoutMs, health } = connection
  const { cid, outboard, offset, length, maxSkippedBytes = Infinity } = part
  const { label } = endpoint
  const isWhole = offset === 0 && length === outboard.fileBytes
  // Compressed on the way, ranges would be of something else.
  const identity = { 'accept-encoding': 'identity' }
  const response = await request(connection, staticDataPath(cid), cid, {
    headers: isWhole ? identity : { ...identity, range: `bytes=${offset}-${offset + length - 1}` },
    signal: asked.signal,
    expected: isWhole ? [200] : [200, 206, 416],
  })
  assertNotAPage(connection, response)
  if (response.status === 416) {
    discard(response)
    throw new IntegrityError(`the file ${cid} is shorter than its outboard says`, { cid, offset })
  }
  if (response.status === 206) assertRangeOf(label, response, part)
  else if (offset > maxSkippedBytes) {
    discard(response)
    const message = `${label}: the server has no ranges, and the part of ${cid} lies behind ${offset} bytes; read the file in order`
    throw new BackendError(message, { retryable: false })
  }
  const pieces = readBody(response, { label, pulse: asked.pulse, signal: asked.signal, stallTimeoutMs, health })
  let piece: Uint8Array = new Uint8Array()
  let toSkip = response.status === 206 ? 0 : offset

  async function nextPiece(): Promise<void> {
    const { value, done } = await pieces.next()
    if (done === true) throw new BackendError(`${label}: the file ${cid} ended early`, { retryable: true })
    piece = value
  }

  return {
    async take(byteLength) {
      while (toSkip > 0) {
        if (piece.length === 0) await nextPiece()
        const skipped = Math.min(toSkip, piece.length)
        piece = piece.subarray(skipped)
        toSkip -= skipped
      }
      const bytes = new Uint8Array(byteLength)
      for (let filled = 0; filled < byteLength;) {
        if (piece.length === 0) await nextPiece()
        const taken = piece.subarray(0, byteLength - filled)
        bytes.set(taken, filled)
        filled += taken.length
        piece = piece.subarray(taken.length)
      }
      return bytes
    },
    // It is left: how it ends is nobody's concern, and a failure in the middle was thrown by `take`.
    close: () => void pieces.return(undefined).catch(() => undefined),
  }
}

/** A page may not be shown the header; what comes is checked in any case. */
function assertRangeOf(label: string, response: Response, { cid, offset }: FilePart): void {
  const encoding = response.headers.get('content-encoding') ?? 'identity'
  const range = response.headers.get('content-range')
  if (encoding === 'identity' && (range === null || range.startsWith(`bytes ${offset}-`))) return
  discard(response)
  const got = encoding === 'identity' ? `the range ${range ?? ''}` : `a range in ${encoding}`
  throw new BackendError(`${label}: ${got} of ${cid} where bytes from ${offset} on were asked for`, {
    retryable: false,
  })
}
