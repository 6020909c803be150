import { CID, IntegrityError, InvalidInputError, isStorageError, UnsupportedError } from '@x/cid'
import { BackendError, GatedError, NoSpaceError, NotFoundError } from '@x/storage-core'

/** An error on its way between threads: a clone of one would lose its class. */
export interface SentError {
  code: string | undefined
  message: string
  stack: string | undefined
  /** What the error's class has besides. */
  fields: Readonly<Record<string, string | boolean | undefined>>
  cause: string | undefined
}

export function sendError(error: unknown): SentError {
  const { message, stack, cause } = error instanceof Error ? error : new Error(String(error))
  const names = ['input', 'what', 'retryable', 'feature', 'file'] as const
  const fields: Record<string, string | boolean | undefined> = {}
  if (isStorageError(error)) {
    for (const name of names) {
      const value: unknown = Reflect.get(error, name)
      if (typeof value === 'string' || typeof value === 'boolean') fields[name] = value
    }
    const cid = CID.asCID(Reflect.get(error, 'cid'))
    if (cid !== null) fields['cid'] = cid.toString()
  }
  const why = cause instanceof Error ? cause.message : undefined
  return { code: isStorageError(error) ? error.code : undefined, message, stack, fields, cause: why }
}

/** The error that it was, with the class that its code stands for. */
export function receiveError({ code, message, stack, fields, cause: why }: SentError): Error {
  const cause = why === undefined ? undefined : new Error(why)
  const text = (name: string): string => String(fields[name] ?? '')
  const cid = fields['cid'] === undefined ? undefined : CID.parse(text('cid'))
  const error = ((): Error => {
    if (code === 'INVALID_INPUT') return new InvalidInputError(message, { input: text('input'), cause })
    if (code === 'NOT_FOUND') return new NotFoundError(text('what'), { message, cause, ...(cid && { cid }) })
    if (code === 'INTEGRITY' && cid) return new IntegrityError(message, { cid, file: text('file') || undefined, cause })
    if (code === 'GATED') return new GatedError(message, { feature: text('feature'), cause })
    if (code === 'NO_SPACE') return new NoSpaceError(message, { cause })
    if (code === 'UNSUPPORTED') return new UnsupportedError(message, { cause })
    return new BackendError(message, { retryable: fields['retryable'] === true, cause })
  })()
  if (stack !== undefined) error.stack = stack
  return error
}
