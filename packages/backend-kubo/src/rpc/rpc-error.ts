import type { CID } from '@x/cid'
import { BackendError, BlockNotFoundError, NoSpaceError, NotFoundError, type StorageError } from '@x/storage-core'

/** What went wrong in one call, before it is known what it means to the caller. */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure'
  /**
   * `refused`: nobody took the request. `lost`: the connection broke. `stalled`: no bytes for too long. `foreign`: not an
   * answer of Kubo's. `http`: an answer that is an error. `daemon`: Kubo's own error message.
   */
  readonly kind: 'refused' | 'lost' | 'stalled' | 'foreign' | 'http' | 'daemon'
  readonly status: number | undefined
  constructor(
    message: string,
    { kind, status, ...options }: ErrorOptions & { kind: RpcFailure['kind']; status?: number | undefined },
  ) {
    super(message, options)
    this.kind = kind
    this.status = status
  }
}

export interface ErrorContext {
  /** The daemon's, without a secret. */
  address: string
  /** What was being done: `get bafk...`. */
  what: string
  /** The daemon was told to look at home alone, so that what it does not find is not held. */
  local: boolean
  /** What was asked for. */
  cid?: CID | undefined
}

// go-ipld-format, boxo's offline exchange and path resolver, in the words of Kubo 0.38 to 0.43.
const ABSENT = /could not find |not found locally|blockservice: key not found|merkledag: not found|no link named/
const FULL = /no space left on device|disk quota exceeded|maximum storage limit exceeded|not enough space|ENOSPC/i

/** The error of the family that a failed call stands for. */
export function toStorageError(failure: RpcFailure, { address, what, local, cid }: ErrorContext): StorageError {
  const message = `kubo at ${address}: ${what}: ${failure.message}`
  const cause = failure
  if (FULL.test(failure.message)) return new NoSpaceError(message, { cause })
  switch (failure.kind) {
    case 'refused':
    case 'lost':
    case 'stalled':
      return new BackendError(message, { retryable: true, cause })
    case 'foreign':
      return new BackendError(message, { retryable: isBusy(failure.status), cause })
    case 'http':
      if (failure.status === 401 || failure.status === 403) {
        const hint = 'the daemon wants other credentials (`auth`, `headers`), or does not allow them this command'
        return new BackendError(`${message}; ${hint}`, { retryable: false, cause })
      }
      return new BackendError(message, { retryable: isBusy(failure.status), cause })
    default: {
      if (local && ABSENT.test(failure.message)) {
        return cid === undefined ? new NotFoundError(what, { message, cause }) : new BlockNotFoundError(cid, { cause })
      }
      const stopped = /context canceled|context deadline exceeded|shutting down|closed/.test(failure.message)
      return new BackendError(message, { retryable: stopped || isBusy(failure.status), cause })
    }
  }
}

const isBusy = (status: number | undefined): boolean =>
  status === 408 || status === 425 || status === 429 || status === 502 || status === 503 || status === 504

/** Whether an error is one that the daemon itself gave, in these words. Messages here have the caller's words in them too. */
export const daemonSays = (error: unknown, words: RegExp): boolean =>
  error instanceof BackendError &&
  error.cause instanceof RpcFailure &&
  error.cause.kind === 'daemon' &&
  words.test(error.cause.message)
