import { CID, InvalidInputError } from '@x/cid'

/** What of a cache is handed on: a key, what is under it, and until when that counts. */
export interface ListedEntry {
  key: CID
  value: CID
  /** Milliseconds since 1970. `undefined`: for ever. */
  expiresMs: number | undefined
}

/** Of the signed document, so that a signature over something else is none over results. */
export const DOCUMENT_KIND = 'results'

/** What ends after it does not end, as in a cache: no `Date` could say when. */
const LAST_DATE_MS = 8.64e15

/** So that a document stays well below the 64 MiB that a bundle may have. */
export const MAX_ENTRIES = 250_000

/** `{ entries: [{ key, value, expires? }] }`. */
export const toDocument = (entries: readonly ListedEntry[]): object => ({
  entries: entries.map(({ key, value, expiresMs }) => ({
    key,
    value,
    ...(expiresMs !== undefined && { expires: expiresMs }),
  })),
})

/**
 * Reads the value of a document whose signature was checked.
 *
 * @throws {InvalidInputError} It is no list of results.
 */
export function readDocument(value: unknown): ListedEntry[] {
  const entries = fieldsOf(value)['entries']
  if (!Array.isArray(entries)) throw refusal('entries is no list')
  if (entries.length > MAX_ENTRIES) throw refusal(`${entries.length} entries, over ${MAX_ENTRIES}`)
  const keys = new Set<string>()
  return entries.map((item: unknown) => {
    const fields = fieldsOf(item)
    const [key, cid, expires] = [CID.asCID(fields['key']), CID.asCID(fields['value']), fields['expires']]
    if (key === null || cid === null) throw refusal('an entry without CIDs')
    if (expires !== undefined && !(typeof expires === 'number' && Number.isSafeInteger(expires) && expires >= 0)) {
      throw refusal('an entry whose end is no time')
    }
    if (keys.has(key.toString())) throw refusal(`the key ${key} is there twice`)
    keys.add(key.toString())
    return { key, value: cid, expiresMs: expires !== undefined && expires <= LAST_DATE_MS ? expires : undefined }
  })
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal('no map')
  return Object.fromEntries(Object.entries(value))
}

const refusal = (why: string): InvalidInputError =>
  new InvalidInputError(`not a list of results: ${why}`, { input: DOCUMENT_KIND })
