import { HubError } from './hub-error.ts'

const MAX_LIMIT = 10_000

/** @throws {HubError} 400: `limit` is no number of entries. */
export function limitOf(query: URLSearchParams, pageSize: number): number {
  const text = query.get('limit')
  if (text === null) return pageSize
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new HubError(400, 'limit is a number from 1')
  return Math.min(Number(text), MAX_LIMIT)
}

/** One page of what is sorted by `key`, which no two have in common; `next` is the cursor of the page behind it. */
export function pageOf<T>(
  sorted: readonly T[],
  key: (item: T) => string,
  {
    after,
    limit,
    from = 0,
    to = sorted.length,
  }: { after: string | undefined; limit: number; from?: number; to?: number },
): { items: readonly T[]; next: string | undefined } {
  const start = after === undefined ? from : Math.max(from, firstAfter(sorted, key, after))
  const end = Math.min(start + limit, to)
  const items = sorted.slice(start, end)
  const last = items.at(-1)
  return { items, next: end < to && last !== undefined ? toCursor(key(last)) : undefined }
}

/** The index of the first that is behind `text`. */
const firstAfter = <T>(sorted: readonly T[], key: (item: T) => string, text: string): number =>
  firstWhere(sorted, (item) => key(item) > text)

/** The index of the first that is `text`, or behind it. */
export const firstFrom = <T>(sorted: readonly T[], key: (item: T) => string, text: string): number =>
  firstWhere(sorted, (item) => key(item) >= text)

/** @param isFound - True of all behind the first of which it is. */
function firstWhere<T>(sorted: readonly T[], isFound: (item: T) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const item = sorted[middle]
    if (item === undefined || isFound(item)) high = middle
    else low = middle + 1
  }
  return low
}

const toCursor = (text: string): string =>
  btoa(String.fromCodePoint(...new TextEncoder().encode(text)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

/** @throws {HubError} 400: no cursor of ours. */
export function cursorOf(query: URLSearchParams): string | undefined {
  const text = query.get('cursor')
  if (text === null) return undefined
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    return new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(binary, (letter) => letter.codePointAt(0) ?? 0),
    )
  } catch (cause) {
    throw new HubError(400, 'that is no cursor of this server', { cause })
  }
}

/** The `Link` to the next page: absolute, for @huggingface/hub reads no other. */
export function nextLink(base: string, path: string, query: URLSearchParams, cursor: string): Record<string, string> {
  const next = new URLSearchParams(query)
  next.set('cursor', cursor)
  return { link: `<${base}${path}?${next.toString()}>; rel="next"` }
}
