import { BackendError } from '@x/storage-core'

/** A server has enough to do. */
export class AskLaterError extends BackendError {
  /** What it said, an hour at most; `0`: nothing. */
  readonly afterMs: number
  constructor(message: string, afterMs: number) {
    super(message, { retryable: true })
    this.afterMs = afterMs
  }
}
