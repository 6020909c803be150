import { StorageError, type CID } from '@x/cid'

/** Known to be absent, by its own CID or by a path below one. */
export class NotFoundError extends StorageError {
  override readonly name = 'NotFoundError'
  readonly code = 'NOT_FOUND'
  /** The CID that was asked for. Absent when a name was. */
  readonly cid: CID | undefined
  /** What was looked for, as text: a CID, `<cid>/path`, a name. */
  readonly what: string
  constructor(what: string, { cid, message, ...options }: ErrorOptions & { cid?: CID; message?: string } = {}) {
    super(message ?? `not found: ${what}`, options)
    this.what = what
    this.cid = cid
  }
}

/** A block that no source has. */
export class BlockNotFoundError extends NotFoundError {
  constructor(cid: CID, options: ErrorOptions = {}) {
    super(cid.toString(), { ...options, cid, message: `block not found: ${cid}` })
  }
}

/** The medium or the other side failed, so whether the thing is there cannot be told. */
export class BackendError extends StorageError {
  override readonly name = 'BackendError'
  readonly code = 'BACKEND'
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  constructor(message: string, { retryable, ...options }: ErrorOptions & { retryable: boolean }) {
    super(message, options)
    this.retryable = retryable
  }
}

/** A feature that is switched off, or one that is required and not available. */
export class GatedError extends StorageError {
  override readonly name = 'GatedError'
  readonly code = 'GATED'
  readonly feature: string
  constructor(message: string, { feature, ...options }: ErrorOptions & { feature: string }) {
    super(message, options)
    this.feature = feature
  }
}

/** The disk or the quota is full. Nothing of the write is visible. */
export class NoSpaceError extends StorageError {
  override readonly name = 'NoSpaceError'
  readonly code = 'NO_SPACE'
}

/** Another writer holds what this call needs alone. */
export class InUseError extends StorageError {
  override readonly name = 'InUseError'
  readonly code = 'IN_USE'
}

/** A compare-and-set found another value than the caller expected. */
export class ConflictError extends StorageError {
  override readonly name = 'ConflictError'
  readonly code = 'CONFLICT'
  /** What the name points to now; `undefined` when it is free. */
  readonly current: CID | undefined
  constructor(message: string, { current, ...options }: ErrorOptions & { current: CID | undefined }) {
    super(message, options)
    this.current = current
  }
}

/** Why a signature does not count. */
export type SignatureReason =
  /** There is no signature, and one is required. */
  | 'unsigned'
  /** Signed by a key or a certificate that the caller does not trust (here). */
  | 'unknown-key'
  /** The signature is not by the trusted key, or not over this payload. */
  | 'bad-signature'
  /** The signature is good, and is over something else than what is there. */
  | 'mismatch'
  /** What was signed, or the envelope around it, cannot be read, or says two things. */
  | 'malformed'
  /** A signed document that is older than one already seen, or another one of the same age. */
  | 'backwards'

/** One difference between what was signed and what is there. */
export interface SignatureMismatch {
  /** `missing`: signed, not there. `extra`: there, not signed. `changed`: other bytes than those signed. */
  kind: 'missing' | 'extra' | 'changed'
  path: string
}

/** A signature that does not hold. What it covers is never used. */
export class SignatureError extends StorageError {
  override readonly name = 'SignatureError'
  readonly code = 'SIGNATURE'
  readonly reason: SignatureReason
  /** All of them, in the order of their paths; empty unless `reason` is `mismatch`. */
  readonly mismatches: readonly SignatureMismatch[]
  constructor(
    message: string,
    {
      reason,
      mismatches = [],
      ...options
    }: ErrorOptions & { reason: SignatureReason; mismatches?: readonly SignatureMismatch[] },
  ) {
    super(message, options)
    this.reason = reason
    this.mismatches = mismatches
  }
}
