import { BackendError, NoSpaceError, NotFoundError, type StorageError } from '@x/storage-core'

/** What S3 answered instead of what was asked. The cause of a `NotFoundError` or `BackendError`. */
export class S3StatusError extends Error {
  override readonly name = 'S3StatusError'
  readonly status: number
  /** The server's own word: `NoSuchKey`, `AccessDenied`. */
  readonly errorCode: string | undefined
  /** Where the bucket is, when the answer says so. */
  readonly region: string | undefined
  /** How long it asks to be left alone. Milliseconds. */
  readonly retryAfterMs: number | undefined
  constructor(
    status: number,
    { errorCode, region, retryAfterMs }: { errorCode?: string; region?: string; retryAfterMs?: number } = {},
  ) {
    super(`HTTP status ${status}${errorCode === undefined ? '' : `, ${errorCode}`}`)
    this.status = status
    this.errorCode = errorCode
    this.region = region
    this.retryAfterMs = retryAfterMs
  }
}

/** What was asked for, for messages. */
export interface Asked {
  bucket: string
  /** Default: the bucket itself. */
  key?: string | undefined
}

export const nameOf = ({ bucket, key }: Asked): string =>
  key === undefined ? `s3://${bucket}` : `s3://${bucket}/${key}`

const BAD_CREDENTIALS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'it does not know the access key',
  SignatureDoesNotMatch: 'the signature is not right: the secret key is another one, or a proxy changes the request',
  ExpiredToken: 'the session token has expired',
  InvalidToken: 'the session token is not valid',
  TokenRefreshRequired: 'the session token has to be renewed',
  RequestTimeTooSkewed: 'the clock of this machine is wrong by more than it accepts',
}

const PASSING_CODES = new Set(['SlowDown', 'InternalError', 'ServiceUnavailable', 'RequestTimeout', 'Throttling'])

/** What servers of other makes say, too. */
const FULL_CODES = new Set(['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage', 'EntityTooLargeForQuota'])

const isPassing = (status: number): boolean =>
  [408, 425, 429].includes(status) || (status >= 500 && status !== 501 && status !== 505)

/**
 * An answer that is not what was asked for. Only with S3's own code is something known to be absent: a bare 404 may come from
 * a proxy, and 403 is what S3 says of an absent object to who may not list.
 *
 * @param label - The endpoint.
 * @param hasCredentials - Whether the request was signed.
 */
export function toS3Error(
  label: string,
  asked: Asked,
  cause: S3StatusError,
  { hasCredentials }: { hasCredentials: boolean },
): StorageError {
  const { status, errorCode, region } = cause
  const name = nameOf(asked)
  const refused = (text: string, retryable = false): BackendError =>
    new BackendError(`${label}: ${text}`, { cause, retryable })
  const code = errorCode === undefined ? '' : ` (${errorCode})`

  if (errorCode === 'NoSuchBucket') {
    const bucket = nameOf({ bucket: asked.bucket })
    return new NotFoundError(bucket, { message: `${label}: no such bucket: ${bucket}`, cause })
  }
  if (errorCode === 'NoSuchKey') return new NotFoundError(name, { message: `${label}: no such object: ${name}`, cause })
  const bad = errorCode === undefined ? undefined : BAD_CREDENTIALS[errorCode]
  if (bad !== undefined) return refused(`${name}: ${bad}${code}`)
  const isElsewhere = (status >= 300 && status < 400) || errorCode === 'AuthorizationHeaderMalformed'
  if (isElsewhere && region !== undefined) {
    return refused(`the bucket ${asked.bucket} is in region ${region}, which has to be named (AWS_REGION)`)
  }
  if (isElsewhere) return refused(`${name}: it sends to another address${code}, which is not followed`)
  if (errorCode === 'InvalidObjectState') return refused(`${name} is archived, and has to be restored first${code}`)
  if (status === 401 || status === 403) {
    const who = hasCredentials ? 'these credentials' : 'who has no credentials'
    return refused(`it forbids ${name} to ${who}${code}; whether it is there cannot be told`)
  }
  if (status === 507 || (errorCode !== undefined && FULL_CODES.has(errorCode))) {
    return new NoSpaceError(`${label}: there is no room for ${name}${code}`, { cause })
  }
  if (errorCode === 'NoSuchUpload') return refused(`${name}: the upload in parts is not there any more`, true)
  if (status === 412) return refused(`${name} changed while it was read`)
  if (status === 416) return refused(`${name} ends before the bytes that were asked for`)
  if (status === 404) return refused(`HTTP status 404 for ${name} without the code of S3; is it S3?`)
  const isRetryable = isPassing(status) || (errorCode !== undefined && PASSING_CODES.has(errorCode))
  return refused(`HTTP status ${status}${code} for ${name}`, isRetryable)
}
