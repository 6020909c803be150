import { CID } from '@x/cid'
import { isStorageError } from '@x/storage-core'

export interface HttpErrorOptions extends ErrorOptions {
  headers?: Readonly<Record<string, string>> | undefined
}

/** A request that is answered with an error; its message is for the client, one line, without anything local. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, message: string, { headers = {}, ...options }: HttpErrorOptions = {}) {
    super(message, options)
    this.status = status
    this.headers = headers
  }
}

// When it is worth asking again is not known; a client backs off from there.
const RETRY_AFTER_SECONDS = '5'

/** What went wrong, as HTTP says it. Messages of the store stay here: they may name paths on its disk. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error
  const cause = { cause: error }
  if (!isStorageError(error)) return new HttpError(500, 'the gateway failed', cause)
  const cid = ('cid' in error ? CID.asCID(error.cid) : null)?.toString() ?? 'what was asked for'
  if (error.code === 'NOT_FOUND') return new HttpError(404, `not found here: ${cid}`, cause)
  if (error.code === 'INTEGRITY') return new HttpError(500, `damaged here: ${cid}`, cause)
  // Of blocks: what the client sent was looked at before.
  if (error.code === 'INVALID_INPUT') return new HttpError(404, 'a block on the way is not valid', cause)
  if (error.code === 'UNSUPPORTED') return new HttpError(400, 'a block on the way has a codec that is not known', cause)
  if (error.code === 'BACKEND' && 'retryable' in error && error.retryable === true) {
    const headers = { 'retry-after': RETRY_AFTER_SECONDS }
    return new HttpError(504, 'the store did not answer; try again later', { headers, cause: error })
  }
  return new HttpError(500, 'the store failed', cause)
}
