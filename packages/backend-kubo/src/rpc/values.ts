import { CID } from '@x/cid'
import { BackendError } from '@x/storage-core'

/** What Kubo answered, checked to be what it says it answers. */
export type Fields = Readonly<Record<string, unknown>>

export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw notKubo(what, 'no object')
}

export function textOf(fields: Fields, key: string, what: string): string {
  const value = fields[key]
  if (typeof value === 'string') return value
  throw notKubo(what, `no text ${key}`)
}

export function numberOf(fields: Fields, key: string, what: string): number {
  const value = fields[key]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw notKubo(what, `no number ${key}`)
}

/** A CID as text, under any hash function: a daemon may hold blocks that are not read here. */
export function cidOfText(text: string, what: string): CID {
  try {
    return CID.parse(text)
  } catch (cause) {
    throw notKubo(what, 'a CID that is none', cause)
  }
}

/** A CID as Kubo writes it where it streams them: `{"/":"bafy..."}`. */
export function linkOf(value: unknown, what: string): CID {
  return cidOfText(textOf(fieldsOf(value, what), '/', what), what)
}

export const notKubo = (what: string, why: string, cause?: unknown): BackendError =>
  new BackendError(`kubo: ${what}: not an answer of Kubo: ${why}`, { retryable: false, cause })
