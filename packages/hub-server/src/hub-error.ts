import { isStorageError } from '@x/storage-core'

/** What clients turn into error classes of their own. */
export type HubErrorCode = 'EntryNotFound' | 'RevisionNotFound' | 'RepoNotFound'

export interface HubErrorOptions extends ErrorOptions {
  code?: HubErrorCode | undefined
  headers?: Readonly<Record<string, string>> | undefined
}

/** A request that is answered with an error; its message is for the client, one line, without anything local. */
export class HubError extends Error {
  override readonly name = 'HubError'
  readonly status: number
  readonly code: HubErrorCode | undefined
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, message: string, { code, headers = {}, ...options }: HubErrorOptions = {}) {
    super(message, options)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

// When it is worth asking again is not known; a client backs off from there.
const RETRY_AFTER_SECONDS = '5'

/** What went wrong, as HTTP says it. Messages of the repository stay here: they may name paths on its disk. */
export function toHubError(error: unknown): HubError {
  if (error instanceof HubError) return error
  const cause = { cause: error }
  if (!isStorageError(error)) return new HubError(500, 'the server failed', cause)
  switch (error.code) {
    case 'NOT_FOUND':
      // Without a commit: it is there, and only not here, so that no client may remember it as absent.
      return new HubError(404, 'Entry not found here', { code: 'EntryNotFound', ...cause })
    case 'INTEGRITY':
      return new HubError(500, 'the bytes are damaged, here or where they came from', cause)
    case 'INVALID_INPUT':
      return new HubError(400, 'that cannot be asked for here', cause)
    case 'UNSUPPORTED':
      return new HubError(501, 'that is not supported here', cause)
    case 'GATED':
      return new HubError(403, 'that is switched off here', cause)
    case 'NO_SPACE':
      return new HubError(507, 'there is no space left to keep it', cause)
    default: {
      if (!('retryable' in error) || error.retryable !== true) return new HubError(500, 'the repository failed', cause)
      const headers = { 'retry-after': RETRY_AFTER_SECONDS }
      return new HubError(504, 'the repository did not answer; try again later', { headers, ...cause })
    }
  }
}

/** A header takes one line of ASCII. */
const MAX_MESSAGE_LENGTH = 500
export const headerText = (message: string): string => message.slice(0, MAX_MESSAGE_LENGTH).replaceAll(/[^ -~]/gu, '?')
