import { BackendError } from '@x/storage-core'

/** A peer that was named is not dialled: it sent what it was not asked for. */
export class BannedError extends BackendError {
  /** Of the peer. */
  readonly id: string

  constructor(address: string, id: string) {
    super(`${address} sent what it was not asked for`, { retryable: false })
    this.id = id
  }
}
