import type { CID } from 'multiformats/cid'

const brand = Symbol.for('@x/error')

/** What a program switches on; the class names are for people. */
export type ErrorCode =
  | 'NOT_FOUND'
  | 'INTEGRITY'
  | 'BACKEND'
  | 'GATED'
  | 'INVALID_INPUT'
  | 'NO_SPACE'
  | 'IN_USE'
  | 'CONFLICT'
  | 'UNSUPPORTED'
  | 'SIGNATURE'
  | 'BUSY'
  | 'CRASH'

/** The one family of errors of this project. An abort is not one of them: it rejects with the signal's own reason. */
export abstract class StorageError extends Error {
  abstract readonly code: ErrorCode
  static {
    Object.defineProperty(this.prototype, brand, { value: true })
  }
}

export interface IntegrityDetails extends ErrorOptions {
  /** What the bytes were asked for. */
  cid: CID
  /** What the bytes hash to; absent when they could not be hashed, for instance because some are missing. */
  actual?: CID | undefined
  /** The file in which the bytes lie: a path inside a directory's DAG, or on disk. */
  file?: string | undefined
  /** Where the bad leaf starts in that file. Bytes. */
  offset?: number | undefined
}

/** Bytes that do not hash to the CID they were asked for. They are never handed on. */
export class IntegrityError extends StorageError {
  override readonly name = 'IntegrityError'
  readonly code = 'INTEGRITY'
  readonly cid: CID
  readonly actual: CID | undefined
  readonly file: string | undefined
  readonly offset: number | undefined
  constructor(message: string, { cid, actual, file, offset, ...options }: IntegrityDetails) {
    super(message, options)
    this.cid = cid
    this.actual = actual
    this.file = file
    this.offset = offset
  }
}

/** The caller's argument, or data that the caller named, cannot be used as it is. */
export class InvalidInputError extends StorageError {
  override readonly name = 'InvalidInputError'
  readonly code = 'INVALID_INPUT'
  /** The offending thing, as text: a CID string, a path, an option. */
  readonly input: string
  constructor(message: string, { input, ...options }: ErrorOptions & { input: string }) {
    super(message, options)
    this.input = input
  }
}

/** Well-formed, but of a kind that this version does not handle: a codec, a hash function, a node type. */
export class UnsupportedError extends StorageError {
  override readonly name = 'UnsupportedError'
  readonly code = 'UNSUPPORTED'
}

/** Unlike `instanceof`, still true when two copies of a package are installed. */
export function isStorageError(error: unknown): error is StorageError {
  return typeof error === 'object' && error !== null && brand in error
}
