import { BackendError, NotFoundError, type StorageError } from '@x/storage-core'

/** What the hub calls an error in `X-Error-Code`; there are more. */
export type HubErrorCode = 'RepoNotFound' | 'GatedRepo' | 'RevisionNotFound' | 'EntryNotFound'

/** What the hub answered instead of what was asked. The cause of a `NotFoundError` or `BackendError`. */
export class HubStatusError extends Error {
  override readonly name = 'HubStatusError'
  readonly status: number
  /** `X-Error-Code`: a `HubErrorCode`, or another word of the hub's. */
  readonly errorCode: string | undefined
  /** How long it asks to be left alone. Milliseconds. */
  readonly retryAfterMs: number | undefined
  constructor(status: number, errorCode?: string, retryAfterMs?: number) {
    super(`HTTP status ${status}${errorCode === undefined ? '' : `, ${errorCode}`}`)
    this.status = status
    this.errorCode = errorCode
    this.retryAfterMs = retryAfterMs
  }
}

/** What was asked for, for messages and `NotFoundError.what`. */
export interface Asked {
  repo: string
  revision?: string | undefined
  path?: string | undefined
}

const BAD_TOKEN = /invalid (?:credentials|username or password|user token)|token.*(?:expired|revoked|invalid)/i

// What may be answered another time. Of 5xx all but those that say that it never will.
const isPassing = (status: number): boolean =>
  [408, 425, 429].includes(status) || (status >= 500 && status !== 501 && status !== 505)

/**
 * An answer that is not what was asked for. Only with the hub's own code is something known to be absent: a bare 404 may
 * come from a proxy, or from a server that is no hub.
 *
 * @param message - `X-Error-Message`. Used to tell cases apart, never shown: it is a stranger's text.
 */
export function toHubError(
  label: string,
  asked: Asked,
  cause: HubStatusError,
  { message, hasToken }: { message: string; hasToken: boolean },
): StorageError {
  const { status, errorCode } = cause
  const at = asked.revision === undefined ? asked.repo : `${asked.repo}@${asked.revision}`
  const absent = (what: string, text: string): NotFoundError =>
    new NotFoundError(what, { message: `${label}: ${text}`, cause })
  const refused = (text: string, retryable = false): BackendError =>
    new BackendError(`${label}: ${text}`, { cause, retryable })

  if (errorCode === 'EntryNotFound') {
    const what = asked.path === undefined ? at : `${at}/${asked.path}`
    return absent(what, `no such file: ${what}`)
  }
  if (errorCode === 'RevisionNotFound') return absent(at, `no such revision: ${at}`)
  if (errorCode === 'GatedRepo') {
    const how = hasToken
      ? 'the account of the token has not been let in'
      : 'it needs a token of an account that was let in'
    return refused(`${asked.repo} is gated: ${how}`)
  }
  if (status === 401 && hasToken && BAD_TOKEN.test(message)) {
    return refused('it does not accept the token: it is not valid, has expired, or was revoked')
  }
  if (errorCode === 'RepoNotFound') {
    const more = hasToken ? 'or the token does not reach it' : 'or it is private and needs a token'
    return absent(asked.repo, `no such repository: ${asked.repo} (${more})`)
  }
  if (status === 401) {
    return refused(hasToken ? `it does not accept the token for ${asked.repo}` : `${asked.repo} needs a token`)
  }
  if (status === 403) return refused(`it forbids ${asked.repo}${hasToken ? ' to the account of the token' : ''}`)
  if (status === 404 || status === 410) {
    return refused(`HTTP status ${status} for ${at} without the hub's own code; is it a hub?`)
  }
  return refused(`HTTP status ${status} for ${at}`, isPassing(status))
}
