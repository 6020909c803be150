import { SignatureError } from '@x/storage-core'

/** A signature, key, certificate or signed text that cannot be read. */
export function malformed(message: string, options: ErrorOptions = {}): SignatureError {
  return new SignatureError(message, { ...options, reason: 'malformed' })
}
