import { CID, IntegrityError, InvalidInputError, isStorageError, UnsupportedError } from '@x/cid'
import { BusyError, CrashError } from '@x/infer-core'
import {
  BackendError,
  BlockNotFoundError,
  ConflictError,
  GatedError,
  InUseError,
  NoSpaceError,
  NotFoundError,
  SignatureError,
} from '@x/storage-core'

type Field = string | number | boolean

/** An error on its way between threads: a clone of one would lose its class. */
export interface SentError {
  name: string
  code: string | undefined
  message: string
  stack: string | undefined
  /** What the error's class has besides. */
  fields: Readonly<Record<string, Field>>
  /** CIDs among them, as text. */
  cids: Readonly<Record<string, string>>
  mismatches: readonly Mismatch[]
  cause: SentError | undefined
}

type Mismatch = SignatureError['mismatches'][number]

const FIELDS = ['input', 'what', 'retryable', 'feature', 'file', 'offset', 'reason', 'model', 'quarantinedUntilMs']
const CIDS = ['cid', 'actual', 'current']
/** Of causes of causes. One that is its own cause ends there too. */
const MAX_DEPTH = 8

export function sendError(thrown: unknown, depth = 0): SentError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const { name, message, stack, cause } = error
  const isOurs = isStorageError(error)
  const fields: Record<string, Field> = {}
  const cids: Record<string, string> = {}
  if (isOurs) {
    for (const field of FIELDS) {
      const value: unknown = Reflect.get(error, field)
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') fields[field] = value
    }
    for (const field of CIDS) {
      const cid = CID.asCID(Reflect.get(error, field))
      if (cid !== null) cids[field] = cid.toString()
    }
  } else if ('code' in error && typeof error.code === 'string') {
    // Of the system's: ENOENT and the like.
    fields['code'] = error.code
  }
  return {
    name,
    code: isOurs ? error.code : undefined,
    message,
    stack,
    fields,
    cids,
    mismatches: error instanceof SignatureError ? error.mismatches.map(({ kind, path }) => ({ kind, path })) : [],
    cause: cause === undefined || depth >= MAX_DEPTH ? undefined : sendError(cause, depth + 1),
  }
}

/** The error that it was, with the class that its code stands for; one of no code is a `BackendError`. */
export function receiveError(sent: SentError): Error {
  return sent.code === undefined
    ? withStack(sent, new BackendError(sent.message, { retryable: false, ...causeOf(sent) }))
    : revive(sent)
}

const causeOf = ({ cause }: SentError): ErrorOptions => (cause === undefined ? {} : { cause: revive(cause) })

function withStack({ stack }: SentError, error: Error): Error {
  if (stack !== undefined) error.stack = stack
  return error
}

function revive(sent: SentError): Error {
  return withStack(sent, sent.code === undefined ? plain(sent) : ours(sent))
}

function plain(sent: SentError): Error {
  const { name, message, fields } = sent
  return Object.assign(new Error(message, causeOf(sent)), { name, ...fields })
}

function ours(sent: SentError): Error {
  const { code, message, fields, mismatches } = sent
  const options = causeOf(sent)
  const text = (field: string): string => String(fields[field] ?? '')
  const number = (field: string): number | undefined => {
    const value = fields[field]
    return typeof value === 'number' ? value : undefined
  }
  const cidAt = (field: string): CID | undefined => {
    const value = sent.cids[field]
    return value === undefined ? undefined : CID.parse(value)
  }
  const cid = cidAt('cid')
  switch (code) {
    case 'INVALID_INPUT':
      return new InvalidInputError(message, { input: text('input'), ...options })
    case 'NOT_FOUND':
      // It has the name of its base.
      if (cid && message === `block not found: ${cid}`) return new BlockNotFoundError(cid, options)
      return new NotFoundError(text('what'), { message, ...(cid && { cid }), ...options })
    case 'INTEGRITY': {
      if (!cid) break
      const [actual, offset] = [cidAt('actual'), number('offset')]
      return new IntegrityError(message, { cid, actual, file: text('file') || undefined, offset, ...options })
    }
    case 'GATED':
      return new GatedError(message, { feature: text('feature'), ...options })
    case 'NO_SPACE':
      return new NoSpaceError(message, options)
    case 'UNSUPPORTED':
      return new UnsupportedError(message, options)
    case 'IN_USE':
      return new InUseError(message, options)
    case 'CONFLICT':
      return new ConflictError(message, { current: cidAt('current'), ...options })
    case 'SIGNATURE':
      return new SignatureError(message, { reason: reasonIn(text('reason')), mismatches, ...options })
    case 'BUSY':
      return new BusyError(message, options)
    case 'CRASH':
      return new CrashError(message, {
        model: text('model'),
        quarantinedUntilMs: number('quarantinedUntilMs'),
        ...options,
      })
  }
  return new BackendError(message, { retryable: fields['retryable'] === true, ...options })
}

const REASONS: Record<SignatureError['reason'], true> = {
  unsigned: true,
  'unknown-key': true,
  'bad-signature': true,
  mismatch: true,
  malformed: true,
  backwards: true,
}

const isReason = (text: string): text is SignatureError['reason'] => Object.hasOwn(REASONS, text)

/** One of another version, of a reason that is not known here, is one that cannot be read here. */
const reasonIn = (text: string): SignatureError['reason'] => (isReason(text) ? text : 'malformed')
