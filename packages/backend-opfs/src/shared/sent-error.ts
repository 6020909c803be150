import { CID, IntegrityError, InvalidInputError, isStorageError, UnsupportedError } from '@x/cid'
import {
  BackendError,
  BlockNotFoundError,
  ConflictError,
  GatedError,
  InUseError,
  NoSpaceError,
  NotFoundError,
} from '@x/storage-core'

type Field = string | number | boolean

/** An error on its way between a store's owner and who calls it: a clone of one would lose its class. */
export interface SentError {
  name: string
  code: string | undefined
  message: string
  stack: string | undefined
  /** What the error's class has besides. */
  fields: Readonly<Record<string, Field>>
  /** CIDs among them, as text. */
  cids: Readonly<Record<string, string>>
  cause: SentError | undefined
}

const FIELDS = ['input', 'what', 'retryable', 'feature', 'file', 'offset']
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
  }
  return {
    name,
    code: isOurs ? error.code : undefined,
    message,
    stack,
    fields,
    cids,
    cause: cause === undefined || depth >= MAX_DEPTH ? undefined : sendError(cause, depth + 1),
  }
}

/** The error that it was, with the class that its code stands for. */
export function receiveError(sent: SentError): Error {
  const error = sent.code === undefined ? plain(sent) : ours(sent)
  if (sent.stack !== undefined) error.stack = sent.stack
  return error
}

const causeOf = ({ cause }: SentError): ErrorOptions => (cause === undefined ? {} : { cause: receiveError(cause) })

function plain(sent: SentError): Error {
  return Object.assign(new Error(sent.message, causeOf(sent)), { name: sent.name })
}

function ours(sent: SentError): Error {
  const { code, message, fields } = sent
  const options = causeOf(sent)
  const text = (field: string): string => String(fields[field] ?? '')
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
      const { file, offset } = fields
      const place = {
        file: typeof file === 'string' ? file : undefined,
        offset: typeof offset === 'number' ? offset : undefined,
      }
      return new IntegrityError(message, { cid, actual: cidAt('actual'), ...place, ...options })
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
  }
  return new BackendError(message, { retryable: fields['retryable'] === true, ...options })
}
